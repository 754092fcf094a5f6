"""One stretch of a rollout, from its start or last checkpoint to its end or to a stop, checked and
written to the file."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from integrators.state import Flow, State
from mcegnn.runs.divergence import cause, event_in_words, hints
from mcegnn.runs.errors import RunDiverged, WritingFailed, forces_in_words
from mcegnn.runs.events import Diverged, Event, Progress, Started, Stopped, Warned
from mcegnn.runs.outputs import room
from mcegnn.runs.provenance import LOST, MARKED, SPARSE, TIMING
from mcegnn.runs.resume import Position
from mcegnn.runs.run_file import RunFile, check_run_file
from mcegnn.runs.signals import StopRequest, handled
from mcegnn.runs.speed import Speed
from mcegnn.runs.start import check_first_state, is_idle
from mcegnn.simulation import Configuration
from trajectories.checks import Violation
from trajectories.monitor import LimitViolated, Monitor

_NAMED = 10  # systems that leave what their potential was trained on, and are told of one by one


class Recording:
    """Record a rollout of ``configuration`` from a `Position` on into ``output``; `events` does it.

    ``request`` is asked whether to stop, ``stopped`` says whether it was. ``lost`` are the systems
    that have diverged, and when. ``command`` is kept as what made the file or went on with it.
    """

    def __init__(
        self,
        configuration: Configuration,
        output: Path,
        flow: Flow,
        position: Position,
        request: StopRequest,
        threads: int | None = None,
        command: str = "",
    ) -> None:
        self.configuration, self.output, self.position = configuration, output, position
        self.request, self.command, self.stopped = request, command, False
        self.lost = dict(position.lost)
        self.speed = Speed.begin()
        self._now = position.state
        self._events: deque[Event] = deque()
        self._watch = Monitor(
            flow,
            configuration.dt,
            configuration.limits(),
            self._on_diverged,
            threads,
            self.lost,
            position.first,
            lambda: request.asked,
            self._on_left_training,
        )

    @property
    def n_steps(self) -> int:
        """Steps of this stretch."""
        return self.configuration.n_steps - self.position.state.step

    @property
    def halvings(self) -> int:
        """Of steps, near pericentres and in encounters, up to now."""
        return self._now.halvings

    def events(self) -> Iterator[Event]:
        """Run the stretch and yield its events. Raises what keeps it from beginning; later
        `RunDiverged` and `WritingFailed`."""
        check_run_file(self.output)
        state, every = self.position.state, self.configuration.every
        states = self._watch.states(
            state, self.n_steps, every, state.step % every, self.position.frame
        )
        with forces_in_words():
            first = next(states)
        check_first_state(self.configuration, first, self._watch)
        yield from self._drained()
        if is_idle(first):
            yield Warned(
                "the forces on all particles are zero at the start: has the potential the right"
                " range and units?",
                minor=True,
            )
        file = RunFile(self.configuration, self.output, self.position, self.lost, self.command)
        try:
            with handled(self.request):
                yield from self._written(file, first, states)
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())
            raise WritingFailed(
                f"writing {self.output} failed ({reason});"
                f" {file.how_to_go_on('make room and go on with')}"
            ) from None
        except KeyboardInterrupt:  # a second signal, which does not wait
            self.stopped = True
            message = f"stopped at once; {file.how_to_go_on('go on with')}"
            yield Stopped(message, self.request.signal)

    def _written(self, file: RunFile, first: State, states: Iterator[State]) -> Iterator[Event]:
        """The whole stretch in its file, which is closed at the end, however it comes."""
        try:
            yield from self._saved(file, first, states)
            file.close()
        except BaseException:
            # whatever failed, perhaps a full disk, would fail again: what has not been flushed is
            # not written
            file.abandon()
            raise
        if self.request.asked:
            self.stopped = True
            yield Stopped(f"stopped; {file.how_to_go_on('go on with')}", self.request.signal)

    def _saved(self, file: RunFile, first: State, states: Iterator[State]) -> Iterator[Event]:
        """The whole stretch, its last state saved if nothing fails but the forces."""
        try:
            if self.position.new:
                self._events.extend(file.begin(first))
            yield from self._drained()
            detail = f"writing {room(self.configuration, self.output)}"
            yield Started("rolling out", self.n_steps, "steps", detail=detail)
            yield from self._steps(file, states)
            self._end(file)
            yield from self._drained()
        except GeneratorExit:  # whoever iterates has had enough of it
            self._end_here(file, states)
            file.close()
            raise
        except LimitViolated as error:
            diverged = self._diverged(file, error)
            file.close()
            yield from self._drained()  # other systems have diverged in the same stretch of steps
            raise diverged from None

    def _steps(self, file: RunFile, states: Iterator[State]) -> Iterator[Event]:
        """The states after the first, until they end or a stop is requested."""
        self.speed = Speed.begin()
        while (state := self._next(states)) is not None:
            self._take(file, state)
            yield from self._drained()
            done = state.step - self.position.state.step
            yield Progress(done, self.n_steps, "steps", "rolling out")
            if self.request.asked:
                return

    @staticmethod
    def _next(states: Iterator[State]) -> State | None:
        with np.errstate(all="ignore"):  # numbers that overflow are told of in words
            return next(states, None)

    def _take(self, file: RunFile, state: State) -> None:
        """Write a state if it is a frame, and save a checkpoint if one is due."""
        self._now = state
        file.record_more(MARKED, self._watch.marked)
        file.record_more(SPARSE, self._watch.sparse)
        self._events.extend(file.take(state))
        self.speed.take(state.step)

    def _end(self, file: RunFile) -> None:
        """End the stretch: all steps are done, or a stop was requested."""
        if self._now is not self.position.state:
            self._events.extend(file.save(self._now))
        self.speed.end(self._now.step)
        if self.lost:
            file.record(LOST, self.lost)
        if not self.request.asked:
            timing = {
                "first": self.position.state.step,
                "last": self.configuration.n_steps,
                "seconds": self.speed.seconds,
                "steps_per_second": self.speed.steps_per_second
                * (self.position.state.system.n_systems or 1),
            }
            file.record(TIMING, timing)

    def _end_here(self, file: RunFile, states: Iterator[State]) -> None:
        """End the stretch between frames, as after a signal: a further state is saved, after all
        checks, since a resumed run has no valid state before it."""
        self.request.ask()
        try:
            if self._now.step % self.configuration.every:
                state = self._next(states)
                if state is not None:
                    self._take(file, state)
            self._end(file)
        except LimitViolated as error:  # who goes on finds it out
            self._diverged(file, error)

    def _diverged(self, file: RunFile, error: LimitViolated) -> RunDiverged:
        """Save the last valid state, and return the error: what happened, the probable cause, and
        what can be done."""
        violation, config, marked = error.violation, self.configuration, bool(self._watch.marked)
        last = (
            {violation.system: violation.step}
            if violation.system is not None and config.n_systems > 1
            else {}
        )
        if lost := self.lost | last:
            file.record(LOST, lost)
        file.save(error.good)
        message = (
            f"{event_in_words(config, violation)}; {cause(config, violation, marked)}; {file.kept},"
            f" the last good state is of step {error.good.step:,}"
        )
        further = hints(config, violation, marked, self.lost, file.resume_command)
        return RunDiverged(message, further, self.output)

    def _on_diverged(self, violation: Violation) -> None:
        """A system of an ensemble diverges and is frozen."""
        assert violation.system is not None
        words = event_in_words(self.configuration, violation)
        message = f"{words}; it is frozen at its last valid state, the others go on"
        self._events.append(Diverged(message, violation.system, violation.step, len(self.lost)))

    def _on_left_training(self, violation: Violation) -> None:
        """A system leaves what its potential was trained on."""
        neighbors = violation.limit == "neighbors"
        n_told = len(self._watch.sparse if neighbors else self._watch.marked)
        if n_told <= _NAMED:
            more = "; further such systems are not reported" if n_told == _NAMED else ""
            guess = (
                "its energies and forces are extrapolated; frames from here on are marked, and"
                " analyse leaves them out"
            )
            words = event_in_words(self.configuration, violation)
            self._events.append(Warned(f"{words}: {guess}{more}"))

    def _drained(self) -> Iterator[Event]:
        """The events that have come up meanwhile."""
        while self._events:
            yield self._events.popleft()
