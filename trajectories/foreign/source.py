"""What a trajectory of another program comes down to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrators.state import State


@dataclass(frozen=True)
class Source:
    """Frames in our units, as they are read: names of the atoms, the files' names, and what those files do not tell.

    ``missing`` are "velocities", "masses", "times". ``known`` is what they tell of the run beside its frames, and becomes its
    configuration: "dynamics", whether it "conserves_energy", the "temperature" it was to have [1], "frozen" atoms, "n_degrees" of freedom.
    """

    files: str
    names: Sequence[str]
    n_frames: int
    states: Iterable[State]
    missing: Sequence[str] = ()
    known: dict[str, Any] = field(default_factory=dict)
