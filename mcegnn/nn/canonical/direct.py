"""`Direct`: a network says the pose itself (Kaba et al. 2023, arXiv 2211.06489)."""

from functools import partial

import torch
from torch import Tensor, nn

from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.frames import (
    Candidates,
    across,
    candidates,
    equality,
    frame_of,
    normalized,
    pool,
    replaced,
    tolerance,
    with_mirror_images,
)
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.points import Points, Poses
from mcegnn.nn.canonical.vector_neurons import VectorNetwork


class Direct(Canonicalizer):
    """One frame of each system by Gram and Schmidt of three vectors that a `VectorNetwork` makes;
    two and their cross product where there are no reflections. A rotation that is learned too, the
    same for all systems, follows: vectors of flat systems lie in their plane, and the pose that is
    wanted need not.

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
        self.turn = nn.Parameter(torch.eye(3)[:2].clone())

    def forward(self, points: Points) -> Poses:
        """One pose of each system."""
        proper = self.group.proper
        vectors, _ = pool(points, proper=proper)
        each = vectors.view(len(points.owner), -1, 3)
        a, b, c = self.network(each, points).unbind(1)
        rotations = frame_of(a, b, None if proper else c)
        size = points.mean(each.square().sum((1, 2))).sqrt()
        bad, flat = _degenerate(a, b, c, size)
        if not proper:
            flat = flat & ~bad  # the third vector lies in the plane of the others
            own = Candidates(rotations[flat], torch.arange(int(flat.sum()), device=flat.device))
            rotations = replaced(
                rotations, flat, points, lambda some: with_mirror_images(own, some)
            )
        rotations = replaced(rotations, bad, points, partial(candidates, proper=proper))
        return Poses.one_each(rotations @ frame_of(*self.turn), points.owner)


def _degenerate(a: Tensor, b: Tensor, c: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Which systems' vectors make no frame, since they are short against the points' ``size`` or
    parallel; and which lie in a plane."""
    small = tolerance(a.dtype) * size
    first = normalized(a)
    second = across(b, first)
    length, width = (torch.linalg.vector_norm(part, dim=-1) for part in (a, second))
    height = (torch.linalg.cross(first, normalized(second)) * c).sum(-1).abs()
    # which side the third is on does not change with round-off that turns the others
    return ~(torch.minimum(length, width) > small), ~(height > equality(a.dtype) * size)
