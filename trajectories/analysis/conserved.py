"""Conservation in a run: relative drifts of conserved quantities and of the energy per atom, and
energies of frames without velocities."""

import numpy as np

from systems.units import ASTRONOMICAL
from trajectories.analysis.known import Known
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.time_series import over_systems, time_axis, with_velocities
from trajectories.conservation import conservation
from trajectories.storage.h5md import H5MDReader

_DRIFT = 0.1  # meV an atom and ps, where a drift is worth a word
_ORBITS = 1e-6  # of the energy, for planets


def conserved(run: H5MDReader, known: Known, into: Analysis) -> None:
    """Add the relative drifts of the quantities that should be conserved."""
    into.conservation = conservation(run)
    # the faces of a periodic cell exert a torque
    names = [name for name in known.conserves if name != "angular_momentum" or not any(run.pbc)]
    drifts = {
        name.replace("_", " "): abs(drift)
        for name in names
        if (drift := getattr(into.conservation, name)) is not None
    }
    if len(run) > 1:
        into.numbers += [_largest(name, drift, known) for name, drift in drifts.items()]
        into.curves += _drift_curves(run, {name: drift.max(1) for name, drift in drifts.items()})
    energy = drifts.get("energy")
    if run.units is ASTRONOMICAL and energy is not None and energy.max() > _ORBITS:
        into.warnings.append(
            f"The energy of the bodies drifts by {energy.max():.1g} of itself: halve the time step."
        )


def _largest(name: str, drift: np.ndarray, known: Known) -> Number:
    """The largest relative drift [frames, n_systems] of a quantity."""
    notes = []
    if drift.shape[1] > 1:
        median = np.median(drift.max(0))
        notes.append(f"the worst of {drift.shape[1]:,} systems; median {median:.2g}")
    if name == "energy" and known.why_energy_drifts:
        notes.append(known.why_energy_drifts)
    key, label = f"{name.replace(' ', '_')}_drift", f"largest relative drift of {name}"
    return Number(key, label, float(drift.max()), note="; ".join(notes))


def _drift_curves(run: H5MDReader, values: dict[str, np.ndarray]) -> list[Curves]:
    """The largest drifts of all systems [frames], against time."""
    if not any(largest.any() for largest in values.values()):
        return []
    axis, times = time_axis(run)
    worst = ", ".join(f"{name} {largest.max():.2g}" for name, largest in values.items())
    of = "the worst of all systems" if run.n_systems else "relative"
    shown, said = Axis("relative drift", "", True), f"Largest, {of}: {worst}."
    title = "Conserved quantities"
    return [Curves("conserved", title, axis, times[run.moving], shown, values, said)]


def energies_above_last(run: H5MDReader, energies: np.ndarray, into: Analysis) -> None:
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


def energy_drift(run: H5MDReader, total: np.ndarray, known: Known, into: Analysis) -> None:
    """Of the total energy an atom, meV [frames, n_systems]: largest change, and the slope where it
    is one."""
    total, axis, times = with_velocities(run, total)
    change = total - total[0]
    largest = float(abs(change).max())
    into.numbers.append(Number("energy_change", "largest change of energy", largest, "meV/atom"))
    if len(total) < 3 or "times" in run.missing:
        return
    slopes = np.polyfit(times, change, 1)[0]
    slope, span = float(np.median(slopes)), float(np.ptp(times))
    into.numbers.append(Number("energy_slope", "drift of energy", slope, "meV/atom/ps"))
    said = (
        f"Largest change {largest:.3g} meV an atom; its linear trend"
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
