"""Geometry of a cell whose rows are the lattice vectors: cartesian = fractional @ cell."""

import numpy as np

from systems.arrays import Array

PBC = tuple[bool, bool, bool]
PERIODIC: PBC = (True, True, True)


def volume(cell: Array) -> Array:
    """Volume [...] of cells [..., 3, 3]."""
    return abs(np.linalg.det(cell))


def heights(cell: Array) -> Array:
    """Distances [..., 3] between opposite faces: 1 / |columns of the inverse cell|."""
    return 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=-2)


def wrap(positions: Array, cell: Array, pbc: PBC = PERIODIC) -> Array:
    """Positions [..., n, 3] with fractional coordinates in [0, 1) along the periodic directions of cell [3, 3]."""
    fractional = positions @ np.linalg.inv(cell)
    wrapped = np.where(pbc, fractional - np.floor(fractional), fractional)
    # -1e-17 + 1 rounds to 1.0, outside [0, 1)
    return np.where(np.asarray(pbc) & (wrapped >= 1.0), 0.0, wrapped) @ cell


def minimum_image(offsets: Array, cell: Array, pbc: PBC = PERIODIC) -> Array:
    """The shortest periodic image of each offset [..., 3], for any triclinic cell [3, 3].

    ASE's ``find_mic`` does it: it reduces the cell first (Minkowski), which is what makes skewed cells come out right. It is given no
    lattice vector along a direction that is not periodic, since one that leans over would mislead its search.
    """
    from ase.geometry import find_mic

    vectors, _ = find_mic(np.reshape(offsets, (-1, 3)), np.where(np.reshape(pbc, (3, 1)), cell, 0.0), pbc)
    return vectors.reshape(offsets.shape)
