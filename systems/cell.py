"""Geometry of a cell whose rows are the lattice vectors: cartesian = fractional @ cell."""

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
