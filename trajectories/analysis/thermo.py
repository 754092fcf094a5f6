"""What a run conserved and how hot and compressed it was: means with errors, curves against time,
and what they warn of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from systems.cell import heights
from systems.units import ASTRONOMICAL, METAL, PASCALS
from trajectories.analysis.averages import mean_and_error, trend
from trajectories.analysis.blocks import blocks
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.conservation import conservation
from trajectories.storage.h5md import H5MDReader

CONSERVED = ("energy", "momentum", "angular_momentum")
_DRIFT = 0.1  # meV an atom and ps, where a drift is worth a word
# of the whole kinetic energy, below which there is no motion about the centre but that of rounded
# velocities
_ROUNDING = 1e-24
_ORBITS = 1e-6  # of the energy, for planets
# times its share of the kinetic energy, from which on the centre of mass does more than jitter
_DRIFTING = 10.0
# of what it was at the start, the least height beside the cube root of the volume, below which a
# cell has lost its shape
_SHAPE = 0.5
_ENOUGH = 100  # frames, below which a mean's error is not known well enough to complain
_SPREAD = 3.0  # standard errors by which a mean may be off


@dataclass(frozen=True)
class Known:
    """What is known of a run beside its frames; the defaults suit a run at constant energy that
    nothing is known of.

    ``conserves`` names what its flow should conserve; ``sure`` says that this, and what is held, is
    known and not only what files tell. ``n_degrees`` counts the degrees of freedom, as `degrees_of`
    says, ``temperature`` and ``pressure`` (eV / Angstrom^3) are what a thermostat and barostat
    hold: one value, or the first and the last of a ramp. ``parents`` is the body that each body
    goes around, ``epoch`` a planets' run's start, a TDB Julian day. ``lost`` are systems of an
    ensemble that went bad and stand still, ``why_energy_drifts`` says it of a scheme that lets it.
    """

    conserves: Sequence[str] = CONSERVED
    sure: bool = True
    n_degrees: int | None = None
    temperature: Sequence[float] = ()
    pressure: Sequence[float] = ()
    parents: dict[str, str] = field(default_factory=dict)
    epoch: float | None = None
    lost: Sequence[int] = ()
    why_energy_drifts: str = ""


def _sound(values: np.ndarray, known: Known) -> np.ndarray:
    """Of [frames, n_systems, ...] the systems that did not go bad; all of them where there are no
    others."""
    return (
        np.delete(values, list(known.lost), axis=1)
        if values.ndim > 1 and 0 < len(known.lost) < values.shape[1]
        else values
    )


def _with_velocities(run: H5MDReader, values: np.ndarray) -> tuple[np.ndarray, Axis, np.ndarray]:
    """Values [frames, ...] with their times; where some frames hold no velocities, of the frames in
    which the values are known."""
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
    values = {
        name.replace("_", " "): abs(drift).max(1)
        for name, drift in found.items()
        if drift is not None
    }
    for name, largest in values.items():
        if len(run) > 1:
            each = abs(found[name.replace(" ", "_")]).max(0)
            note = [f"the worst of {len(each):,} systems; median {np.median(each):.2g}"] * (
                len(each) > 1
            )
            note += [known.why_energy_drifts] * (name == "energy" and bool(known.why_energy_drifts))
            into.numbers.append(
                Number(
                    f"{name.replace(' ', '_')}_drift",
                    f"largest relative drift of {name}",
                    float(largest.max()),
                    note="; ".join(note),
                )
            )
    if len(run) > 1 and any(largest.any() for largest in values.values()):
        worst = ", ".join(f"{name} {largest.max():.2g}" for name, largest in values.items())
        of = "the worst of all systems" if run.n_systems else "relative"
        into.curves.append(
            Curves(
                "conserved",
                "Conserved quantities",
                axis,
                times,
                Axis("relative drift", "", True),
                values,
                f"Largest, {of}: {worst}.",
            )
        )
    energy = found.get("energy")
    if run.units is ASTRONOMICAL and energy is not None and abs(energy).max() > _ORBITS:
        into.warnings.append(
            f"The energy of the bodies drifts by {abs(energy).max():.1g} of itself: halve the time"
            " step."
        )


def degrees_of(run: H5MDReader, known: Known) -> tuple[int, bool]:
    """Degrees of freedom that have the temperature, and whether the centre of mass's motion is left
    out of them.

    It is taken out of both the count and the kinetic energy, or of neither. Of our runs, unless
    ``known.n_degrees`` says else, they are the 3 n - 3 of motions about the centre, whose mean
    kinetic energy is (3 n - 3) kB T / 2 whether or not a thermostat acts on the centre too. Where
    particles are held, or something else than 3 n - 3 is known to be free, all motion counts: three
    a particle that is not held. Files of other programs do not tell; as in ASE all motion counts
    there, unless the centre moves with more than heat.
    """
    n = run.n_particles
    every = 3 * (n - len(run.frozen)) if known.n_degrees is None else known.n_degrees
    if run.frozen or n == 1:
        return every, False
    if "imported" in run.provenance:
        return (every - 3, True) if moves_as_a_whole(run, every) else (every, False)
    degrees = 3 * n - 3 if known.n_degrees is None else known.n_degrees
    return degrees, degrees == 3 * n - 3


def moves_as_a_whole(run: H5MDReader, n_degrees: int) -> bool:
    """Whether the centre of mass has ten times its share of the heat in the first frame with
    velocities: it drifts."""
    moving = np.flatnonzero(run.moving)
    if not len(moving) or n_degrees <= 3:
        return False
    v = run.frames("velocity", int(moving[0])).reshape(-1, run.n_particles, 3)
    drift = np.einsum("n,sna->sa", run.masses / run.masses.sum(), v)
    of_center = run.masses.sum() * (drift**2).sum()
    about = np.einsum("n,sna->", run.masses, (v - drift[:, None]) ** 2)
    return bool(of_center / 3 > _DRIFTING * about / (n_degrees - 3))


def temperatures(run: H5MDReader, known: Known) -> np.ndarray | None:
    """Of every frame, [frames] or [frames, n_systems], in kelvin; None without velocities, or where
    some masses are not known."""
    kinetic = run.observable("kinetic_energy")
    if kinetic is None or "masses" in run.missing:
        return None
    degrees, about_center = degrees_of(run, known)
    if about_center:
        about = kinetic_energies(run)[0].reshape(kinetic.shape)
        kinetic = np.where(about < _ROUNDING * kinetic, 0.0, about)
    return np.asarray(2.0 * kinetic / (degrees * METAL.boltzmann))


def pressures(run: H5MDReader, known: Known) -> np.ndarray | None:
    """Of every frame, [frames] or [frames, n_systems], in eV / Angstrom^3, without the centre's
    motion where the temperature is."""
    pressure = run.observable("pressure")
    if pressure is None or not run.has_velocities or not degrees_of(run, known)[1]:
        return pressure
    volumes = abs(np.linalg.det(run.cells)).reshape(len(run), -1)
    return np.asarray(
        pressure - (2.0 / 3.0 * kinetic_energies(run)[1] / volumes).reshape(pressure.shape)
    )


def kinetic_energies(run: H5MDReader) -> tuple[np.ndarray, np.ndarray]:
    """Of the motion about the centre of mass, and of the centre, [frames, n_systems] each;
    velocities are read in blocks."""
    about, of_center = np.empty((2, len(run), run.n_systems or 1))
    total = run.masses.sum()
    for where, v in blocks(run, "velocity"):
        drift = np.einsum("n,fsna->fsa", run.masses / total, v)
        about[where] = 0.5 * np.einsum("n,fsna->fs", run.masses, (v - drift[:, :, None]) ** 2)
        of_center[where] = 0.5 * total * (drift**2).sum(-1)
    return about, of_center


def matter(run: H5MDReader, known: Known, into: Analysis) -> None:
    """Temperature, energy, pressure and volume of a run in metal units; means are over its second
    half."""
    if run.units is not METAL:
        return
    kinetic, potential, spread = (
        None if values is None else _sound(values, known)
        for values in map(run.observable, ("kinetic_energy", "potential_energy", "uncertainty"))
    )
    kelvin, pressure = (
        None if values is None else _sound(values, known)
        for values in (temperatures(run, known), pressures(run, known))
    )
    if kinetic is None:
        into.notes.append("no temperature: the frames hold no velocities")
    elif kelvin is None:
        into.notes.append("no temperature: the files do not tell all masses")
    else:
        degrees, about_center = degrees_of(run, known)
        _mean(
            run,
            known,
            into,
            "temperature",
            "Temperature",
            "K",
            kelvin,
            known.temperature,
            f"{degrees:,} degrees of freedom",
        )
        if "imported" in run.provenance and about_center:
            into.notes.append(
                "the atoms move as a whole, which is no heat: the temperature is that of motion"
                " about the centre of mass"
            )
        if "imported" in run.provenance and known.n_degrees is None:
            into.notes.append(
                "the temperature counts all degrees of freedom: where bonds were constrained, which"
                " files do not tell, it is higher"
            )
    if potential is not None and kinetic is not None and "energy" in known.conserves:
        _drift(
            run, 1000.0 * (potential + kinetic).reshape(len(run), -1) / run.n_particles, known, into
        )
    if potential is not None and kinetic is not None and "energy" not in known.conserves:
        each = potential / run.n_particles
        _mean(run, known, into, "potential_energy", "Potential energy", "eV/atom", each, ())
    if potential is not None and kinetic is None:
        _relaxed(
            run, 1000.0 * (potential - potential[-1]).reshape(len(run), -1) / run.n_particles, into
        )
    if pressure is not None:
        bar = PASCALS / 1e5
        _mean(
            run,
            known,
            into,
            "pressure",
            "Pressure",
            "bar",
            pressure * bar,
            [asked * bar for asked in known.pressure],
        )
    cells = _sound(run.cells, known) if run.cells.ndim == 4 else run.cells
    if cells.any() and np.ptp(cells, axis=0).any():
        _mean(run, known, into, "volume", "Volume", "Angstrom^3", abs(np.linalg.det(cells)), ())
        _shape(cells.reshape(len(cells), -1, 3, 3), into)
    if spread is not None:
        axis, times = time_axis(run)
        said = f"At most {spread.max():.3g} eV/Angstrom."
        shown = Axis("largest disagreement", "eV/Angstrom")
        into.curves.append(
            Curves(
                "uncertainty",
                "Disagreement of the committee",
                axis,
                times,
                shown,
                over_systems(spread),
                said,
            )
        )
        into.numbers.append(
            Number(
                "uncertainty",
                "largest disagreement of the committee",
                float(spread.max()),
                "eV/Angstrom",
            )
        )


def _shape(cells: np.ndarray, into: Analysis) -> None:
    """Warn of cells [n_frames, n_systems, 3, 3] that have lost their shape, as a liquid lets a
    flexible one: all images are in the way."""
    if not cells.any((-2, -1)).all() or not (abs(np.linalg.det(cells)) > 0).all():
        return
    first, last = (
        heights(frame).min(-1) / abs(np.linalg.det(frame)) ** (1 / 3)
        for frame in (cells[0], cells[-1])
    )
    if (last < _SHAPE * first).any():
        k = int((last / first).argmin())
        least = [float(heights(frame[k]).min()) for frame in (cells[0], cells[-1])]
        into.warnings.append(
            f"The cell has lost its shape, its least height went from {least[0]:.3g} to"
            f" {least[1]:.3g} Angstrom: a liquid resists no shear, so keep the shape in npt (leave"
            " out --flexible)."
        )


def _mean(
    run: H5MDReader,
    known: Known,
    into: Analysis,
    key: str,
    title: str,
    unit: str,
    values: np.ndarray,
    asked: Sequence[float],
    more: str = "",
) -> None:
    """The mean over the second half, or of a ramp, which has none, both ends; and the curve."""
    values, axis, times = _with_velocities(run, values)
    name, error, least, n = title.lower(), None, False, len(values)
    if max(len(known.temperature), len(known.pressure)) > 1:
        part = max(1, n // 10)
        first, mean = float(values[:part].mean()), float(values[-part:].mean())
        note = f"last tenth of a ramp; {first:.4g} in the first" + (
            f", asked {asked[0]:.5g} to {asked[-1]:.5g}" if asked else ""
        )
        said = f"From {first:.4g} {unit} to {mean:.4g} {unit}, means of a tenth of the run."
    else:
        half = values[n // 2 :]
        mean, error, least = mean_and_error(half)
        note = ("mean of the second half" if n > 1 else "") + "".join(
            f", asked {value:.5g}" for value in asked
        )
        number = Number(key, name, mean, unit, error, least=least)
        said = (
            f"{number} over the second half"
            + ("" if error is None else ", with its standard error")
            + "."
        )
        if (change := trend(half)) is not None:
            moved = Number(key, name, change.value, unit, change.error, least=change.least)
            drifting = f"still drifting, by {moved} over the second half of the run"
            said += f" It is {drifting}."
            into.notes.append(f"the {name} is {drifting}: its mean is not that of a run at rest")
        for value in asked:
            off = f"The {name} is {mean:.4g} {unit} where {value:.4g} was asked"
            judged = known.sure and error is not None and not least and len(half) >= _ENOUGH
            if judged and abs(mean - value) > max(_SPREAD * (error or 0.0), 0.02 * abs(value)):
                into.warnings.append(f"{off}: the run is too short, or its coupling is too weak.")
    note = "; ".join(filter(None, (note.removeprefix(", "), more)))
    into.numbers.append(Number(key, name, mean, unit, error, note, least))
    if n > 1:
        into.curves.append(
            Curves(key, title, axis, times, Axis(name, unit), over_systems(values), said)
        )


def _relaxed(run: H5MDReader, energies: np.ndarray, into: Analysis) -> None:
    """Potential energies above the last, meV an atom [frames, n_systems], and what forces are left:
    of frames without velocities."""
    last = run[-1].evaluation
    if last is not None:
        force = float(np.linalg.norm(last.forces, axis=-1).max())
        into.numbers.append(
            Number("largest_force", "largest force in the last frame", force, "eV/Angstrom")
        )
    if len(run) > 1:
        axis, times = time_axis(run)
        said = f"From {energies[0].max():.4g} meV an atom above the last frame's energy."
        shown = Axis("energy above the last", "meV/atom")
        into.curves.append(
            Curves(
                "potential", "Potential energy", axis, times, shown, over_systems(energies), said
            )
        )


def _drift(run: H5MDReader, total: np.ndarray, known: Known, into: Analysis) -> None:
    """Of the total energy an atom, meV [frames, n_systems]: largest change, and the slope where it
    is one."""
    total, axis, times = _with_velocities(run, total)
    change = total - total[0]
    largest = float(abs(change).max())
    into.numbers.append(Number("energy_change", "largest change of energy", largest, "meV/atom"))
    if len(total) < 3 or "times" in run.missing:
        return
    slopes = np.polyfit(times, change, 1)[0]
    slope, span = float(np.median(slopes)), float(np.ptp(times))
    into.numbers.append(Number("energy_slope", "drift of energy", slope, "meV/atom/ps"))
    said = (
        f"Largest change {largest:.3g} meV an atom; the straight line through it"
        f" {'falls' if slope < 0 else 'rises'} by {abs(slope):.2g} meV an atom and ps."
    )
    into.curves.append(
        Curves(
            "energy",
            "Total energy, change",
            axis,
            times,
            Axis("energy", "meV/atom"),
            over_systems(change),
            said,
        )
    )
    scatter = float(np.median((change - np.outer(times, slopes)).std(0)))
    if abs(slope) > _DRIFT and abs(slope) * span > 2.0 * scatter:
        what = f"The energy drifts by {slope:.2g} meV an atom and ps"
        if known.sure:
            into.warnings.append(f"{what}: halve the time step, or look at the forces.")
        else:
            into.notes.append(
                f"{what[0].lower()}{what[1:]}: too much if nothing held the temperature, which the"
                " files do not tell"
            )
