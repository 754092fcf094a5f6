"""Report on a potential's predictions: errors by element, parity of energies and forces, the worst
structures."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.models.atomic import AtomicPotential
from mcegnn.tasks.reports.shares import WORST, error_distribution, parity
from mcegnn.training.prediction import Differences, differences, measures_of
from trajectories.analysis.results import Analysis, Curves, Number
from trajectories.report import static_scene

_SAID = {
    "energy_mae": ("energy", "mean absolute error", "meV"),
    "energy_rmse": ("energy", "root mean square error", "meV"),
    "energy_per_atom_mae": ("energy per atom", "mean absolute error", "meV"),
    "force_mae": ("forces", "mean absolute error", "meV/Angstrom"),
    "force_rmse": ("forces", "root mean square error", "meV/Angstrom"),
    "stress_mae": ("stress", "mean absolute error", "meV/Angstrom^3"),
}


def look(
    model: AtomicPotential,
    structures: Dataset,
    energy_weight: float,
    part: str,
    found: Analysis,
    told: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """Add numbers and curves to ``found``; return scenes of the worst structures, as the loss
    weighs them."""
    from ase.data import chemical_symbols

    off = differences(model, structures, told)
    found.numbers += numbers(measures_of(off, structures), part)
    symbols = np.array(chemical_symbols)[structures.species]
    found.curves.append(_parity_of_energies(model, structures, off, part))
    found.curves += _figures_of_forces(structures, off, symbols, part)
    return _worst(structures, off, symbols, energy_weight, part)


def _parity_of_energies(
    model: AtomicPotential, structures: Dataset, off: Differences, part: str
) -> Curves:
    """Energies less those of the atoms, eV/atom, true and predicted."""
    of_atoms = model.reference_energies[model.kinds(structures.species)]
    reference = np.add.reduceat(of_atoms, structures.starts[:-1])
    true = (structures["energy"] - reference) / structures.sizes
    predicted, title = (
        true + off.energies / structures.sizes,
        f"Energies less those of the atoms, {part}",
    )
    return parity("parity_energy", title, "energy", "eV/atom", true, predicted)


def _figures_of_forces(
    structures: Dataset, off: Differences, symbols: np.ndarray, part: str
) -> list[Curves]:
    """Force components, true and predicted, and their errors by element; none where no forces are
    known."""
    known = np.isfinite(structures["forces"])
    if not known.any():
        return []
    true, wrong = structures["forces"][known], off.forces[known]
    of = np.repeat(symbols, 3)[known.ravel()]
    errors = {str(name): 1e3 * abs(wrong[of == name]) for name in dict.fromkeys(of.tolist())}
    title = f"Errors of force components, {part}"
    return [
        parity("parity_forces", f"Forces, {part}", "force", "eV/Angstrom", true, true + wrong, of),
        error_distribution("force_errors", title, errors, "meV/Angstrom"),
    ]


def _worst(
    structures: Dataset, off: Differences, symbols: np.ndarray, energy_weight: float, part: str
) -> list[dict[str, Any]]:
    """Scenes of the structures that the loss weighs most, the worst atom of each marked."""
    known, starts = np.isfinite(structures["forces"]), structures.starts
    wrong = np.where(known, off.forces, 0.0)
    summed, counted = (
        np.add.reduceat(values.sum(1), starts[:-1]) for values in (abs(wrong), known)
    )
    forces = summed / np.maximum(counted, 1)
    each = forces + energy_weight * abs(off.energies) / structures.sizes
    lengths = np.linalg.norm(wrong, axis=1)
    worst = []
    for k in np.argsort(-each, kind="stable")[:WORST]:
        first = int(starts[k])
        atom = int(lengths[first : starts[k + 1]].argmax())
        label = (
            f"Structure {k} of the {part}: energy off by {1e3 * off.energies[k]:,.1f} meV, forces"
            f" by {1e3 * forces[k]:,.0f} meV/Angstrom; most on atom {atom}, {symbols[first + atom]}"
            f" (circled), by {1e3 * lengths[first + atom]:,.0f}"
        )
        worst.append(static_scene(structures.system(int(k)), label, marked=atom))
    return worst


def numbers(measured: Mapping[str, float], part: str) -> list[Number]:
    """What `measures_of` found, in words and thousandths."""
    found = []
    for name, value in measured.items():
        what, measure, unit = _SAID.get(name) or (
            f"forces on {name.rpartition('_')[2]}",
            "mean absolute error",
            "meV/Angstrom",
        )
        found.append(Number(f"{part}_{name}", f"{part}, {what}", 1e3 * value, unit, note=measure))
    return found
