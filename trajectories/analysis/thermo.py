"""What a run conserved and how hot and compressed it was: means with errors, curves against time, and what they warn of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from systems.units import ASTRONOMICAL, METAL, PASCALS
from trajectories.analysis.averages import mean_and_error
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.conservation import conservation
from trajectories.h5md import H5MDReader

CONSERVED = ("energy", "momentum", "angular_momentum")
_DRIFT = 0.1  # meV an atom and ps, where a drift is worth a word
_ORBITS = 1e-6  # of the energy, for planets
_ENOUGH = 100  # frames, below which a mean's error is not known well enough to complain
_SPREAD = 3.0  # standard errors by which a mean may be off


@dataclass(frozen=True)
class Known:
    """What is known of a run beside its frames; the defaults suit a run at constant energy that nothing is known of.

    ``conserves`` names what its flow should conserve; ``sure`` says that this, and what is held, is known and not only what files tell.
    ``n_degrees`` counts the degrees of freedom (three a particle else), ``temperature`` and ``pressure`` (eV / Angstrom^3) are what a
    thermostat and barostat hold: one value, or the first and the last of a ramp. ``parents`` is the body that each body goes around,
    ``epoch`` a planets' run's start, a TDB Julian day. ``lost`` are systems of an ensemble that went bad and stand still.
    """

    conserves: Sequence[str] = CONSERVED
    sure: bool = True
    n_degrees: int | None = None
    temperature: Sequence[float] = ()
    pressure: Sequence[float] = ()
    parents: dict[str, str] = field(default_factory=dict)
    epoch: float | None = None
    lost: Sequence[int] = ()


def _sound(values: np.ndarray, known: Known) -> np.ndarray:
    """Of [frames, n_systems, ...] the systems that did not go bad; all of them where there are no others."""
    return np.delete(values, list(known.lost), axis=1) if values.ndim > 1 and 0 < len(known.lost) < values.shape[1] else values


def _with_velocities(run: H5MDReader, values: np.ndarray) -> tuple[np.ndarray, Axis, np.ndarray]:
    """Values [frames, ...] with their times; where some frames hold no velocities, of the frames in which the values are known."""
    axis, times = time_axis(run)
    if run.moving.all() or not run.has_velocities:
        return values, axis, times
    known = np.isfinite(values.reshape(len(values), -1)).all(1)
    return values[known], axis, times[known]


def time_axis(run: H5MDReader) -> tuple[Axis, np.ndarray]:
    """Picoseconds, years, or bare numbers; the frames' numbers where files tell no times."""
    if "times" in run.missing:
        return Axis("frame"), np.arange(len(run), dtype=float)
    if run.units is METAL:
        return Axis("time", "ps"), run.times / METAL.convert(1.0, "ps")
    if run.units is ASTRONOMICAL:
        return Axis("time", "years"), run.times / 365.25
    return Axis("time", run.units.time), run.times


def over_systems(values: np.ndarray) -> dict[str, np.ndarray]:
    """The one curve of [frames], or three that stand for an ensemble's [frames, n_systems]."""
    columns = values.reshape(len(values), -1)
    if columns.shape[1] == 1:
        return {"": columns[:, 0]}
    low, middle, high = np.quantile(columns, [0.1, 0.5, 0.9], 1)
    return {"median": middle, "lowest tenth": low, "highest tenth": high}


def conserved(run: H5MDReader, known: Known, into: Analysis) -> None:
    """Relative drifts of what should be conserved."""
    drifts, (axis, times) = conservation(run), time_axis(run)
    times = times[run.moving]
    into.conservation = drifts
    # the faces of a periodic cell exert a torque
    names = [name for name in known.conserves if name != "angular_momentum" or not any(run.pbc)]
    found = {name: getattr(drifts, name) for name in names}
    values = {name.replace("_", " "): abs(drift).max(1) for name, drift in found.items() if drift is not None}
    for name, largest in values.items():
        if len(run) > 1:
            into.numbers.append(Number(f"{name.replace(' ', '_')}_drift", f"largest relative drift of {name}", float(largest.max())))
    if len(run) > 1 and any(largest.any() for largest in values.values()):
        worst = ", ".join(f"{name} {largest.max():.2g}" for name, largest in values.items())
        of = "the worst of all systems" if run.n_systems else "relative"
        into.curves.append(
            Curves("conserved", "Conserved quantities", axis, times, Axis("relative drift", "", True), values, f"Largest, {of}: {worst}.")
        )
    energy = found.get("energy")
    if run.units is ASTRONOMICAL and energy is not None and abs(energy).max() > _ORBITS:
        into.warnings.append(f"The energy of the bodies drifts by {abs(energy).max():.1g} of itself: halve the time step.")


