"""Everything that there is to say of a run: the table of analyses, which of them fit it, and what
was left out and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis import correlation, structure
from trajectories.analysis.blocks import spacing
from trajectories.analysis.bonding import bond_curves
from trajectories.analysis.encounters import encounter_curves
from trajectories.analysis.guard import left_out
from trajectories.analysis.motion import displacement, vibrations
from trajectories.analysis.orbits import orbit_curves
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.shape import deviation_curve
from trajectories.analysis.thermo import Known, conserved, matter, time_axis
from trajectories.forecast import ForecastError, distance_to_jpl, forecast_error
from trajectories.storage.h5md import H5MDReader

_KINDS = 4  # elements that are told apart
_FEWEST = 32  # frames that a spectrum takes


def analyse(
    run: H5MDReader,
    known: Known | None = None,
    *,
    against: H5MDReader | None = None,
    tolerance: float = 0.1,
    select: str | None = None,
    told: Callable[[str, float], None] = lambda what, share: None,
) -> Analysis:
    """Numbers, curves, warnings and notes of a run; frames are read in blocks, so it may be larger
    than memory.

    ``against`` is a reference whose distance is told, with the time it stays below ``tolerance``;
    ``select``, in MDAnalysis' language, the atoms whose correlations and surroundings are looked
    at. ``told`` hears what is being done and how far it is. Raises ValueError for a run without
    frames, a selection that matches nothing, and runs that cannot be compared. An analysis that
    cannot be made is left out, and a note says why.
    """
    if not len(run):
        raise ValueError(f"{run.path} holds no frames yet")
    known, found = known or Known(), Analysis()
    chosen = None if select is None else selected(run, select)
    if against is not None:
        told("comparing", 0.0)
        found.forecast = forecast_error(run, against)
        found.curves.append(forecast_curves(found.forecast, run, tolerance, found))
    found.notes.extend(_known_beforehand(run, known, select))
    found.warnings.extend([run.cannot_follow] if run.cannot_follow else [])
    task = Task(run, known, chosen, told)
    for entry in ANALYSES:
        if entry.fits(task):
            part = Analysis()
            with left_out(entry.name, found.notes):
                entry.add(task, part)
                found.add(part)
    return found


@dataclass(frozen=True, eq=False)
class Task:
    """What an analysis is made of: a run, what is known of it, the particles that were chosen
    [some], and who hears of progress."""

    run: H5MDReader
    known: Known
    chosen: np.ndarray | None
    told: Callable[[str, float], None]


class Entry(NamedTuple):
    """An analysis: what its absence is called ("no NAME: REASON"), whether it fits a run, and what
    adds its numbers, curves and notes."""

    name: str
    fits: Callable[[Task], bool]
    add: Callable[[Task, Analysis], None]


def _known_beforehand(run: H5MDReader, known: Known, select: str | None) -> list[str]:
    """What is to be known of a run before anything is computed."""
    notes = ["it is a single frame: nothing that takes time is computed"] if len(run) == 1 else []
    if known.lost:
        notes.append(
            "systems that went bad are left out of temperature, pressure, volume and energy, but"
            " not of what is conserved, of distances and motions"
        )
    notes.extend(run.notes)
    if "masses" in run.missing:
        notes.append("atoms whose mass the files do not tell have one of 1 u")
    if "times" in run.missing:
        notes.append(
            "the files tell no times, so curves go by frames; tell them with --frame-interval"
        )
    if not run.has_velocities:
        notes.append(
            "no conserved quantities, velocity autocorrelation or spectrum: the frames hold no"
            " velocities"
        )
    if select is not None and run.units is not METAL:
        notes.append(
            f"the selection {select!r} changes nothing here: it chooses atoms whose distances and"
            " motions are looked at"
        )
    return notes


def selected(run: H5MDReader, select: str) -> np.ndarray:
    """Particles of one system that a selection in MDAnalysis' language matches; ValueError where it
    matches none or is none."""
    u = run.universe()
    try:
        matched = u.atoms[: run.n_particles].select_atoms(select).indices
    except Exception as error:
        raise ValueError(
            f"{select!r} is no selection that MDAnalysis understands"
            f" ({' '.join(str(error).split())})"
        ) from None
    finally:
        u.trajectory.close()
    if not len(matched):
        raise ValueError(
            f'the selection {select!r} matches no particle; elements are chosen by "element O",'
            ' numbers by "index 0:9"'
        )
    return np.asarray(matched)


def _conserved(task: Task, found: Analysis) -> None:
    task.told("what is conserved", 0.0)
    conserved(task.run, task.known, found)


def _orbits(task: Task, found: Analysis) -> None:
    found.curves += orbit_curves(task.run, task.known.parents)


def _jpl(task: Task, found: Analysis) -> None:
    run, known = task.run, task.known
    assert known.epoch is not None
    distance = distance_to_jpl(
        run, known.epoch, [known.parents.get(name, "") for name in run.names]
    )
    if not distance.names:
        raise ValueError("DE440 holds none of the bodies")
    found.jpl, last = distance, distance.kilometers[-1]
    found.notes += [distance.start] if distance.start else []
    for name, km in zip(distance.names, last, strict=True):
        found.numbers.append(
            Number(f"from_jpl_{name}", f"{name}, from JPL DE440 at the end", float(km), "km")
        )
    if len(distance.times) > 1:
        first = distance.kilometers[0]
        said = (
            f"At the start {first.min():.3g} to {first.max():.3g} km, at the end"
            f" {last.min():.3g} km ({distance.names[last.argmin()]}) to {last.max():.3g}"
            f" km ({distance.names[last.argmax()]})."
            + (" Not all start as DE440 has them: see the notes below." if distance.start else "")
        )
        values = dict(zip(distance.names, distance.kilometers.T, strict=True))
        axis = Axis("distance", "km", True)
        found.curves.append(
            Curves(
                "jpl",
                "Distance to JPL DE440",
                Axis("time", "years"),
                distance.times / 365.25,
                axis,
                values,
                said,
            )
        )


def _encounters(task: Task, found: Analysis) -> None:
    numbers, curves = encounter_curves(task.run)
    found.numbers += numbers
    found.curves += curves if len(task.run) > 1 else []


def _distances(task: Task, found: Analysis) -> None:
    task.told("distances", 0.0)
    own = None if task.chosen is None else {"selection": task.chosen}
    curves, numbers, every = structure.radial_distributions(
        task.run, own, lambda share: task.told("distances", share)
    )
    found.curves += curves
    found.numbers += numbers
    found.notes += [] if own else _not_told_apart(task)
    if len(task.run) > 1:
        seen = "" if every == 1 else f", and in one frame of {every}"
        found.notes.append(
            f"distances, bonds and angles were looked at in the second half of the run{seen}"
        )


def _not_told_apart(task: Task) -> list[str]:
    """Which elements have no curves of their own, because there are many."""
    paired = list(structure.with_mass(task.run))[structure.KINDS :]
    if not paired:
        return []
    moving = list(structure.kinds(task.run))[_KINDS:] if _is_correlated(task) else []
    return [
        f"there are many elements: pairs of {', '.join(paired)} have no g(r) or coordination"
        " numbers"
        + (f", and {', '.join(moving)} no motion of their own" if moving else "")
        + "; --select chooses atoms"
    ]


def _bonds(task: Task, found: Analysis) -> None:
    found.curves += bond_curves(task.run)


def _shape(task: Task, found: Analysis) -> None:
    found.curves.append(
        deviation_curve(
            task.run, np.arange(task.run.n_particles) if task.chosen is None else task.chosen
        )
    )


def _correlations(task: Task, found: Analysis) -> None:
    """What moves in time: that it can be told, and how far apart frames may be that are
    compared."""
    if not _is_dense(task):
        found.notes.append(
            "no density to compare distances with, and no diffusion: there is no box that is"
            " periodic in all directions"
        )
    if len(task.run) < 3:
        return
    if why := _no_correlations(task.run):
        found.notes.append(f"no correlations in time: {why}")
        return
    if task.run.cannot_follow:
        found.notes.append(
            "no mean squared displacement and no diffusion coefficient: atoms cannot be followed"
        )
    if task.run.has_velocities and not task.run.moving.all():
        found.notes.append(
            "no velocity autocorrelation or spectrum: not all frames hold velocities"
        )
    if _n_lags(task) < len(task.run) // 2:
        found.notes.append(
            f"correlations in time end at {_n_lags(task)} frames, half of what the run has: more"
            " would not fit into memory"
        )


def _displacement(task: Task, found: Analysis) -> None:
    displacement(task.run, _moving(task), _n_lags(task), found, task.told)


def _vibrations(task: Task, found: Analysis) -> None:
    vibrations(task.run, _moving(task), _n_lags(task), found, task.told)


def _is_planets(task: Task) -> bool:
    return task.run.units is ASTRONOMICAL


def _is_atoms(task: Task) -> bool:
    """Whether the run is of matter: atoms, or anything in a periodic cell that is no planets."""
    return not _is_planets(task) and (task.run.units is METAL or any(task.run.pbc))


def _is_dense(task: Task) -> bool:
    """Whether there is a density: a cell that is periodic in all directions."""
    return all(task.run.pbc) and bool(task.run.cells.any())


def _is_shaped(task: Task) -> bool:
    """Whether particles have a shape to be compared with: molecules, or what was chosen."""
    n = task.run.n_particles if task.chosen is None else len(task.chosen)
    followed = not task.run.cannot_follow and (task.chosen is not None or not any(task.run.pbc))
    return _is_atoms(task) and len(task.run) > 1 and n > 2 and followed


def _is_correlated(task: Task) -> bool:
    return _is_atoms(task) and len(task.run) > 2 and not _no_correlations(task.run)


def _is_vibrating(task: Task) -> bool:
    run = task.run
    return (
        _is_correlated(task)
        and run.has_velocities
        and bool(run.moving.all())
        and len(run) >= _FEWEST
    )


def _no_correlations(run: H5MDReader) -> str:
    """Why frames cannot be compared with later ones; nothing where they can."""
    if not _evenly_spaced(run.times):
        return "the frames are not evenly spaced"
    return "the files tell no times" if "times" in run.missing else ""


def _n_lags(task: Task) -> int:
    return correlation.longest_lag(task.run, len(task.run))


def _moving(task: Task) -> dict[str, np.ndarray]:
    return {name: group for name, group in _groups(task.run, task.chosen).items() if len(group)}


#: Every analysis, in the order in which they are shown.
ANALYSES = (
    Entry("conserved quantities", lambda t: t.run.has_velocities, _conserved),
    Entry(
        "temperature, energy and pressure",
        lambda t: t.run.units is METAL,
        lambda t, found: matter(t.run, t.known, found),
    ),
    Entry(
        "orbital elements",
        lambda t: (
            _is_planets(t) and t.run.n_particles > 1 and t.run.has_velocities and len(t.run) > 1
        ),
        _orbits,
    ),
    Entry("comparison with JPL", lambda t: _is_planets(t) and t.known.epoch is not None, _jpl),
    Entry(
        "closest approach",
        lambda t: not (_is_planets(t) or _is_atoms(t)) and t.run.n_particles > 1,
        _encounters,
    ),
    Entry("radial distribution", lambda t: _is_atoms(t) and t.run.n_particles > 1, _distances),
    Entry(
        "bonds and angles",
        lambda t: _is_atoms(t) and t.run.n_particles > 1 and t.chosen is None,
        _bonds,
    ),
    Entry("distance from the shape at the start", _is_shaped, _shape),
    Entry("correlations in time", _is_atoms, _correlations),
    Entry(
        "mean squared displacement",
        lambda t: _is_correlated(t) and _is_dense(t) and not t.run.cannot_follow,
        _displacement,
    ),
    Entry("velocity autocorrelation", _is_vibrating, _vibrations),
)


def _evenly_spaced(times: np.ndarray) -> bool:
    """Whether frames follow each other at equal times, as far as single precision, in which other
    programs keep them, can tell."""
    apart = spacing(times)
    return apart > 0 and bool(
        abs(np.diff(times) - apart).max()
        <= max(1e-4 * apart, 4.0 * np.finfo(np.float32).eps * abs(times).max())
    )


def _groups(run: H5MDReader, chosen: np.ndarray | None) -> dict[str, np.ndarray]:
    """All particles, and each element where there are several; without frozen ones, which do not
    move."""
    frozen = set(run.frozen)
    if chosen is not None:
        groups = {"selection": chosen}
    else:
        kinds = structure.kinds(run)
        groups = dict(list(kinds.items())[:_KINDS])
        if len(kinds) > 1:
            groups = {"all": np.arange(run.n_particles), **groups}
    return {
        name: np.array([k for k in group if k not in frozen], dtype=int)
        for name, group in groups.items()
    }


def forecast_curves(
    error: ForecastError, run: H5MDReader, tolerance: float, found: Analysis
) -> Curves:
    """Distance to a reference against time; its numbers go into ``found``."""
    length = run.units.length
    last, valid = error.errors[-1], error.valid_time(tolerance)
    axis, times = time_axis(run)
    scale = times[-1] / run.times[-1] if run.times[-1] else 1.0
    until = float(np.median(valid)) * scale
    note = "" if run.n_systems is None else "median over systems"
    found.numbers.append(
        Number(
            "forecast_error",
            "error of positions at the end",
            float(np.median(last)),
            length,
            note=note,
        )
    )
    found.numbers.append(
        Number(
            "valid_time",
            f"within {tolerance:g} {length}".rstrip() + " for",
            until,
            axis.unit,
            note=note,
        )
    )
    columns = error.errors
    values = (
        {"": columns[:, 0]}
        if columns.shape[1] == 1
        else dict(
            zip(
                ("median", "lowest tenth", "highest tenth"),
                np.nanquantile(error.errors, [0.5, 0.1, 0.9], 1),
                strict=True,
            )
        )
    )
    said = (
        f"{np.median(last):.3g} {length}".rstrip()
        + f" at the end; within {tolerance:g} until {until:.4g} {axis.unit}".rstrip()
        + "."
    )
    return Curves(
        "forecast",
        "Distance to the reference",
        axis,
        error.times * scale,
        Axis("error", length, True),
        values,
        said,
        marks={"valid": until},
    )
