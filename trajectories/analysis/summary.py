"""Everything that there is to say of a run: which analyses fit it, and what was left out and why."""

from collections.abc import Callable

import numpy as np

from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis import correlation, structure
from trajectories.analysis.blocks import spacing
from trajectories.analysis.encounters import encounter_curves
from trajectories.analysis.motion import displacement, vibrations
from trajectories.analysis.orbits import orbit_curves
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.shape import deviation_curve
from trajectories.analysis.thermo import Known, conserved, matter, time_axis
from trajectories.forecast import ForecastError, distance_to_jpl, forecast_error
from trajectories.h5md import H5MDReader

_KINDS = 4  # elements that are told apart
_FEWEST = 32  # frames that a spectrum takes


def analyse(
    run: H5MDReader, known: Known | None = None, *, against: H5MDReader | None = None, tolerance: float = 0.1, select: str | None = None,
    told: Callable[[str, float], None] = lambda what, share: None,
) -> Analysis:  # fmt: skip
    """Numbers, curves, warnings and notes of a run; frames are read in blocks, so it may be larger than memory.

    ``against`` is a reference whose distance is told, with the time it stays below ``tolerance``; ``select``, in MDAnalysis' language,
    the atoms whose correlations and surroundings are looked at. ``told`` hears what is being done and how far it is. Raises ValueError
    for a run without frames, a selection that matches nothing, and runs that cannot be compared.
    """
    if not len(run):
        raise ValueError(f"{run.path} holds no frames yet")
    known, found = known or Known(), Analysis()
    chosen = None if select is None else selected(run, select)
    if against is not None:
        told("comparing", 0.0)
        found.forecast = forecast_error(run, against)
        found.curves.append(forecast_curves(found.forecast, run, tolerance, found))
    if len(run) == 1:
        found.notes.append("it is a single frame: nothing that takes time is computed")
    if known.lost:
        found.notes.append(
            "systems that went bad are left out of temperature, pressure, volume and energy, but not of what is conserved, of distances "
            "and motions"
        )
    found.notes.extend(run.notes)
    if run.cannot_follow:
        found.warnings.append(run.cannot_follow)
    if "masses" in run.missing:
        found.notes.append("atoms whose mass the files do not tell have one of 1 u")
    if "times" in run.missing:
        found.notes.append("the files tell no times, so curves go by frames; tell them with --frame-interval")
    told("what is conserved", 0.0)
    if run.has_velocities:
        conserved(run, known, found)
    else:
        found.notes.append("no conserved quantities, velocity autocorrelation or spectrum: the frames hold no velocities")
    matter(run, known, found)
    if select is not None and run.units is not METAL:
        found.notes.append(f"the selection {select!r} changes nothing here: it chooses atoms whose distances and motions are looked at")
    if run.units is ASTRONOMICAL:
        _planets(run, known, found)
    elif run.units is METAL or any(run.pbc):
        _atoms(run, chosen, found, told)
    else:
        numbers, curves = ([], []) if run.n_particles < 2 or any(run.pbc) else encounter_curves(run)
        found.numbers += numbers
        found.curves += curves if len(run) > 1 else []
    return found


def selected(run: H5MDReader, select: str) -> np.ndarray:
    """Particles of one system that a selection in MDAnalysis' language matches; ValueError where it matches none or is none."""
    u = run.universe()
    try:
        matched = u.atoms[: run.n_particles].select_atoms(select).indices
    except Exception as error:
        raise ValueError(f"{select!r} is no selection that MDAnalysis understands ({' '.join(str(error).split())})") from None
    finally:
        u.trajectory.close()
    if not len(matched):
        raise ValueError(f'the selection {select!r} matches no particle; elements are chosen by "element O", numbers by "index 0:9"')
    return np.asarray(matched)


def _planets(run: H5MDReader, known: Known, found: Analysis) -> None:
    if run.n_particles > 1 and run.has_velocities and len(run) > 1:
        found.curves += orbit_curves(run, known.parents)
    if known.epoch is None:
        return
    try:
        found.jpl = distance = distance_to_jpl(run, known.epoch, [known.parents.get(name, "") for name in run.names])
    except (RuntimeError, ValueError) as error:
        found.notes.append(f"no comparison with JPL: {error}")
        return
    last = distance.kilometers[-1]
    for name, km in zip(distance.names, last, strict=True):
        found.numbers.append(Number(f"from_jpl_{name}", f"{name}, from JPL DE440 at the end", float(km), "km"))
    if len(distance.times) > 1:
        said = f"At the end {last.min():.3g} km ({distance.names[last.argmin()]}) to {last.max():.3g} km ({distance.names[last.argmax()]})."
        values = dict(zip(distance.names, distance.kilometers.T, strict=True))
        axis = Axis("distance", "km", True)
        found.curves.append(Curves("jpl", "Distance to JPL DE440", Axis("time", "years"), distance.times / 365.25, axis, values, said))


