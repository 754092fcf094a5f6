"""A rollout as a run: from a configuration to an H5MD file, with checkpoints on the way."""

import threading
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from integrators.state import Flow
from mcegnn.runs.errors import RunDiverged
from mcegnn.runs.estimated_errors import estimate_errors
from mcegnn.runs.events import Event, Finished, Saved, Stopped, Warned
from mcegnn.runs.iteration import StoppableRun, closed
from mcegnn.runs.outputs import check_output, check_room
from mcegnn.runs.recording import Recording
from mcegnn.runs.relaxation import relaxed_start
from mcegnn.runs.resume import Position, saved_rollout
from mcegnn.simulation import Configuration
from systems.neighbors.nearest import NearPairWarning

__all__ = ["RolloutResult", "RolloutRun", "RunDiverged"]

_FOREIGN = (".xyz", ".extxyz", ".traj", ".dcd", ".pdb", ".cif", ".csv", ".json", ".npz")


@dataclass(frozen=True)
class RolloutResult:
    """Result of a rollout: ``n_steps`` since it was begun or resumed, ``n_frames`` in all.

    ``steps_per_second`` are those of all systems together, once started. ``diverged`` are systems
    of an ensemble that diverged and are frozen, and the steps at which they diverged.
    """

    path: Path
    n_frames: int
    n_steps: int
    n_systems: int
    seconds: float = 0.0
    steps_per_second: float = 0.0
    diverged: Mapping[int, int] = field(default_factory=dict)


class RolloutRun(StoppableRun):
    """A rollout of ``configuration`` into the H5MD file ``output``, with a checkpoint beside it.

    Iterating it does it; `mcegnn.runs.events.Run` says how it is stopped, pickled and resumed,
    bitwise reproducibly: at the end of a step. ``resume`` says that the file is there already and
    is to be resumed: the configuration may differ from its own, which
    `mcegnn.runs.resume.saved_rollout` reads, only in how far the run goes and where it is stopped.
    ``command`` is kept in the file as what made it.

    Raises ValueError, RuntimeError or OSError (FileExistsError if ``output`` exists and
    ``overwrite`` is not given, FileNotFoundError if a file that is to be resumed is missing), each
    in one sentence, before anything is written; `RunDiverged` and `WritingFailed` later.
    """

    def __init__(
        self,
        configuration: Configuration,
        output: str | Path,
        *,
        overwrite: bool = False,
        resume: bool = False,
        threads: int | None = None,
        command: str = "",
    ) -> None:
        super().__init__()
        self.configuration, self.output = configuration, Path(output)
        self.overwrite, self.threads, self.command = overwrite, threads, command
        self.begun = resume

    def __getstate__(self) -> dict[str, Any]:
        # without what moves it, and so that it does not matter where one works
        return {
            "configuration": self.configuration,
            "output": self.output.absolute(),
            "overwrite": self.overwrite,
            "threads": self.threads,
            "command": self.command,
            "begun": self.begun,
        }

    @cached_property
    def flow(self) -> Flow:
        """The flow that moves the system."""
        return self.configuration.flow()

    def check(self) -> None:
        """Raise ValueError, RuntimeError or OSError, in one sentence, if the run cannot begin."""
        if not self.begun:
            if self.output.suffix.lower() in _FOREIGN:
                raise ValueError(
                    f"a run is written as an H5MD file, not as {self.output}; name it"
                    f" {self.output.with_suffix('.h5md')} and convert it afterwards"
                )
            check_output(self.output, self.overwrite, self.configuration.source)
        self.flow  # noqa: B018
        if not self.begun:
            self.configuration.check_start()

    def __iter__(self) -> Iterator[Event]:
        try:
            with _near_pairs_are_events(), closed(self._events()) as events:
                for event in events:
                    self.begun = self.begun or isinstance(event, Saved)
                    yield event
        finally:
            self._request.clear()

    def _events(self) -> Generator[Event, None, None]:
        position = yield from self._position()
        if position is None:
            yield Stopped(
                "stopped; nothing has been written yet; start again", self._request.signal
            )
            return
        recording = Recording(
            self.configuration,
            self.output,
            self.flow,
            position,
            self._request,
            self.threads,
            self.command,
        )
        n_systems = self.configuration.n_systems
        if recording.n_steps <= 0:
            yield Finished(
                RolloutResult(
                    self.output, position.n_frames, 0, n_systems, diverged=dict(position.lost)
                )
            )
            return
        yield from recording.events()
        if recording.stopped:
            return
        yield from estimate_errors(
            self.configuration, recording.halvings, self.output, self._request
        )
        yield Finished(
            RolloutResult(
                self.output,
                self.configuration.n_steps // self.configuration.every + 1,
                recording.n_steps,
                n_systems,
                recording.speed.seconds,
                recording.speed.steps_per_second * n_systems,
                dict(recording.lost),
            )
        )

    def _position(self) -> Generator[Event, None, Position | None]:
        """Yield events of the preparation and return where the run begins or resumes; None if it is
        stopped before."""
        if not self.begun:
            self.check()
            check_room(self.configuration, self.output)
            state = yield from relaxed_start(self.configuration, self.flow, self._request)
            return None if state is None else Position(state, new=True, overwrite=self.overwrite)
        saved = saved_rollout(self.output)
        if not saved.configuration.same_run(self.configuration):
            raise ValueError(
                f"the checkpoint of {self.output} is another run's: their configurations differ"
            )
        for warning in saved.warnings:
            yield Warned(warning)
        return saved.position


class _NearPairs:
    """While any run is iterated, Python's own warnings of near pairs are not shown: the run reports
    them as events."""

    def __init__(self) -> None:
        self.lock, self.n_runs = threading.Lock(), 0

    def add(self) -> None:
        with self.lock:
            self.n_runs += 1
            if self.n_runs == 1:
                warnings.simplefilter("ignore", NearPairWarning)
                self.entry = warnings.filters[0]

    def remove(self) -> None:
        with self.lock:
            self.n_runs -= 1
            if not self.n_runs:
                with suppress(ValueError):  # somebody else has put other filters in place
                    warnings.filters.remove(self.entry)  # type: ignore[attr-defined]


_near_pairs = _NearPairs()


@contextmanager
def _near_pairs_are_events() -> Iterator[None]:
    _near_pairs.add()
    try:
        yield
    finally:
        _near_pairs.remove()
