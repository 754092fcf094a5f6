"""Frames of systems: rotations whose columns are made of vectors, and which of several to take.

A frame of a pair of vectors (a, b) has the columns a/|a|, the direction of b across a, and their
cross product. It turns with the vectors, so points in a frame do not change when they are turned.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mcegnn.nn.canonical.points import Points, Poses, entries_of

_N_KEYS = 4  # numbers that tell clouds of points apart, with labels and without


def tolerance(dtype: torch.dtype) -> float:
    """Relative size below which a direction is taken for undefined: in double precision round-off
    turns none that is longer by more than 1e-11."""
    return 1e-5 if dtype == torch.float64 else float(torch.finfo(dtype).eps ** 0.5)


def equality(dtype: torch.dtype) -> float:
    """Relative difference of numbers that are taken for equal: far above round-off, far below what
    different things differ by."""
    return float(torch.finfo(dtype).eps ** (2.0 / 3.0))


def normalized(vectors: Tensor) -> Tensor:
    """Unit vectors [..., 3], zero ones as they are."""
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp(
        min=_tiny(vectors)
    )


def across(vectors: Tensor, axes: Tensor) -> Tensor:
    """What of vectors [..., 3] is at right angles to unit axes [..., 3]."""
    return vectors - (vectors * axes).sum(-1, keepdim=True) * axes


def frame_of(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Frames [..., 3, 3] of vectors a and b [..., 3] by Gram and Schmidt; right-handed ones, or of
    the hand of a, b and ``c``.

    Vectors are taken one after the other, each made orthogonal to the columns there are, which is
    what turns with them: done to rows of components instead, the result would not.
    """
    first = normalized(a)
    second = normalized(across(b, first))
    third = torch.linalg.cross(first, second)
    if c is not None:
        hand = (third * c).sum(-1, keepdim=True).detach()
        third = torch.where(hand < 0.0, -third, third)
    return torch.stack([first, second, third], -1)


def any_across(axes: Tensor) -> Tensor:
    """Some unit vector at right angles to each unit axis [..., 3]."""
    least = axes.abs().argmin(-1)
    helper = torch.nn.functional.one_hot(least, 3).to(axes)
    return normalized(across(helper, axes))


class Candidates(NamedTuple):
    """Frames that turn with their system: ``rotations`` [n, 3, 3] of the ``system`` [n]."""

    rotations: Tensor
    system: Tensor


def pool(points: Points, *, proper: bool) -> tuple[Tensor, Tensor]:
    """The vectors [n, 3] that frames of points can be made of, and their systems [n].

    Where reflections act, pseudovectors serve by their cross products with vectors, which are
    vectors; alone they serve themselves, since no reflection can then be told from its rotation.
    """
    vectors, pseudo = points.vectors, points.pseudovectors
    if proper or not vectors.shape[1]:
        every = torch.cat([vectors, pseudo], 1)
    elif pseudo.shape[1]:
        a, b = torch.broadcast_tensors(vectors.unsqueeze(2), pseudo.unsqueeze(1))
        products = torch.linalg.cross(a, b)
        # of parallel ones what is left is round-off
        least = 1e2 * float(torch.finfo(a.dtype).eps) * _length(a) * _length(b)
        products = torch.where(_length(products) > least, products, torch.zeros_like(products))
        every = torch.cat([vectors, products.flatten(1, 2)], 1)
    else:
        every = vectors
    owner = points.owner.repeat_interleave(every.shape[1])
    return every.flatten(0, 1), owner


def mirror_of(points: Points) -> Tensor:
    """What takes a frame to its mirror image [3, 3]: the reflection in a plane of it, or, where
    there are pseudovectors alone, which it leaves as they are, the inversion."""
    signs = [1.0, 1.0, -1.0] if points.vectors.shape[1] else [-1.0, -1.0, -1.0]
    return torch.tensor(signs).to(points.vectors).diag()


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def _of_one_size(points: Points, each: Tensor) -> Tensor:
    """Vectors [n_nodes, n_kinds, 3] in units of the root mean square of their kind in their system:
    velocities are not to be weighed against positions."""
    square = points.mean(each.detach().square().sum(-1))
    size = square.sqrt().clamp(min=_tiny(each) ** 0.5)
    return each / points.spread(size).unsqueeze(-1)


def pairs_of(owner: Tensor, n_systems: int, *, alone: bool = False) -> tuple[Tensor, Tensor]:
    """The ordered pairs of different entries of each system, as two lists of indices; ``alone``
    adds each entry with itself."""
    a, b = entries_of(owner, owner, n_systems)
    if alone:
        return a, b
    different = a != b
    return a[different], b[different]


def largest(values: Tensor, system: Tensor, n_systems: int) -> Tensor:
    """The largest of each system's values [n_systems]; minus infinity where there are none."""
    empty = values.new_full((n_systems,), -torch.inf)
    return empty.scatter_reduce(0, system, values, "amax")


