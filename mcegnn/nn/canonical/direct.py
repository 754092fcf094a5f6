"""`Direct`: a network says the pose itself (Kaba et al. 2023, arXiv 2211.06489)."""

import torch
from torch import Tensor

from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.frames import (
    across,
    candidates,
    choose,
    frame_of,
    normalized,
    pool,
    tolerance,
)
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.points import Points, Poses
from mcegnn.nn.canonical.vector_neurons import VectorNetwork


class Direct(Canonicalizer):
    """One frame of each system by Gram and Schmidt of three vectors that a `VectorNetwork` makes;
    two and their cross product where there are no reflections.

    Where these vectors vanish or are parallel, as in a symmetric top, or do not tell a system from
    its mirror image, the frame is chosen among those of pairs of particles
    (`mcegnn.nn.canonical.frames`). There it jumps: the pose is a continuous function elsewhere
    only.
    """

    serves = ("SO(3)", "O(3)")

    def __init__(self, group: Group, sizes: Sizes, n_hidden: int = 16, n_layers: int = 4) -> None:
        super().__init__(group, sizes)
        n = sizes.of_pool(proper=group.proper)
        self.network = VectorNetwork(n, sizes.n_scalars, 3, n_hidden, n_layers)

    def forward(self, points: Points) -> Poses:
        """One pose of each system."""
        proper = self.group.proper
        vectors, _ = pool(points, proper=proper)
        each = vectors.view(len(points.owner), -1, 3)
        a, b, c = self.network(each, points).unbind(1)
        rotations = frame_of(a, b, None if proper else c)
        size = points.total(each.square().sum((1, 2))) / points.sizes.clamp(min=1).to(each)
        bad = _degenerate(a, b, c, size.sqrt(), proper=proper).nonzero().flatten()
        if len(bad):
            some = points.of(bad)
            found = candidates(some, proper=proper)
            chosen = found.rotations[choose(found, some)]
            rotations = rotations.index_copy(0, bad, chosen)
        return Poses.one_each(rotations, points.owner)


def _degenerate(a: Tensor, b: Tensor, c: Tensor, size: Tensor, *, proper: bool) -> Tensor:
    """Which systems' vectors make no frame: they are short against the points' ``size``, or
    parallel, or in a plane where the hand matters."""
    small = tolerance(a.dtype)
    first = normalized(a)
    second = across(b, first)
    least = torch.minimum(
        torch.linalg.vector_norm(a, dim=-1), torch.linalg.vector_norm(second, dim=-1)
    )
    if not proper:
        height = (torch.linalg.cross(first, normalized(second)) * c).sum(-1).abs()
        least = torch.minimum(least, height)
    return ~(least > small * size)
