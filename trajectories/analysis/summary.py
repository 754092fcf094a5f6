"""All analyses that apply to a run, with notes on those that were left out."""

from collections.abc import Callable

import numpy as np

from systems.units import METAL
from trajectories.analysis.comparison import forecast_curves
from trajectories.analysis.guard import left_out
from trajectories.analysis.known import Known
from trajectories.analysis.results import Analysis
from trajectories.analysis.table import ANALYSES
from trajectories.analysis.task import AnalysisTask
from trajectories.forecast import forecast_error
from trajectories.storage.h5md import H5MDReader


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

    ``against`` is a reference to which the distance is analysed, with the time it stays below
    ``tolerance``; ``select``, in MDAnalysis' language, the atoms whose correlations and
    surroundings are analysed. ``told`` is called with what is being done and its progress. Raises
    ValueError if the run has no frames, a selection matches nothing, or two runs cannot be
    compared. An analysis that cannot be made is left out, and a note says why.
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
    task = AnalysisTask(run, known, chosen, told)
    for entry in ANALYSES:
        if entry.fits(task):
            part = Analysis()
            with left_out(entry.name, found.notes):
                entry.add(task, part)
                found.add(part)
    return found


def _known_beforehand(run: H5MDReader, known: Known, select: str | None) -> list[str]:
    """Warnings and notes about a run before anything is computed."""
    notes = ["it is a single frame: no time-dependent quantities"] if len(run) == 1 else []
    if known.lost:
        notes.append(
            "systems that diverged are left out of temperature, pressure, volume and energy, but"
            " not of conserved quantities, distances and motions"
        )
    notes.extend(run.notes)
    if "masses" in run.missing:
        notes.append("atoms whose mass the files do not give have a mass of 1 u")
    if "times" in run.missing:
        notes.append(
            "the files give no times, so curves are against frames; set them with --frame-interval"
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
    """Particles of one system that a selection in MDAnalysis' language matches. Raises ValueError
    if it matches none or is not valid."""
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
