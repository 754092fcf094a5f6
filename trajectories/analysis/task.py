"""The input of analyses: a run, known facts about it, the selected particles; and which analyses
apply."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis import correlation, structure
from trajectories.analysis.blocks import spacing
from trajectories.analysis.known import Known
from trajectories.storage.h5md import H5MDReader

_KINDS = 4  # elements that are told apart
_FEWEST = 32  # frames that a spectrum takes


@dataclass(frozen=True, eq=False)
class AnalysisTask:
    """The input of analyses: a run, known facts about it, the numbers of the selected particles,
    and a function that is called with the progress."""

    run: H5MDReader
    known: Known
    chosen: np.ndarray | None
    told: Callable[[str, float], None]

    @property
    def is_planets(self) -> bool:
        """Whether the run is of bodies of the solar system."""
        return self.run.units is ASTRONOMICAL

    @property
    def is_atoms(self) -> bool:
        """Whether the run is of matter: atoms, or anything in a periodic cell that is no
        planets."""
        return not self.is_planets and (self.run.units is METAL or any(self.run.pbc))

    @property
    def is_dense(self) -> bool:
        """Whether there is a density: a cell that is periodic in all directions."""
        return all(self.run.pbc) and bool(self.run.cells.any())

    @property
    def is_shaped(self) -> bool:
        """Whether particles have a shape to be compared with: molecules, or what was chosen."""
        run, chosen = self.run, self.chosen
        n = run.n_particles if chosen is None else len(chosen)
        followed = not run.cannot_follow and (chosen is not None or not any(run.pbc))
        return self.is_atoms and len(run) > 1 and n > 2 and followed

    @property
    def is_correlated(self) -> bool:
        """Whether frames can be compared with later ones."""
        return self.is_atoms and len(self.run) > 2 and not self.why_not_correlated

    @property
    def is_vibrating(self) -> bool:
        """Whether there are velocities enough for a spectrum."""
        run = self.run
        moving = run.has_velocities and bool(run.moving.all())
        return self.is_correlated and moving and len(run) >= _FEWEST

    @property
    def why_not_correlated(self) -> str:
        """Why frames cannot be compared with later ones; nothing where they can."""
        if not _evenly_spaced(self.run.times):
            return "the frames are not evenly spaced"
        return "the files give no times" if "times" in self.run.missing else ""

    @property
    def n_lags(self) -> int:
        """How far apart frames may be that are compared."""
        return correlation.longest_lag(self.run, len(self.run))

    @property
    def elements_followed(self) -> list[str]:
        """The elements, the most frequent first, whose motion is analysed separately."""
        return list(structure.kinds(self.run))[:_KINDS]

    @property
    def moving(self) -> dict[str, np.ndarray]:
        """All particles, and each element where there are several; without frozen ones, which do
        not move."""
        if self.chosen is not None:
            groups = {"selection": self.chosen}
        else:
            kinds = structure.kinds(self.run)
            groups = {name: kinds[name] for name in self.elements_followed}
            if len(kinds) > 1:
                groups = {"all": np.arange(self.run.n_particles), **groups}
        frozen = set(self.run.frozen)
        free = {
            name: np.array([k for k in group if k not in frozen], dtype=int)
            for name, group in groups.items()
        }
        return {name: group for name, group in free.items() if len(group)}


def _evenly_spaced(times: np.ndarray) -> bool:
    """Whether frames follow each other at equal times, as far as single precision, in which other
    programs keep them, can tell."""
    apart = spacing(times)
    return apart > 0 and bool(
        abs(np.diff(times) - apart).max()
        <= max(1e-4 * apart, 4.0 * np.finfo(np.float32).eps * abs(times).max())
    )
