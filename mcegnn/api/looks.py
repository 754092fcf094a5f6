"""The single analyses of `mcegnn analyse` on an open run."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mcegnn.api.results import Result, numbers_of
from mcegnn.names import nearest
from mcegnn.runs.reading import known_of

if TYPE_CHECKING:
    from trajectories.analysis import Analysis
    from trajectories.storage.h5md import H5MDReader

#: which analysis has which curves
_ANALYSES = {
    "rdf": "radial distribution",
    "coordination": "radial distribution",
    "msd": "mean squared displacement",
    "vacf": "velocity autocorrelation",
    "spectrum": "velocity autocorrelation",
    "rmsd": "RMSD from the first frame",
    "conserved": "conserved quantities",
}
_THERMO = "temperature, energy and pressure"
_OF_ENERGY = ("energy_change", "energy_slope", "energy_drift", "potential_energy", "largest_force")


def curves(reader: "H5MDReader", key: str, select: str | None = None) -> Result:
    """The curves of this key, with the numbers of their analysis. Raises ValueError if the run has
    no such curve."""
    from trajectories.analysis.single import analyse_one

    name = _ANALYSES[key]
    found = analyse_one(reader, name, known_of(reader), select=select)
    return Result.of(_curve(found, key, f"this run has no {name}"), found)


def _curve(found: "Analysis", key: str, otherwise: str) -> Any:
    try:
        return found.curve(key)
    except KeyError:
        raise ValueError("; ".join((otherwise, *found.notes))) from None


def temperature(reader: "H5MDReader") -> Result:
    """Temperature of each frame in kelvin, [frames] or [frames, n_systems]."""
    from systems.units import METAL
    from trajectories.analysis.single import analyse_one
    from trajectories.analysis.thermo import temperatures

    if reader.units is not METAL:
        raise ValueError(
            f"this run has no temperature: it is in {reader.units.name} units, and has none in"
            " kelvin"
        )
    known = known_of(reader)
    found, kelvin = analyse_one(reader, _THERMO, known), temperatures(reader, known)
    if kelvin is None:
        raise ValueError("; ".join(found.notes) or "this run has no temperature")
    numbers = [number for number in found.numbers if number.key == "temperature"]
    return _series(reader, "temperature", {"": kelvin}, "K", numbers)


def energy(reader: "H5MDReader") -> Result:
    """Total, kinetic and potential energy of each frame, [frames] or [frames, n_systems], as far as
    they are known."""
    from systems.units import METAL

    kinetic, potential = (
        reader.observable(name) for name in ("kinetic_energy", "potential_energy")
    )
    parts = {"kinetic": kinetic, "potential": potential}
    if kinetic is not None and potential is not None:
        parts = {"total": kinetic + potential, **parts}
    there = {name: np.asarray(values) for name, values in parts.items() if values is not None}
    if not there:
        raise ValueError("this run has no energies: its file holds neither energies nor velocities")
    numbers = [number for number in _of_energy(reader) if number.key in _OF_ENERGY]
    return _series(reader, "energy", there, "eV" if reader.units is METAL else "", numbers)


def _of_energy(reader: "H5MDReader") -> "list[Any]":
    """The numbers of the analyses of energies that apply to this run."""
    from trajectories.analysis.guard import left_out
    from trajectories.analysis.single import analyse_one

    numbers: list[Any] = []
    for name in (_THERMO, _ANALYSES["conserved"]):
        with left_out(name, []):
            numbers += analyse_one(reader, name, known_of(reader)).numbers
    return numbers


def _series(
    reader: "H5MDReader",
    name: str,
    values: dict[str, np.ndarray],
    unit: str,
    numbers: list[Any],
) -> Result:
    """A quantity of each frame over time, as a `Result`."""
    from trajectories.analysis.time_series import time_axis

    axis, times = time_axis(reader)
    title = name[0].upper() + name[1:]
    by_key = numbers_of(numbers)
    return Result(name, title, times, axis.label, axis.unit, values, name, unit, by_key)


def everything(
    reader: "H5MDReader", reference: Any, tolerance: float, select: str | None
) -> "Analysis":
    """Everything that `trajectories.analysis.analyse` finds, given what the run's configuration
    says."""
    from trajectories.analysis import analyse

    return analyse(reader, known_of(reader), against=reference, tolerance=tolerance, select=select)


def figure(reader: "H5MDReader", what: str) -> Any:
    """The figure of a curve by its key, or of the trajectory."""
    from trajectories.analysis.draw import figure_of, styled
    from trajectories.analysis.single import analyse_one
    from trajectories.figures import trajectory_figure

    known = known_of(reader)
    if what == "trajectory":
        return trajectory_figure(reader, known)
    if what in _ANALYSES:
        found, words = (
            analyse_one(reader, _ANALYSES[what], known),
            f"this run has no {_ANALYSES[what]}",
        )
    else:
        found = everything(reader, None, 0.1, None)
        keys = ["trajectory", *(one.key for one in found.curves)]
        if what not in (*keys, "energy"):  # which the potential one may stand for
            near = nearest(what, [*_ANALYSES, *keys])
            raise ValueError(
                f"this run has no {what!r}; did you mean {near}? (it has {', '.join(keys)})"
            )
        words = f"this run has no {what!r}"
    with styled():
        return figure_of(_shown(found, what, words), title=True)


def _shown(found: "Analysis", what: str, otherwise: str) -> Any:
    """The curves of this key; of "energy" the potential one where the total is not conserved."""
    keys = [one.key for one in found.curves]
    instead = ("potential_energy", "potential") if what == "energy" else ()
    return _curve(found, next((key for key in (what, *instead) if key in keys), what), otherwise)


def chosen(reader: "H5MDReader", frames: int | slice) -> int | range:
    """The numbers of these frames. Raises IndexError if there is no such frame."""
    every = range(len(reader))
    if isinstance(frames, int) and not -len(every) <= frames < len(every):
        raise IndexError(f"frame {frames} of {len(every)}")
    return every[frames]


def rows(reader: "H5MDReader") -> list[tuple[str, str]]:
    """Rows of a table that describe a run: system, frames, times, units."""
    from trajectories.analysis.time_series import time_axis

    axis, times = time_axis(reader)
    who = _formula(reader)
    many = "" if reader.n_systems is None else f"{reader.n_systems:,} systems of "
    found = [
        ("frames", f"{len(reader):,} frames"),
        ("particles", f"{many}{reader.n_particles:,} {who}"),
    ]
    if axis.label == "time":
        found.append(("time", f"time {times[0]:.6g} to {times[-1]:.6g} {axis.unit}".rstrip()))
    return [*found, ("units", f"{reader.units.name} units")]


def _formula(reader: "H5MDReader") -> str:
    """Atoms with their formula, or particles."""
    if not reader.species.any():
        return "bodies" if reader.names else "particles"
    from ase.data import chemical_symbols
    from ase.formula import Formula

    counts: dict[str, int] = {}
    for number in reader.species:
        symbol = chemical_symbols[number]
        counts[symbol] = counts.get(symbol, 0) + 1
    return f"atoms ({Formula.from_dict(counts).format('hill')})"
