"""Monitoring of runs: divergence is caught at the first bad step, when numbers are not finite,
energy jumps or particles come too close.

Looking costs next to nothing, since it is done where states are yielded anyway; what is found there
is traced back to its step by running the steps since the last good frame once more, which gives the
same bits.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from integrators.span import Span
from integrators.state import Flow, State
from systems.system import System
from trajectories.checks import Faults, Limits, StateChecks, Violation
from trajectories.rollout import advance, with_held
from trajectories.schedule import Schedule

# of the fewest neighbours in training, below which is told of: long runs pass the least of some
# hundred structures by chance
SPARSE = 0.8
_STRIDES = 64  # parts of an interval that is searched


class LimitViolated(RuntimeError):
    """A run that cannot continue: its `Violation`, and the last good state: a frame or, if forces
    failed, the last state there was."""

    def __init__(self, violation: Violation, good: State) -> None:
        super().__init__(violation.what)
        self.violation, self.good = violation, good


@dataclass(eq=False)
class Monitor:
    """Checks a run's states. Systems of an ensemble that diverge are frozen at their last good
    state and reported, and the others continue.

    ``lost`` says which are frozen and since which step; ``marked`` in which, and since which step,
    a pair has been nearer than any that the potential was trained on, of which ``tell_near`` is
    told once, and ``sparse`` in which, and since which step, the atoms have had less than 0.8 of
    the fewest neighbours in all of that, of which ``tell_near`` is told too. Neighbours are counted
    where frames are kept, not within 50 steps of the last count. ``start`` is the run's first
    state, where it is resumed; ``ending`` says whether the next state will be the last, which is
    checked in full. `states` raises `LimitViolated` if no system is left, as in a run of a single
    one, or if forces end in an error that cannot be attributed to a system.
    """

    flow: Flow
    dt: float
    limits: Limits
    tell: Callable[[Violation], None]
    threads: int | None = None
    lost: dict[int, int] = field(default_factory=dict)
    start: State | None = None
    ending: Callable[[], bool] = lambda: False
    tell_near: Callable[[Violation], None] = lambda violation: None
    marked: dict[int, int] = field(default_factory=dict)
    sparse: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        potential = getattr(self.flow, "potential", None)
        self._checks = StateChecks(self.limits, potential, self.start)

    def states(
        self, state: State, n_steps: int, every: int, phase: int = 0, frame: System | None = None
    ) -> Iterator[State]:
        """As `trajectories.rollout.advance`; ``frame`` is the last frame's system, where the state
        is beyond it."""
        schedule = Schedule(state.step - phase, state.step + n_steps, every)
        states = self._advance(state, n_steps, every, phase)
        good = checked = now = next(states)  # the last frame, and the last one looked at in full
        self._checks.first = self._checks.first or now
        if frame is not None:
            last = replace(state, system=frame, coordinates=None).at(schedule.begin, self.dt)
            good = next(self._advance(last, 0, 1))
        self._mark(now, True)
        yield now
        while now.step < schedule.end:
            try:
                new = next(states)
            except Exception as error:
                self._hold_failed(error, good, checked, now, schedule)
                now, states = self._go_on(now, good, schedule)
                continue
            look, full = new, schedule.is_checked(new)
            if not full and self.ending():  # who goes on from it has no good state before it
                look, full = self._evaluated(new), True
            if self._hold_violating(look, full, good, checked, schedule):
                new, states = self._go_on(new, good, schedule)
            self._mark(new, schedule.counts_neighbors(new.step))
            checked = new if full else checked
            good = new if schedule.is_frame(new.step) else good
            now = new
            yield now

    def too_sparse(self, state: State, limit: float) -> Faults:
        """Systems whose atoms have on average less than this share of the fewest neighbours in
        training."""
        return self._checks.too_sparse(state, limit)

    def _hold_failed(
        self, error: Exception, good: State, checked: State, now: State, schedule: Schedule
    ) -> None:
        """Freeze the system whose forces have ended in an error after the state ``now``."""
        # the frame's end at the latest, which a compiled run may have been on its way to
        violation = self._first(good, checked, schedule.next_frame(checked.step))
        violation = violation or _failed(now.step + 1, now.time + self.dt, error)
        # a driver may know which system of an ensemble it was
        named = getattr(error, "system", None)
        if violation.failed and named is not None and now.system.n_systems is not None:
            violation = violation._replace(system=named, failed=False)
        if violation.failed:
            raise LimitViolated(violation, now) from error
        self._hold(violation, good)

    def _hold_violating(
        self, state: State, full: bool, good: State, checked: State, schedule: Schedule
    ) -> bool:
        """Freeze each system that violates a limit; return whether there is any."""
        violations = self._violations(good, state, full, schedule.counts_neighbors(state.step))
        for violation in violations:
            since = good if violation.limit == "neighbors" else checked
            first = self._first(good, since, state.step, violation.system)
            self._hold(violation if first is None or first.failed else first, good)
        return bool(violations)

    def _go_on(
        self, state: State, good: State, schedule: Schedule
    ) -> tuple[State, Iterator[State]]:
        """Return the state with lost systems at their last good state, and the run from it on."""
        state = with_held(state, good, tuple(self.lost))
        phase = schedule.phase(state.step)
        states = self._advance(state, schedule.end - state.step, schedule.every, phase)
        next(states)  # the state itself
        return state, states

    def _evaluated(self, state: State) -> State:
        """The state with its forces, which a state between frames may lack, if they can be
        computed."""
        potential = getattr(self.flow, "potential", None)
        if potential is None or state.evaluation is not None:
            return state
        with suppress(Exception):  # the next step would find out
            return replace(state, evaluation=potential(state.system))
        return state

    def _advance(self, state: State, n_steps: int, every: int, phase: int = 0) -> Iterator[State]:
        """The run from a state on, with lost systems frozen as they are in it."""
        span, held = Span(n_steps, every, phase), tuple(self.lost)
        return advance(self.flow, state, self.dt, span, threads=self.threads, held=held)

    def _mark(self, now: State, counts: bool) -> None:
        """Report systems that have left the data that the potential was trained on; ``counts`` says
        whether neighbours are counted."""
        single = now.system.n_systems is None
        sparse = self._checks.too_sparse(now, SPARSE) if counts else {}
        near = self._checks.too_near(now, 1.0)
        for marked, limit, faults in (
            (self.marked, "nearness", near),
            (self.sparse, "neighbors", sparse),
        ):
            for system, fault in faults.items():
                if system not in marked and system not in self.lost:
                    marked[system] = now.step
                    which = None if single else system
                    self.tell_near(Violation(now.step, now.time, which, *fault, limit))

    def _hold(self, violation: Violation, good: State) -> None:
        """Freeze a system of an ensemble. Raises `LimitViolated` if no other is left, or if it
        cannot be frozen alone."""
        if (
            violation.system is None
            or len(self.lost) + 1 >= (good.system.n_systems or 1)
            or good.coordinates is not None
        ):
            raise LimitViolated(violation, good)
        self.lost[violation.system] = violation.step
        self.tell(violation)

    def _violations(
        self, before: State, now: State, full: bool, neighbors: bool = True
    ) -> list[Violation]:
        """Violations in a state, at most one of each system that is not lost."""
        violations = self._checks.violations(before, now, full, neighbors)
        return [one for one in violations if one.system is None or one.system not in self.lost]

    def _first(
        self, good: State, start: State, until: int, system: int | None = None
    ) -> Violation | None:
        """The first bad step of a system, or of any, after ``start`` and up to ``until``; None
        where there is none.

        Coarse strides first, then the first bad stride in finer ones: the steps are run about
        twice, whatever their number.
        """
        while start.step < until:
            stride = max(1, (until - start.step) // _STRIDES)
            before, bad = self._first_stride(good, start, until, stride, system)
            if not bad or stride == 1:
                return bad[0] if bad else None
            # the others that are bad already would end the search, were they run on
            already = self._violations(good, before, True)
            others = sorted({one.system for one in already if one.system not in (None, system)})
            start, until = with_held(before, good, others), before.step + stride
        return None

    def _first_stride(
        self, good: State, start: State, until: int, stride: int, system: int | None
    ) -> tuple[State, list[Violation]]:
        """The state before the first bad stride, or the last one, and its violation."""
        before = start
        n_steps = -(-(until - start.step) // stride) * stride
        try:
            for now in self._advance(start, n_steps, stride):
                if now.step > before.step and (now.step - start.step) % stride == 0:
                    violations = self._violations(good, now, True)
                    if bad := [one for one in violations if system in (None, one.system)]:
                        return before, bad
                    before = now
        except Exception as error:
            return before, [_failed(before.step + 1, before.time + self.dt, error)]
        return before, []


def _failed(step: int, time: float, error: Exception) -> Violation:
    known = isinstance(error, ValueError | RuntimeError) and str(error)
    kind = "" if known else f"{type(error).__name__}: "
    what = f"the forces failed ({kind}{' '.join(str(error).split())})"
    return Violation(step, time, None, (), what, failed=True)
