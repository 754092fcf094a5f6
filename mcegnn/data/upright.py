"""Structures of one molecule, all turned to lie as the first of them does."""

from dataclasses import replace

import numpy as np
from ase.data import atomic_masses

from mcegnn.data.dataset import Dataset


def upright(structures: Dataset, reference: Dataset | None = None) -> Dataset:
    """The structures, each moved to its centre of mass and turned so that its atoms are as near as
    they can be to those of the reference's first structure, else of the first of them, weighed by
    their masses (Kabsch 1976, doi 10.1107/S0567739476001873): hydrogens that turn about a bond do
    not turn the molecule. Vectors turn with it.

    Raises ValueError if structures are periodic or not all of the same atoms.
    """
    if not len(structures):
        return structures
    first = (structures if reference is None else reference).system(0)
    n = len(first.species)
    alike = bool((structures.sizes == n).all()) and bool(
        (structures.species.reshape(len(structures), -1) == first.species).all()
    )
    if not alike or structures.periodic.any():
        raise ValueError(
            "only structures of one molecule, with its atoms in one order, can be put upright"
        )
    weights = atomic_masses[np.asarray(first.species)]
    weights = (weights / weights.sum())[:, None]
    x = structures.positions.reshape(-1, n, 3)
    x = x - (weights * x).sum(1, keepdims=True)
    model = first.positions - (weights * first.positions).sum(0)
    u, _, vt = np.linalg.svd(np.einsum("sna,nb->sab", x, weights * model))
    hands = np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= hands[:, None]
    turns = u @ vt  # rows times these are the turned rows
    targets = {}
    for name, target in structures.targets.items():
        values = target.values
        if target.per == "vector":
            values = (values.reshape(-1, n, 3) @ turns).reshape(values.shape)
        targets[name] = target._replace(values=values)
    return replace(structures, positions=(x @ turns).reshape(-1, 3), targets=targets)