def matter(run: H5MDReader, known: Known, into: Analysis) -> None:
    """Temperature, energy, pressure and volume of a run in metal units; means are over its second half."""
    if run.units is not METAL:
        return
    kinetic, potential, pressure, spread = (
        None if values is None else _sound(values, known)
        for values in map(run.observable, ("kinetic_energy", "potential_energy", "pressure", "uncertainty"))
    )
    if kinetic is None:
        into.notes.append("no temperature: the frames hold no velocities")
    elif "masses" in run.missing:
        into.notes.append("no temperature: the files do not tell all masses")
    else:
        degrees = known.n_degrees or 3 * run.n_particles
        kelvin = 2.0 * kinetic / (degrees * METAL.boltzmann)
        _mean(run, known, into, "temperature", "Temperature", "K", kelvin, known.temperature, f"{degrees:,} degrees of freedom")
        if "imported" in run.provenance and known.n_degrees is None:
            into.notes.append(
                "the temperature counts all degrees of freedom: where bonds were constrained, which files do not tell, it is higher"
            )
    if potential is not None and kinetic is not None and "energy" in known.conserves:
        _drift(run, 1000.0 * (potential + kinetic).reshape(len(run), -1) / run.n_particles, known, into)
    if potential is not None and kinetic is None:
        _relaxed(run, 1000.0 * (potential - potential[-1]).reshape(len(run), -1) / run.n_particles, into)
    if pressure is not None:
        bar = PASCALS / 1e5
        _mean(run, known, into, "pressure", "Pressure", "bar", pressure * bar, [asked * bar for asked in known.pressure])
    cells = _sound(run.cells, known) if run.cells.ndim == 4 else run.cells
    if cells.any() and np.ptp(cells, axis=0).any():
        _mean(run, known, into, "volume", "Volume", "Angstrom^3", abs(np.linalg.det(cells)), ())
    if spread is not None:
        axis, times = time_axis(run)
        said = f"At most {spread.max():.3g} eV/Angstrom."
        shown = Axis("largest disagreement", "eV/Angstrom")
        into.curves.append(Curves("uncertainty", "Disagreement of the committee", axis, times, shown, over_systems(spread), said))
        into.numbers.append(Number("uncertainty", "largest disagreement of the committee", float(spread.max()), "eV/Angstrom"))


def _mean(
    run: H5MDReader, known: Known, into: Analysis, key: str, title: str, unit: str, values: np.ndarray, asked: Sequence[float],
    more: str = "",
) -> None:  # fmt: skip
    """The mean over the second half, or of a ramp, which has none, both ends; and the curve."""
    values, axis, times = _with_velocities(run, values)
    name, error, least, n = title.lower(), None, False, len(values)
    if max(len(known.temperature), len(known.pressure)) > 1:
        part = max(1, n // 10)
        first, mean = float(values[:part].mean()), float(values[-part:].mean())
        note = f"last tenth of a ramp; {first:.4g} in the first" + (f", asked {asked[0]:.5g} to {asked[-1]:.5g}" if asked else "")
        said = f"From {first:.4g} {unit} to {mean:.4g} {unit}, means of a tenth of the run."
    else:
        half = values[n // 2 :]
        mean, error, least = mean_and_error(half)
        note = ("mean of the second half" if n > 1 else "") + "".join(f", asked {value:.5g}" for value in asked)
        number = Number(key, name, mean, unit, error, least=least)
        said = f"{number} over the second half" + ("" if error is None else ", with its standard error") + "."
        for value in asked:
            off = f"The {name} is {mean:.4g} {unit} where {value:.4g} was asked"
            judged = known.sure and error is not None and not least and len(half) >= _ENOUGH
            if judged and abs(mean - value) > max(_SPREAD * (error or 0.0), 0.02 * abs(value)):
                into.warnings.append(f"{off}: the run is too short, or its coupling is too weak.")
    note = "; ".join(filter(None, (note.removeprefix(", "), more)))
    into.numbers.append(Number(key, name, mean, unit, error, note, least))
    if n > 1:
        into.curves.append(Curves(key, title, axis, times, Axis(name, unit), over_systems(values), said))


def _relaxed(run: H5MDReader, energies: np.ndarray, into: Analysis) -> None:
    """Potential energies above the last, meV an atom [frames, n_systems], and what forces are left: of frames without velocities."""
    last = run[-1].evaluation
    if last is not None:
        force = float(np.linalg.norm(last.forces, axis=-1).max())
        into.numbers.append(Number("largest_force", "largest force in the last frame", force, "eV/Angstrom"))
    if len(run) > 1:
        axis, times = time_axis(run)
        said = f"From {energies[0].max():.4g} meV an atom above the last frame's energy."
        shown = Axis("energy above the last", "meV/atom")
        into.curves.append(Curves("potential", "Potential energy", axis, times, shown, over_systems(energies), said))


def _drift(run: H5MDReader, total: np.ndarray, known: Known, into: Analysis) -> None:
    """Of the total energy an atom, meV [frames, n_systems]: largest change, and the slope where it is one."""
    total, axis, times = _with_velocities(run, total)
    change = total - total[0]
    largest = float(abs(change).max())
    into.numbers.append(Number("energy_change", "largest change of energy", largest, "meV/atom"))
    if len(total) < 3 or "times" in run.missing:
        return
    slopes = np.polyfit(times, change, 1)[0]
    slope, span = float(np.median(slopes)), float(np.ptp(times))
    into.numbers.append(Number("energy_slope", "drift of energy", slope, "meV/atom/ps"))
    said = f"Largest change {largest:.3g} meV an atom; the straight line through it rises by {slope:.2g} meV an atom and ps."
    into.curves.append(Curves("energy", "Total energy, change", axis, times, Axis("energy", "meV/atom"), over_systems(change), said))
    scatter = float(np.median((change - np.outer(times, slopes)).std(0)))
    if abs(slope) > _DRIFT and abs(slope) * span > 2.0 * scatter:
        what = f"The energy drifts by {slope:.2g} meV an atom and ps"
        if known.sure:
            into.warnings.append(f"{what}: halve the time step, or look at the forces.")
        else:
            into.notes.append(f"{what[0].lower()}{what[1:]}: too much if nothing held the temperature, which the files do not tell")
