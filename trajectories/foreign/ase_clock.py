"""Times of frames that ASE reads: times and steps of their own, of the dynamics that wrote the
file, or of the user."""

from typing import Any, NamedTuple

import numpy as np

from systems.sources.file_options import FileOptions
from systems.units import BY_NAME, METAL, REDUCED, Units
from trajectories.foreign.ase_files import number


class Clock(NamedTuple):
    """Times of frames: from each frame's own ``info``, else at the interval ``every``; ``told`` is
    false if they are unknown."""

    told: bool
    own: bool
    every: float
    units: Units

    def at(self, atoms: Any, k: int) -> tuple[float, int]:
        """Time and step of frame ``k``."""
        if self.own:
            return float(atoms.info["time"]), int(
                atoms.info.get("step", atoms.info.get("timestep", k))
            )
        return k * self.every, k


def clock_of(first: Any, description: dict[str, Any], options: FileOptions) -> Clock:
    """The user's interval, times that frames tell themselves, those of the dynamics that wrote the
    file, or 1 ps a frame."""
    ours, every = _tells_time(first), _every(description)
    units = BY_NAME[first.info["units"]] if ours else REDUCED if options.reduced else METAL
    if options.frame_interval is not None:
        return Clock(True, False, options.frame_interval, units)
    own = ours or (
        isinstance(first.info.get("time"), float) and "timestep" in first.info
    )  # of a dump that tells its time
    return Clock(
        own or bool(every),
        own,
        every or (1.0 if units is REDUCED else METAL.convert(1.0, "ps")),
        units,
    )


def _every(description: dict[str, Any]) -> float:
    """The time from one frame to the next, in ASE's unit and ours, where its dynamics wrote the
    file; zero where that is not known."""
    return number(description.get("timestep")) * number(description.get("interval"))


def _tells_time(atoms: Any) -> bool:
    """Whether a frame was written by `trajectories.convert`; the unit of another program's "time"
    is anybody's guess."""
    time, step, units = (atoms.info.get(name) for name in ("time", "step", "units"))
    if (
        not isinstance(time, int | float)
        or not isinstance(step, int | np.integer)
        or not isinstance(units, str)
        or units not in BY_NAME
    ):
        return False
    twice = atoms.info.get("time_fs")
    return units != METAL.name or (
        isinstance(twice, int | float) and bool(np.isclose(twice, time / METAL.convert(1.0, "fs")))
    )