def _atoms(run: H5MDReader, chosen: np.ndarray | None, found: Analysis, told: Callable[[str, float], None]) -> None:
    groups = _groups(run, chosen)
    moving = {name: group for name, group in groups.items() if len(group)}
    periodic = all(run.pbc) and bool(run.cells.any())
    if run.n_particles > 1:
        told("distances", 0.0)
        own = None if chosen is None else {"selection": chosen}
        curves, every = structure.radial_distributions(run, own, lambda share: told("distances", share))
        found.curves += [] if curves is None else [curves]
        if len(run) > 1:
            seen = "" if every == 1 else f", and in one frame of {every}"
            found.notes.append(f"distances, bonds and angles were looked at in the second half of the run{seen}")
        found.curves += structure.bond_curves(run) if chosen is None else []
    shaped = np.arange(run.n_particles) if chosen is None else chosen
    if len(run) > 1 and len(shaped) > 2 and not run.cannot_follow and (chosen is not None or not any(run.pbc)):
        found.curves.append(deviation_curve(run, shaped))
    if not periodic:
        found.notes.append("no density to compare distances with, and no diffusion: there is no box that is periodic in all directions")
    if len(run) < 3:
        return
    if not _evenly_spaced(run.times):
        found.notes.append("no correlations in time: the frames are not evenly spaced")
        return
    if "times" in run.missing:
        found.notes.append("no correlations in time: the files tell no times")
        return
    n_lags = correlation.longest_lag(run, len(run))
    if n_lags < len(run) // 2:
        found.notes.append(f"correlations in time end at {n_lags} frames, half of what the run has: more would not fit into memory")
    if run.cannot_follow:
        found.notes.append("no mean squared displacement and no diffusion coefficient: atoms cannot be followed")
    elif periodic:
        displacement(run, moving, n_lags, found, told)
    if run.has_velocities and not run.moving.all():
        found.notes.append("no velocity autocorrelation or spectrum: not all frames hold velocities")
    elif run.has_velocities and len(run) >= _FEWEST:
        vibrations(run, moving, n_lags, found, told)


def _evenly_spaced(times: np.ndarray) -> bool:
    """Whether frames follow each other at equal times, as far as single precision, in which other programs keep them, can tell."""
    apart = spacing(times)
    return apart > 0 and bool(abs(np.diff(times) - apart).max() <= max(1e-4 * apart, 4.0 * np.finfo(np.float32).eps * abs(times).max()))


def _groups(run: H5MDReader, chosen: np.ndarray | None) -> dict[str, np.ndarray]:
    """All particles, and each element where there are several; without frozen ones, which do not move."""
    frozen = set(run.frozen)
    if chosen is not None:
        groups = {"selection": chosen}
    else:
        kinds = structure.kinds(run)
        groups = dict(list(kinds.items())[:_KINDS])
        if len(kinds) > 1:
            groups = {"all": np.arange(run.n_particles), **groups}
    return {name: np.array([k for k in group if k not in frozen], dtype=int) for name, group in groups.items()}


def forecast_curves(error: ForecastError, run: H5MDReader, tolerance: float, found: Analysis) -> Curves:
    """Distance to a reference against time; its numbers go into ``found``."""
    length = run.units.length
    last, valid = error.errors[-1], error.valid_time(tolerance)
    axis, times = time_axis(run)
    scale = times[-1] / run.times[-1] if run.times[-1] else 1.0
    until = float(np.median(valid)) * scale
    note = "" if run.n_systems is None else "median over systems"
    found.numbers.append(Number("forecast_error", "error of positions at the end", float(np.median(last)), length, note=note))
    found.numbers.append(Number("valid_time", f"within {tolerance:g} {length}".rstrip() + " for", until, axis.unit, note=note))
    columns = error.errors
    values = (
        {"": columns[:, 0]}
        if columns.shape[1] == 1
        else dict(zip(("median", "lowest tenth", "highest tenth"), np.nanquantile(error.errors, [0.5, 0.1, 0.9], 1), strict=True))
    )
    said = f"{np.median(last):.3g} {length}".rstrip() + f" at the end; within {tolerance:g} until {until:.4g} {axis.unit}".rstrip() + "."
    return Curves("forecast", "Distance to the reference", axis, error.times * scale, Axis("error", length, True), values, said,
                  marks={"valid": until})  # fmt: skip
