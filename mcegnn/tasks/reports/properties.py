"""Report on predicted properties of molecules: errors by element, parity, the worst molecules."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.models.property import MoleculeProperty
from mcegnn.tasks.reports.shares import WORST, error_distribution, parity
from mcegnn.training.properties import measures_of, residuals
from trajectories.analysis.results import Analysis, Number
from trajectories.report import static_scene


def look(
    model: MoleculeProperty,
    molecules: Dataset,
    part: str,
    found: Analysis,
    told: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """Add numbers and curves to ``found``; return scenes of the worst molecules."""
    name = model.property
    true = np.asarray(molecules[name])
    off = -residuals(model, molecules, told)
    errors = 1e3 * abs(off)
    found.numbers += numbers(-off, model, molecules, part)
    holding = {f"with {symbol}": errors[holds] for symbol, holds in _holding(molecules).items()}
    # in energies of whole molecules their atoms' own are most: what is left is what the network has
    # to know
    base = model.base(model.kinds(molecules.species), molecules.starts)
    found.curves += [
        parity(
            "parity",
            f"{name} less that of the atoms, {part}",
            name,
            "eV",
            true - base,
            true - base + off,
        ),
        error_distribution("errors", f"Errors of {name}, {part}", holding, "meV"),
    ]
    worst = []
    for k in np.argsort(-errors, kind="stable")[:WORST]:
        label = (
            f"Molecule {k} of the {part}: {name} {true[k]:.5g} eV, off by {1e3 * off[k]:,.1f} meV"
        )
        worst.append(static_scene(molecules.system(int(k)), label))
    return worst


def numbers(
    residuals: np.ndarray, model: MoleculeProperty, molecules: Dataset, part: str
) -> list[Number]:
    """What `measures_of` finds of residuals, in words and thousandths, and the same by the elements
    that molecules hold."""
    said = {
        "mae": "mean absolute error",
        "median": "median absolute error",
        "rmse": "root mean square error",
    }
    said["without_network"] = "mean absolute error without the network"
    found = [
        Number(f"{part}_{name}", f"{part}, {model.property}", 1e3 * value, "meV", note=said[name])
        for name, value in measures_of(residuals, model, molecules).items()
    ]
    errors = 1e3 * abs(residuals)
    for symbol, holds in _holding(molecules).items():
        label, note = (
            f"{part}, {model.property} of those with {symbol}",
            f"mean absolute error of {holds.sum():,} molecules",
        )
        found.append(
            Number(f"{part}_mae_{symbol}", label, float(errors[holds].mean()), "meV", note=note)
        )
    return found


def _holding(molecules: Dataset) -> dict[str, np.ndarray]:
    """Which molecules hold an element, by its symbol."""
    from ase.data import chemical_symbols

    species, firsts = molecules.species, molecules.starts[:-1]
    return {
        chemical_symbols[z]: np.logical_or.reduceat(species == z, firsts)
        for z in np.unique(species)
    }
