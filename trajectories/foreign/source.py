"""The common form of trajectories of other programs."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from integrators.state import State
from systems.sources.file_options import Reading
from systems.sources.identities import VIRTUAL_MASS

SOME_VELOCITIES = (  # what a file lacks whose later frames have velocities
    "velocities in the first frame"
)


class Lacking(Exception):
    """A later frame has not ``what`` the first has."""

    def __init__(self, what: str, frame: int) -> None:
        super().__init__(f"frame {frame} has no {what}")
        self.what, self.frame = what, frame


@dataclass(frozen=True)
class Source:
    """Frames in our units, as they are read: names of the atoms, the files' names, and what those
    files do not tell.

    ``missing`` are "velocities", "masses", "times". ``known`` is what they tell of the run beside
    its frames, and becomes its configuration: "dynamics", whether it "conserves_energy", the
    "temperature" it was to have [1], "frozen" atoms, "n_degrees" of freedom. ``assumed`` says in
    words what was decided where files do not tell, or tell wrongly: "units", "times", "elements",
    "masses", "orientation", "unwrapping". ``notes`` are for whoever looks at the run. Both may grow
    while frames are read. ``template`` is an ``ase.Atoms`` (`systems.sources.template`), which
    loses what is not the same in all frames.
    """

    files: str
    names: Sequence[str]
    n_frames: int
    states: Iterable[State]
    missing: Sequence[str] = ()
    known: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    assumed: dict[str, str] = field(default_factory=dict)
    template: Any = None


def virtual_sites(masses: np.ndarray, reading: Reading) -> dict[str, int]:
    """Facts about a run with virtual sites: its degrees of freedom, which are those of atoms with a
    mass."""
    if not reading.virtual:
        return {}
    reading.notes.append(
        "the temperature counts all degrees of freedom of atoms that have a mass: where bonds were"
        " constrained, which files do not tell, it is higher"
    )
    return {"n_degrees": 3 * int((masses > VIRTUAL_MASS).sum())}


def said(error: Exception | str) -> str:
    """The message of a reader's error, in a line of limited length."""
    return (
        textwrap.shorten(" ".join(str(error).split()), 160, placeholder=" ...")
        or type(error).__name__
    )
