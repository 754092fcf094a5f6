"""Isolated atoms among labelled structures: their energies are the elements' reference energies,
and they are in no part of a split."""

import numpy as np

from mcegnn.data.dataset import Dataset
from systems.cell import heights

_FAR = 8.0  # Angstrom between images that do not feel each other
_SAME = 1e-3  # eV


def isolated(structures: Dataset) -> np.ndarray:
    """Which structures, bool [n], are a single isolated atom: in free space, or in a large periodic
    box."""
    found = np.asarray(structures.sizes == 1)
    for k in np.flatnonzero(found & structures.periodic.any(1)):
        found[k] = heights(structures.cells[k])[structures.periodic[k]].min() >= _FAR
    return found


def energies(atoms: Dataset) -> tuple[dict[int, float], list[str]]:
    """The energy of each element, the least of its isolated atoms' (eV), and sentences on those
    that have several."""
    from ase.data import chemical_symbols

    found, doubts = {}, []
    for z in atoms.elements.tolist():
        own = atoms["energy"][atoms.species == z]
        found[z] = float(own.min())
        if np.ptp(own) > _SAME:
            doubts.append(
                f"energies of isolated {chemical_symbols[z]} are {own.min():.6g} to {own.max():.6g}"
                " eV; the least counts"
            )
    return found, doubts
