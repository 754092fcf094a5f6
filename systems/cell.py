"""Geometry of a cell whose rows are the lattice vectors: cartesian = fractional @ cell."""

from functools import lru_cache

import numpy as np

from systems.arrays import Array

PBC = tuple[bool, bool, bool]  #: which directions are periodic
PERIODIC: PBC = (True, True, True)  #: all of them
FREE: PBC = (False, False, False)  #: none of them


def complete(cell: Array) -> Array:
    """Cells [..., 3, 3] with each lattice vector that is zero replaced by a unit vector at right
    angles to the others."""
    if np.any(cell, axis=-1).all():  # whole already, as most are; ASE would look longer
        return np.asarray(cell, dtype=float)
    from ase.geometry import complete_cell

    flat = np.asarray(cell, dtype=float).reshape(-1, 3, 3)
    return np.stack([complete_cell(one) for one in flat]).reshape(np.shape(cell))


def volume(cell: Array) -> Array:
    """Volume [...] of cells [..., 3, 3]."""
    return abs(np.linalg.det(cell))


def heights(cell: Array) -> Array:
    """Distances [..., 3] between opposite faces: 1 / |columns of the inverse cell|. A lattice
    vector that is zero is infinitely far."""
    missing = ~np.any(cell, axis=-1)
    return np.where(missing, np.inf, 1.0 / np.linalg.norm(np.linalg.inv(complete(cell)), axis=-2))


def wrap(positions: Array, cell: Array, pbc: PBC = PERIODIC) -> Array:
    """Positions [..., n, 3] with fractional coordinates in [0, 1) along the periodic directions of
    cell [3, 3]."""
    whole = complete(cell)
    fractional = positions @ np.linalg.inv(whole)
    wrapped = np.where(pbc, fractional - np.floor(fractional), fractional)
    # -1e-17 + 1 rounds to 1.0, outside [0, 1)
    return np.where(np.asarray(pbc) & (wrapped >= 1.0), 0.0, wrapped) @ whole


def minimum_image(offsets: Array, cell: Array, pbc: PBC = PERIODIC) -> Array:
    """The shortest periodic image of each offset [..., 3], for any triclinic cell [3, 3].

    In a Minkowski-reduced cell (ASE reduces it) the shortest image is among the 27 around the one
    that rounding finds. Directions that are not periodic are given a vector at right angles to the
    others, since one that leans over would mislead the rounding.
    """
    offsets = np.asarray(offsets, dtype=float)
    pbc = (bool(pbc[0]), bool(pbc[1]), bool(pbc[2]))
    reduced = _reduced(np.ascontiguousarray(cell, dtype=float).tobytes(), pbc)
    nearest = offsets - np.where(pbc, np.rint(offsets @ np.linalg.inv(reduced)), 0.0) @ reduced
    if not any(pbc):
        return nearest
    # whatever is shorter than half of the shortest lattice vector, which a reduced basis contains,
    # has no shorter image
    shortest = (reduced[list(pbc)] ** 2).sum(-1).min()
    unsure = (nearest**2).sum(-1) >= 0.25 * shortest
    if unsure.any():
        near = nearest[unsure]
        steps = [[-1, 0, 1] if periodic else [0] for periodic in pbc]
        around = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
        images = near[:, None, :] + around @ reduced
        best = (images**2).sum(-1).argmin(-1)
        nearest[unsure] = np.take_along_axis(images, best[:, None, None], axis=1)[:, 0]
    return nearest


@lru_cache(64)  # most cells are asked about again and again, and ASE takes a while
def _reduced(numbers: bytes, pbc: PBC) -> Array:
    """The Minkowski-reduced basis [3, 3] of the periodic directions of a cell, and unit vectors at
    right angles to them."""
    from ase.geometry import minkowski_reduce

    cell = np.frombuffer(numbers).reshape(3, 3)
    return np.array(
        minkowski_reduce(complete(np.where(np.reshape(pbc, (3, 1)), cell, 0.0)), pbc)[0]
    )
