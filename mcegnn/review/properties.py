"""What a model says of molecules' properties: errors by element, parity, the worst molecules."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mcegnn.datasets.molecules import Molecules
from mcegnn.models.property import PropertyModel
from mcegnn.review.shares import WORST, exceeded, parity
from mcegnn.training.properties import residuals
from trajectories.analysis.results import Analysis, Number
from trajectories.report import still


def look(
    model: PropertyModel, molecules: Molecules, part: str, found: Analysis, told: Callable[[int, int], None]
) -> list[dict[str, Any]]:  # fmt: skip
    """Numbers and curves into ``found``; the worst molecules are returned as scenes."""
    from ase.data import chemical_symbols

    name = model.property
    true = np.asarray(molecules.properties[name])
    off = -residuals(model, molecules, told)
    errors = 1e3 * abs(off)
    found.numbers.append(Number(f"{part}_mae", f"{part}, {name}", float(errors.mean()), "meV", note="mean absolute error"))
    found.numbers.append(Number(f"{part}_rmse", f"{part}, {name}", float((errors**2).mean() ** 0.5), "meV", note="root mean square error"))
    holding = {}
    for z in np.unique(molecules.species):
        holds = np.logical_or.reduceat(molecules.species == z, molecules.starts[:-1])
        symbol = chemical_symbols[z]
        holding[f"with {symbol}"] = errors[holds]
        note = f"mean absolute error of {holds.sum():,} molecules"
        found.numbers.append(
            Number(f"{part}_mae_{symbol}", f"{part}, {name} of those with {symbol}", float(errors[holds].mean()), "meV", note=note)
        )
    # in energies of whole molecules their atoms' own are most: what is left is what the network has to know
    base = model.base(model.kinds(molecules.species), molecules.starts)
    found.curves += [
        parity("parity", f"{name} less that of the atoms, {part}", name, "eV", true - base, true - base + off),
        exceeded("errors", f"Errors of {name}, {part}", holding, "meV"),
    ]
    worst = []
    for k in np.argsort(-errors, kind="stable")[:WORST]:
        label = f"Molecule {k} of the {part}: {name} {true[k]:.5g} eV, off by {1e3 * off[k]:,.1f} meV"
        worst.append(still(molecules.system(int(k)), label))
    return worst