def candidates(points: Points, *, proper: bool) -> Candidates:
    """Frames of all pairs of a system's vectors that are far enough from being parallel.

    Of collinear vectors the frames of each vector, turned about it in some way; of none the
    identity: what differs is then in the system's own symmetry. Where reflections act, each frame
    comes with its mirror image.
    """
    vectors, owner = pool(points, proper=proper)
    n, nodes = points.n_systems, len(points.owner)
    if nodes:
        vectors = _of_one_size(points, vectors.view(nodes, -1, 3)).flatten(0, 1)
    units, lengths = normalized(vectors), torch.linalg.vector_norm(vectors, dim=-1)
    long = lengths > 0.3 * largest(lengths, owner, n)[owner]
    small = tolerance(vectors.dtype)
    long &= lengths > _tiny(vectors) ** 0.5
    units, owner = units[long], owner[long]
    a, b = pairs_of(owner, n)
    sines = torch.linalg.vector_norm(torch.linalg.cross(units[a], units[b]), dim=-1)
    best = largest(sines, owner[a], n)
    good = (sines > 0.3 * best[owner[a]]) & (sines > small)
    collinear = (best <= small)[owner]
    made = [frame_of(units[a[good]], units[b[good]])]
    made.append(frame_of(units[collinear], any_across(units[collinear])))
    found = completed(torch.cat(made), torch.cat([owner[a[good]], owner[collinear]]), n)
    return found if proper else with_mirror_images(found, points)


def completed(rotations: Tensor, system: Tensor, n_systems: int) -> Candidates:
    """Frames in the order of their systems, with the identity for systems that have none."""
    without = (torch.bincount(system, minlength=n_systems) == 0).nonzero().flatten()
    identity = torch.eye(3).to(rotations).expand(len(without), 3, 3)
    rotations, system = torch.cat([rotations, identity]), torch.cat([system, without])
    order = torch.argsort(system, stable=True)
    return Candidates(rotations[order], system[order])


def with_mirror_images(found: Candidates, points: Points) -> Candidates:
    """Each frame, followed by its mirror image."""
    mirrored = found.rotations @ mirror_of(points)
    both = torch.stack([found.rotations, mirrored], 1).flatten(0, 1)
    return Candidates(both, found.system.repeat_interleave(2))


def replaced(
    rotations: Tensor, which: Tensor, points: Points, frames: Callable[[Points], Candidates]
) -> Tensor:
    """Rotations of systems [n_systems, 3, 3], where ``which`` [n_systems] is true the chosen ones
    of the ``frames`` of these systems' points."""
    places = which.nonzero().flatten()
    if not len(places):
        return rotations
    some = points.of(places)
    found = frames(some)
    return rotations.index_copy(0, places, found.rotations[choose(found, some)])


def choose(found: Candidates, points: Points, scores: Tensor | None = None) -> Tensor:
    """The chosen candidate of each system [n_systems]: that of the largest ``scores``, where there
    are some; of equal ones that whose points look least by numbers that tell clouds of points
    apart, first whoever is who among like particles, then by their order too.

    What is equal by all of them differs by a symmetry of the points.
    """
    n = points.n_systems
    left = torch.ones_like(found.system, dtype=torch.bool)
    seen = points.turned_back(poses_of(found, points))
    for number in (*(() if scores is None else (scores,)), *_keys(seen)):
        key = number.nan_to_num()  # of a system that is lost already any pose will do
        most = largest(key.abs(), found.system, n)[found.system]
        small = 100.0 * equality(key.dtype) * (1.0 + most)
        masked = torch.where(left, key, torch.full_like(key, -torch.inf))
        left &= masked >= largest(masked, found.system, n)[found.system] - small
    place = torch.arange(len(left), device=left.device)
    last = torch.full_like(place, len(left))
    none = torch.full((n,), len(left), device=left.device)
    return none.scatter_reduce(0, found.system, torch.where(left, place, last), "amin")


def poses_of(found: Candidates, points: Points) -> Poses:
    """The poses that candidates are, all of weight one."""
    ones = found.rotations.new_ones(len(found.system))
    return Poses.several(found.rotations, ones, found.system, points.owner)


def _keys(seen: Points) -> list[Tensor]:
    """Numbers of each pose that differ if the points in it do: sums over particles of waves in
    fixed directions, which know no order of the particles; then the same with their places in the
    system as labels."""
    rows = rows_of(seen)
    start = seen.sizes.cumsum(0) - seen.sizes
    place = (torch.arange(len(rows), device=rows.device) - start[seen.owner]).to(rows)
    keys = []
    for inputs in (rows, torch.cat([rows, place.unsqueeze(1)], 1)):
        waves = fixed_numbers(inputs.shape[1] + 1, _N_KEYS).to(inputs)
        heights = torch.sin(inputs @ waves[:-1] + waves[-1])
        keys += list(seen.total(heights).unbind(1))
    return keys


def rows_of(points: Points) -> Tensor:
    """All numbers of each node in one row: vectors in units of their kind's size in the system, and
    the others compressed, so that large ones hide nothing."""
    parts = [_of_one_size(points, part) for part in (points.vectors, points.pseudovectors)]
    rest = [torch.asinh(part) for part in (points.scalars, points.rest())]
    return torch.cat([*(part.flatten(1) for part in parts), *rest], 1)


def fixed_numbers(n: int, m: int) -> Tensor:
    """Normal numbers [n, m], always the same and of no meaning."""
    generator = torch.Generator().manual_seed(20230711)
    return torch.randn(n, m, generator=generator, dtype=torch.float64)


def _tiny(values: Tensor) -> float:
    return float(torch.finfo(values.dtype).tiny)
