"""The table of analyses: the name of each, the runs it applies to, and the function that adds its
numbers, curves and notes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from systems.units import METAL
from trajectories.analysis import structure
from trajectories.analysis.bonding import bond_curves
from trajectories.analysis.comparison import jpl_curves
from trajectories.analysis.conserved import conserved
from trajectories.analysis.encounters import encounter_curves
from trajectories.analysis.matter import matter
from trajectories.analysis.motion import displacement, vibrations
from trajectories.analysis.orbits import orbit_curves
from trajectories.analysis.results import Analysis
from trajectories.analysis.shape import deviation_curve
from trajectories.analysis.task import AnalysisTask


class Entry(NamedTuple):
    """An analysis: its name in the note on its absence ("no NAME: REASON"), whether it applies to a
    run, and the function that adds its numbers, curves and notes."""

    name: str
    fits: Callable[[AnalysisTask], bool]
    add: Callable[[AnalysisTask, Analysis], None]


def _conserved(task: AnalysisTask, found: Analysis) -> None:
    task.told("what is conserved", 0.0)
    conserved(task.run, task.known, found)


def _orbits(task: AnalysisTask, found: Analysis) -> None:
    found.curves += orbit_curves(task.run, task.known.parents)


def _encounters(task: AnalysisTask, found: Analysis) -> None:
    numbers, curves = encounter_curves(task.run)
    found.numbers += numbers
    found.curves += curves if len(task.run) > 1 else []


def _distances(task: AnalysisTask, found: Analysis) -> None:
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
        found.notes.append(f"distances, bonds and angles are of the second half of the run{seen}")


def _not_told_apart(task: AnalysisTask) -> list[str]:
    """Which elements have no curves of their own, because there are many."""
    paired = list(structure.with_mass(task.run))[structure.KINDS :]
    if not paired:
        return []
    kinds = list(structure.kinds(task.run))
    moving = kinds[len(task.elements_followed) :] if task.is_correlated else []
    return [
        f"there are many elements: pairs of {', '.join(paired)} have no g(r) or coordination"
        " numbers"
        + (f", and {', '.join(moving)} no motion of their own" if moving else "")
        + "; --select chooses atoms"
    ]


def _bonds(task: AnalysisTask, found: Analysis) -> None:
    found.curves += bond_curves(task.run)


def _shape(task: AnalysisTask, found: Analysis) -> None:
    found.curves.append(
        deviation_curve(
            task.run, np.arange(task.run.n_particles) if task.chosen is None else task.chosen
        )
    )


def _correlations(task: AnalysisTask, found: Analysis) -> None:
    """What moves in time: that it can be told, and how far apart frames may be that are
    compared."""
    if not task.is_dense:
        found.notes.append(
            "no g(r) and no diffusion coefficient: the cell is not periodic in all directions"
        )
    if len(task.run) < 3:
        return
    if why := task.why_not_correlated:
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
    if task.n_lags < len(task.run) // 2:
        found.notes.append(
            f"correlations in time end at {task.n_lags} frames, half of what the run has: more"
            " would not fit into memory"
        )


def _displacement(task: AnalysisTask, found: Analysis) -> None:
    displacement(task.run, task.moving, task.n_lags, found, task.told)


def _vibrations(task: AnalysisTask, found: Analysis) -> None:
    vibrations(task.run, task.moving, task.n_lags, found, task.told)


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
            t.is_planets and t.run.n_particles > 1 and t.run.has_velocities and len(t.run) > 1
        ),
        _orbits,
    ),
    Entry(
        "comparison with JPL",
        lambda t: t.is_planets and t.known.epoch is not None,
        lambda t, found: jpl_curves(t.run, t.known, found),
    ),
    Entry(
        "closest approach",
        lambda t: not (t.is_planets or t.is_atoms) and t.run.n_particles > 1,
        _encounters,
    ),
    Entry("radial distribution", lambda t: t.is_atoms and t.run.n_particles > 1, _distances),
    Entry(
        "bonds and angles",
        lambda t: t.is_atoms and t.run.n_particles > 1 and t.chosen is None,
        _bonds,
    ),
    Entry("RMSD from the first frame", lambda t: t.is_shaped, _shape),
    Entry("correlations in time", lambda t: t.is_atoms, _correlations),
    Entry(
        "mean squared displacement",
        lambda t: t.is_correlated and t.is_dense and not t.run.cannot_follow,
        _displacement,
    ),
    Entry("velocity autocorrelation", lambda t: t.is_vibrating, _vibrations),
)
