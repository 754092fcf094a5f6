"""Energies, forces and stresses as the targets of structures."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.data.label_rules import Notes
from mcegnn.data.target import Target


class Labelled(NamedTuple):
    """Labelled structures to train on and, if the data set has an official split, those to test on,
    with notes on their labels."""

    structures: Dataset
    test: Dataset | None = None
    notes: Notes = ()


def with_labels(
    structures: Dataset,
    *,
    energy: np.ndarray,
    forces: np.ndarray,
    stress: np.ndarray | None = None,
) -> Dataset:
    """Return the structures with the targets energy [n] (eV), forces [n_atoms, 3] (eV/Angstrom) and
    stress [n, 3, 3] (eV/Angstrom^3), the latter two NaN where unknown."""
    stress = np.full((len(structures), 3, 3), np.nan) if stress is None else stress
    targets = {
        "energy": Target(energy, "eV"),
        "forces": Target(forces, "eV/Angstrom", "vector"),
        "stress": Target(stress, "eV/Angstrom^3"),
    }
    return replace(structures, targets=targets, cell=structures.cells, pbc=structures.periodic)
