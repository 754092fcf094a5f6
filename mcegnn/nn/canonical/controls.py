"""Canonicalizers that learn nothing, against which those that do are measured."""

from functools import partial

import torch
from torch import Tensor

from mcegnn.nn.buffers import as_buffers
from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.direct import Direct
from mcegnn.nn.canonical.frames import Candidates, candidates, choose, pool, replaced, tolerance
from mcegnn.nn.canonical.groups import Group, point_group
from mcegnn.nn.canonical.points import Points, Poses

_ANY: tuple[str, ...] = ("", "SO(3)", "O(3)", "SO(2)", "finite")


class Fixed(Canonicalizer):
    """The identity: points as they are given. Not equivariant, but for the trivial group."""

    serves: tuple[str, ...] = _ANY
    exact = False

    def forward(self, points: Points) -> Poses:
        """The identity for each system."""
        identity = torch.eye(3).to(points.vectors).expand(points.n_systems, 3, 3)
        return Poses.one_each(identity, points.owner)


class Uniform(Fixed):
    """The identity, but in training any rotation (and reflection, where the group has some), all
    equally likely: augmentation of the data in place of a pose."""

    serves = ("SO(3)", "O(3)")
    augmentation = 3.0


class RandomFrozen(Direct):
    """`Direct` with the weights that it began with."""

    def __init__(self, group: Group, sizes: Sizes, n_hidden: int = 16, n_layers: int = 4) -> None:
        super().__init__(group, sizes, n_hidden, n_layers)
        as_buffers(self)


class PrincipalAxes(Canonicalizer):
    """The axes of the sum of v v^T over a system's vectors, from the longest to the shortest; their
    signs by what the points then look like. They jump where two are of one length."""

    serves = ("SO(3)", "O(3)")

    def forward(self, points: Points) -> Poses:
        """One pose of each system."""
        proper = self.group.proper
        vectors, owner = pool(points, proper=proper)
        n = points.n_systems
        sums = vectors.new_zeros(n, 3, 3).index_add(
            0, owner, vectors.unsqueeze(2) * vectors.unsqueeze(1)
        )
        sizes = torch.linalg.eigvalsh(sums.detach()).flip(-1)
        gaps = (sizes[:, :-1] - sizes[:, 1:]).min(1).values
        bad = ~(gaps > tolerance(gaps.dtype) * sizes[:, 0])
        # axes of one length have no derivative; those are not taken
        apart = torch.diag(torch.tensor([1.0, 2.0, 3.0]).to(sums))
        _, axes = torch.linalg.eigh(torch.where(bad.view(-1, 1, 1), apart, sums))
        axes = axes.flip(-1)
        signs = _signs(proper=proper).to(axes)
        hands = torch.linalg.det(axes).sign().view(-1, 1, 1)
        right = torch.cat([axes[..., :2], axes[..., 2:] * hands], -1)
        rotations = (right.unsqueeze(1) * signs.unsqueeze(-2)).flatten(0, 1)
        systems = torch.arange(n, device=owner.device)
        found = Candidates(rotations, systems.repeat_interleave(len(signs)))
        chosen = rotations[choose(found, points)]
        chosen = replaced(chosen, bad, points, partial(candidates, proper=proper))
        return Poses.one_each(chosen, points.owner)


def _signs(*, proper: bool) -> Tensor:
    """Signs of three axes [n, 3], those of right-handed ones alone where there is no reflection."""
    every = torch.cartesian_prod(*[torch.tensor([1.0, -1.0])] * 3)
    return every[every.prod(1) > 0.0] if proper else every


class AverageOfCube(Canonicalizer):
    """All 24 rotations of the cube with equal weights: an average that is equivariant under these
    only, at the cost of 24 evaluations."""

    serves = ("SO(3)", "O(3)")
    exact = False

    def forward(self, points: Points) -> Poses:
        """24 poses of each system."""
        return Poses.all_of(torch.tensor(point_group("O")).to(points.vectors), points)
