"""`DirectAboutAxis`: a network says how far a system is turned about an axis."""

import torch
from torch import Tensor

from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.frames import (
    Candidates,
    across,
    any_across,
    completed,
    largest,
    normalized,
    replaced,
    tolerance,
)
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.points import Points, Poses
from mcegnn.nn.canonical.vector_neurons import VectorNetwork


class DirectAboutAxis(Canonicalizer):
    """The rotation about the group's axis that a vector of a `VectorNetwork` says, which works on
    what is at right angles to the axis; components along it are scalars to it."""

    serves = ("SO(2)",)

    def __init__(self, group: Group, sizes: Sizes, n_hidden: int = 16, n_layers: int = 4) -> None:
        super().__init__(group, sizes)
        n = sizes.of_pool(proper=True)
        self.network = VectorNetwork(n, sizes.n_scalars + n, 1, n_hidden, n_layers)
        assert group.axis is not None
        self._axis = group.axis  # in double precision, whatever the weights are

    def forward(self, points: Points) -> Poses:
        """One pose of each system."""
        axis = torch.tensor(self._axis).to(points.vectors)
        every = torch.cat([points.vectors, points.pseudovectors], 1)
        flat, along = across(every, axis), every @ axis
        seen = points._replace(scalars=torch.cat([points.scalars, along], 1))
        vectors = self.network(flat, seen).squeeze(1)
        size = points.mean(flat.square().sum((1, 2))).sqrt()
        rotations = _about(axis, vectors)
        small = tolerance(every.dtype)
        bad = torch.linalg.vector_norm(vectors, dim=-1) <= small * size
        rotations = replaced(rotations, bad, points, lambda some: _candidates(some, axis))
        return Poses.one_each(rotations, points.owner)


def _about(axis: Tensor, vectors: Tensor) -> Tensor:
    """The rotations about an axis [3] that take a fixed direction to that of vectors [n, 3]."""
    first = normalized(across(vectors, axis))
    third = axis.expand_as(first)
    start = any_across(axis)
    fixed = torch.stack([start, torch.linalg.cross(axis, start), axis], -1)
    return torch.stack([first, torch.linalg.cross(third, first), third], -1) @ fixed.mT


def _candidates(points: Points, axis: Tensor) -> Candidates:
    """The rotations to each particle's vectors; the identity where all are along the axis."""
    every = torch.cat([points.vectors, points.pseudovectors], 1)
    owner = points.owner.repeat_interleave(every.shape[1])
    flat = across(every, axis).flatten(0, 1)
    size, length = (torch.linalg.vector_norm(part, dim=-1) for part in (every.flatten(0, 1), flat))
    n, small = points.n_systems, tolerance(flat.dtype)
    best, scale = largest(length, owner, n), largest(size, owner, n)
    long = (length > 0.3 * best[owner]) & (length > small * scale[owner])
    return completed(_about(axis, flat[long]), owner[long], n)
