"""Events that a run yields while it works: plain frozen values, for a terminal, a notebook or a
worker.

Iterating a run runs it. The last event is `Finished` or `Stopped`; a run that cannot continue ends
with an exception of `mcegnn.runs.errors` instead, and one that cannot begin with ValueError,
RuntimeError or OSError. Every event can be pickled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Started:
    """A part of the work begins: ``total`` of ``unit``, of which ``done`` are complete.

    ``what`` names the part, ``detail`` says what those who wait for it should know. A run may have
    several parts, one after the other; `Progress` is that of the last one started.
    """

    what: str
    total: int
    unit: str
    done: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` of ``unit`` are done; ``what`` is being done, in a few words."""

    done: int
    total: int
    unit: str
    what: str


@dataclass(frozen=True)
class FrameWritten:
    """``path`` now holds ``n_frames`` frames or structures that are safely on disk, even if the
    process is killed."""

    path: Path
    n_frames: int


@dataclass(frozen=True)
class Saved:
    """A checkpoint at ``step`` is on disk, beside the ``n_frames`` frames of ``path``: the run can
    be resumed from there."""

    path: Path
    step: int
    n_frames: int


@dataclass(frozen=True)
class Described:
    """A description of the work: ``rows`` of a table under a ``title``."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Noted:
    """A result of a part of the work, in a sentence."""

    message: str


@dataclass(frozen=True)
class Warned:
    """A warning, in a sentence: something is probably not as it should be.

    ``minor`` warnings are not shown where little output is wanted: they are advice on options, not
    on what has happened.
    """

    message: str
    minor: bool = False


@dataclass(frozen=True)
class Diverged:
    """A system of an ensemble has diverged and is frozen at its last valid state; the others
    continue.

    ``n_diverged`` systems have done so by now. If no other is left, the run raises `RunDiverged`
    instead.
    """

    message: str
    system: int
    step: int
    n_diverged: int


@dataclass(frozen=True)
class Stopped:
    """The run was asked to stop and can be resumed, as ``message`` says; it is the last event.

    ``signal`` is the number of the signal that asked, None where `stop` was called.
    """

    message: str
    signal: int | None = None


@dataclass(frozen=True)
class Finished:
    """All is done; ``result`` is the run's own kind of result. It is the last event."""

    result: Any


Event = (
    Started
    | Progress
    | FrameWritten
    | Saved
    | Described
    | Noted
    | Warned
    | Diverged
    | Stopped
    | Finished
)


@runtime_checkable
class Run(Protocol):
    """Long work that needs no terminal. A run can be pickled before it begins, after it has ended
    and after it has been stopped.

    Closing the iterator stops the run as `stop` does. Iterating it once more, or its pickle in
    another process, resumes from the last checkpoint.
    """

    def __iter__(self) -> Iterator[Event]:
        """Do the work, and yield its events."""

    def stop(self) -> None:
        """Ask the run to save its state and to end with `Stopped`, from any thread; if it is not
        being iterated, the next iteration does so at once."""
