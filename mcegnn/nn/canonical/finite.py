"""`FiniteDirect`: a network scores each element of a finite group, and the best is the pose."""

from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.frames import Candidates, choose
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.points import Points, Poses
from mcegnn.nn.canonical.smooth import sparse_weights


class CloudScore(nn.Module):
    """A number of each system [n_systems] that depends on how it lies: Deep Sets without any
    symmetry but that of particles."""

    def __init__(self, sizes: Sizes, n_hidden: int = 32) -> None:
        super().__init__()
        n_in = 3 * (sizes.n_vectors + sizes.n_pseudovectors) + sizes.n_scalars
        self.each = nn.Sequential(
            nn.Linear(n_in, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_hidden), nn.SiLU()
        )
        self.all = nn.Sequential(
            nn.Linear(n_hidden, n_hidden), nn.SiLU(), nn.Linear(n_hidden, 1, bias=False)
        )

    def forward(self, points: Points) -> Tensor:
        """The number of each system."""
        rows = [points.vectors.flatten(1), points.pseudovectors.flatten(1), points.scalars]
        said: Tensor = self.all(points.mean(self.each(torch.cat(rows, 1))))
        return said.squeeze(-1)


class _OfFinite(Canonicalizer):
    """What all canonicalizers of finite groups have: a score of each element."""

    serves = ("finite",)

    def __init__(self, group: Group, sizes: Sizes, n_hidden: int = 32) -> None:
        super().__init__(group, sizes)
        self.score = CloudScore(sizes, n_hidden)
        assert group.elements is not None
        self._elements = group.elements  # in double precision, whatever the weights are

    def _all(self, points: Points) -> Tensor:
        """The group's elements, as the points are kept."""
        return torch.tensor(self._elements).to(points.vectors)

    def _scored(self, points: Points) -> tuple[Candidates, Tensor]:
        """All elements of each system, and their scores."""
        poses = Poses.all_of(self._all(points), points)
        return Candidates(poses.rotations, poses.system), self.score(points.turned_back(poses))

    def prior(self, points: Points, poses: Poses) -> Tensor:
        """- log p(identity), mean over systems (the discrete form of the prior)."""
        _, scores = self._scored(points)
        shares: Any = torch.log_softmax(scores.view(-1, len(self._elements)), 1)
        return -shares[:, 0].mean()


class FiniteDirect(_OfFinite):
    """The element g of a finite group for which the network scores g^-1 x highest; of elements
    that it scores alike one chosen by what the points look like.

    The gradient is that of the mean over elements with softmax of the scores as weights
    (straight-through, Mondal et al. 2023).
    """

    def forward(self, points: Points) -> Poses:
        """One pose of each system."""
        with torch.no_grad():
            found, scores = self._scored(points)
            rotations = found.rotations[choose(found, points, scores)]
        if self.training and torch.is_grad_enabled():
            # of the weights alone: forces are those of the pose that is taken
            _, scores = self._scored(points.detached())
            shares = torch.softmax(scores.view(-1, len(self._elements)), 1)
            soft = torch.einsum("sg,gab->sab", shares, self._all(points))
            rotations = rotations + soft - soft.detach()
        return Poses.one_each(rotations, points.owner)


class FiniteSmooth(_OfFinite):
    """Elements with weights that are smooth functions of their scores, all but the best few of them
    zero (`mcegnn.nn.canonical.smooth.sparse_weights`)."""

    def forward(self, points: Points) -> Poses:
        """Some poses of each system."""
        found, scores = self._scored(points)
        weights = sparse_weights(scores, found.system, points.n_systems)
        some = weights > 0.0
        return Poses.several(found.rotations[some], weights[some], found.system[some], points.owner)
