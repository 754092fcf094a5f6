"""Runs that go wrong: the first bad step, system and particle, whatever the driver; the others of
an ensemble go on as if alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import trajectories.monitor
from integrators.ensembles import velocity_verlet
from integrators.span import Span
from integrators.state import State
from systems.kernel import KernelFunction
from systems.neighbors.nearest import nearer
from systems.potentials.lennard_jones import LennardJones
from systems.sources.charged import benchmark_coulomb, charged_systems
from systems.system import Evaluation, System
from trajectories.checks import Limits, Violation
from trajectories.monitor import LimitViolated, Monitor
from trajectories.rollout import advance, rollout


class Spring:
    """-k x for every particle: a time step of more than 2 / sqrt(k) blows it up. The interpreter
    runs it."""

    def __init__(self, k: float, fails_at: float = np.inf) -> None:
        self.k, self.fails_at = k, fails_at

    def __call__(self, system: System) -> Evaluation:
        x = system.positions
        if abs(np.asarray(x)).max() > self.fails_at:
            raise KeyError("too far")
        return Evaluation(0.5 * self.k * (x**2).sum((-1, -2)), -self.k * x, potential=self)


def spring_kernel(x: Any, masses: Any, charges: Any, parameters: Any, forces: Any) -> float:
    energy = 0.0
    for i in range(x.shape[1]):
        for a in range(3):
            energy += 0.5 * parameters[0] * x[a, i] ** 2
            forces[a, i] -= parameters[0] * x[a, i]
    return energy


FORCES: dict[str, Callable[[float], Any]] = {
    "interpreted": Spring,
    "compiled": lambda k: KernelFunction(spring_kernel, [k]),
}


def unstable(n_systems: int | None = None) -> State:
    """Particles at rest at unlike distances from the origin, the farther the later in the row; of
    an ensemble system 1 alone moves much."""
    x = np.outer([1e-3, 2e-3, 5e-3], [1.0, 0.5, 0.25])
    if n_systems is not None:
        x = x * np.array([1e-9, 1.0, 2e-9, 0.0])[:n_systems, None, None]
    return State(System.create(x))


def monitored(
    monitor: Monitor, state: State, n_steps: int, every: int
) -> tuple[list[State], LimitViolated | None]:
    found = []
    try:
        for now in monitor.states(state, n_steps, every):
            found += [now] if now.step % every == 0 else []
    except LimitViolated as error:
        return found, error
    return found, None


def first_bad(
    flow: Any, state: State, dt: float, n_steps: int, bad: Callable[[State, State], bool]
) -> int:
    """The definition: one step after the other, from the start on."""
    before = None
    for now in rollout(flow, state, dt, n_steps):
        if before is not None and bad(before, now):
            return now.step
        before = before or now
    raise AssertionError("none is bad")


def energy(state: State) -> Any:
    p, m = state.system.momenta, state.system.masses
    assert state.evaluation is not None
    return 0.5 * ((p**2).sum(-1) / m).sum(-1) + state.evaluation.energy


@pytest.mark.parametrize("every", [1, 7, 1000])
@pytest.mark.parametrize("kind", FORCES)
def test_the_first_step_of_an_energy_jump(kind: str, every: int) -> None:
    """The energy grows by a factor a step: seen at a frame at the latest, and named by the step at
    which it was beyond the limit."""
    flow, dt, told = velocity_verlet(FORCES[kind](1.0)), 2.1, list[Violation]()
    limit = 1e3
    monitor = Monitor(flow, dt, Limits(energy=limit), told.append)
    frames, error = monitored(monitor, unstable(), 4000 // every * every, every)
    assert error is not None
    assert not told
    # from the last good frame on
    good = frames[-1]
    expected = first_bad(
        flow, good, dt, every, lambda a, b: not abs(energy(b) - energy(a)) <= limit
    )
    assert error.violation.step == expected
    assert good.step < error.violation.step <= good.step + every
    assert error.violation.time == expected * dt
    assert error.violation.particles == (2,)
    assert error.good.step == good.step
    assert np.array_equal(error.good.system.positions, good.system.positions)
    assert error.violation.what.startswith("the energy has gone from")


@pytest.mark.parametrize("kind", FORCES)
def test_the_first_step_that_is_not_finite(kind: str) -> None:
    """Without any limit. The frames before are those of the run itself."""
    flow, dt = velocity_verlet(FORCES[kind](1.0)), 3.0
    monitor = Monitor(flow, dt, Limits(), lambda violation: None)
    with np.errstate(all="ignore"):
        frames, error = monitored(monitor, unstable(), 4000, 4000)
        expected = first_bad(
            flow,
            unstable(),
            dt,
            4000,
            lambda a, b: not (np.isfinite(energy(b)) and np.isfinite(b.system.positions).all()),
        )
    assert error is not None
    assert error.violation.step == expected
    assert [frame.step for frame in frames] == [0]
    assert "not finite" in error.violation.what


def test_steps_are_run_again_but_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding one step of 4,000 takes some 64 times fewer states than steps, and about as many
    steps as there were."""
    real, steps = trajectories.monitor.advance, [0]

    def counted(flow: Any, state: State, *arguments: Any, **more: Any) -> Any:
        before = state.step
        for now in real(flow, state, *arguments, **more):
            steps[0] += now.step - before
            before = now.step
            yield now

    monkeypatch.setattr(trajectories.monitor, "advance", counted)
    monitor = Monitor(
        velocity_verlet(Spring(1.0)), 2.001, Limits(energy=1.0), lambda violation: None
    )
    _, error = monitored(monitor, unstable(), 4000, 4000)
    assert error is not None
    assert steps[0] < 2.2 * 4000


def test_a_slow_run_is_looked_at_between_frames() -> None:
    """Energies grow beyond the limit in some 200 steps; the other thousands to the next frame are
    not waited for."""
    calls = [0]

    class Slow(Spring):
        def __call__(self, system: System) -> Evaluation:
            calls[0] += 1
            return super().__call__(system)._replace(potential=self)

    _, error = monitored(
        Monitor(velocity_verlet(Slow(1.0)), 2.001, Limits(energy=1.0), lambda violation: None),
        unstable(),
        8000,
        8000,
    )
    assert error is not None
    assert error.violation.step < 1000
    assert calls[0] < 4000


@pytest.mark.parametrize("kind", FORCES)
def test_a_bad_system_is_held_and_the_others_do_not_notice(kind: str) -> None:
    flow, dt, told = velocity_verlet(FORCES[kind](1.0)), 2.1, list[Violation]()
    state = unstable(4)
    frames, error = monitored(
        monitor := Monitor(flow, dt, Limits(energy=1e3), told.append), state, 35, 7
    )
    assert error is None
    assert [(violation.system, violation.step) for violation in told] == list(monitor.lost.items())
    assert list(monitor.lost) == [1]
    assert [frame.step for frame in frames] == list(range(0, 36, 7))
    alone = list(rollout(flow, state, dt, 35, 7))
    last = monitor.lost[1] // 7 if monitor.lost[1] % 7 else monitor.lost[1] // 7 - 1
    for k, (frame, other) in enumerate(zip(frames, alone, strict=True)):
        assert frame.evaluation is not None
        assert other.evaluation is not None
        for name in ("positions", "momenta"):
            mine, its = getattr(frame.system, name), getattr(other.system, name)
            np.testing.assert_array_equal(mine[[0, 2, 3]], its[[0, 2, 3]])
            np.testing.assert_array_equal(mine[1], getattr(frames[min(k, last)].system, name)[1])
        np.testing.assert_array_equal(
            frame.evaluation.forces[[0, 2, 3]], other.evaluation.forces[[0, 2, 3]]
        )
        np.testing.assert_array_equal(
            frame.evaluation.energy[[0, 2, 3]], other.evaluation.energy[[0, 2, 3]]
        )
        np.testing.assert_array_equal(
            frame.evaluation.forces[1], frames[min(k, last)].evaluation.forces[1]
        )  # type: ignore[union-attr]


def test_a_resumed_run_holds_what_was_held() -> None:
    flow, dt = velocity_verlet(Spring(1.0)), 2.1
    whole, _ = monitored(
        Monitor(flow, dt, Limits(energy=1e3), lambda violation: None), unstable(4), 35, 7
    )
    monitor = Monitor(flow, dt, Limits(energy=1e3), lambda violation: None)
    first, _ = monitored(monitor, unstable(4), 21, 7)
    assert monitor.lost
    again = Monitor(
        flow,
        dt,
        Limits(energy=1e3),
        lambda violation: pytest.fail("it is known"),
        lost=dict(monitor.lost),
    )
    rest, error = monitored(again, replace(first[-1], evaluation=None), 14, 7)
    assert error is None
    for mine, its in zip([*first, *rest[1:]], whole, strict=True):
        np.testing.assert_array_equal(mine.system.positions, its.system.positions)
        np.testing.assert_array_equal(mine.system.momenta, its.system.momenta)


def test_what_was_held_is_not_told_of_again() -> None:
    """Though a narrower limit, which a resume may have, finds fault with it; the others count as
    many as they are."""
    x = np.zeros((3, 2, 3))
    x[:, 1, 0] = [4.0, 1.0, 5.0]
    monitor = Monitor(
        velocity_verlet(Spring(0.0)),
        0.1,
        Limits(distance=2.0),
        lambda violation: pytest.fail("it is known"),
        lost={1: 3},
    )
    frames, error = monitored(monitor, State(System.create(x)), 10, 5)
    assert error is None
    assert monitor.lost == {1: 3}
    assert len(frames) == 3


@pytest.mark.parametrize("kind", FORCES)
def test_a_run_that_stopped_between_frames_holds_the_last_frame(kind: str) -> None:
    """Not where the stop was: the frames are those of the run that never stopped."""
    flow, dt = velocity_verlet(FORCES[kind](1.0)), 2.1
    whole, _ = monitored(
        before := Monitor(flow, dt, Limits(energy=1e3), lambda violation: None), unstable(4), 60, 20
    )
    step = before.lost[1]
    assert step % 20 > 3
    stop = step - 2
    *_, state = advance(flow, unstable(4), dt, Span(stop))
    again = Monitor(flow, dt, Limits(energy=1e3), lambda violation: None)
    phase = stop % 20
    found = list(
        again.states(
            replace(state, evaluation=None), 60 - stop, 20, phase, whole[stop // 20].system
        )
    )
    assert again.lost == before.lost
    rest = [now for now in found[1:] if now.step % 20 == 0]
    for mine, its in zip(rest, whole[stop // 20 + 1 :], strict=True):
        np.testing.assert_array_equal(mine.system.positions, its.system.positions)
        np.testing.assert_array_equal(mine.system.momenta, its.system.momenta)
        assert mine.evaluation is not None
        assert its.evaluation is not None
        np.testing.assert_array_equal(mine.evaluation.energy, its.evaluation.energy)


def test_no_system_left() -> None:
    x = np.array([[[1.0, 0, 0]], [[2.0, 0, 0]]])
    told = list[Violation]()
    _, error = monitored(
        Monitor(velocity_verlet(Spring(1.0)), 2.5, Limits(energy=1e3), told.append),
        State(System.create(x)),
        50,
        1,
    )
    assert error is not None
    assert {told[0].system, error.violation.system} == {0, 1}


def test_lists_of_what_is_not_finite() -> None:
    """Lennard-Jones atoms thrown at each other: lists could not be made of what comes of it. The
    others of three go on."""
    x = np.stack(
        [[[0.0, 0, 0], [4.0, 0, 0]], [[0.0, 0, 0], [1.7, 0, 0]], [[0.0, 0, 0], [4.5, 0, 0]]]
    )
    state, told = State(System.create(x, masses=[40.0, 40.0])), list[Violation]()
    flow = velocity_verlet(LennardJones(0.0104, 3.4))
    frames, error = monitored(
        monitor := Monitor(flow, 1.0, Limits(energy=20.0), told.append), state, 3000, 100
    )
    assert error is None
    assert list(monitor.lost) == [1]
    other = list(rollout(flow, replace(state, system=state.system.copy_of(2)), 1.0, 3000, 100))
    for mine, its in zip(frames, other, strict=True):
        np.testing.assert_array_equal(mine.system.positions[2], its.system.positions)


def test_forces_that_fail_leave_the_last_state() -> None:
    """Not the last frame: a slow calculator's steps are not thrown away."""
    flow = velocity_verlet(Spring(1.0, fails_at=0.5))
    frames, error = monitored(
        Monitor(flow, 2.1, Limits(), lambda violation: None), unstable(), 1000, 1000
    )
    assert error is not None
    assert error.violation.failed
    assert "the forces failed (KeyError: 'too far')" in error.violation.what
    assert error.good.step == error.violation.step - 1 > 0
    assert [frame.step for frame in frames] == [0]


def test_particles_that_come_too_close() -> None:
    """Two of three meet head on; the step is that at which their distance is first below the
    limit."""
    x = np.array([[0.0, 0, 0], [4.0, 0, 0], [0.0, 9.0, 0]])
    v = np.array([[0.1, 0, 0], [-0.1, 0, 0], [0.0, 0, 0]])
    state, limit = State(System.create(x, velocities=v)), 0.55
    flow = velocity_verlet(Spring(0.0))
    frames, error = monitored(
        Monitor(flow, 0.25, Limits(distance=limit), lambda violation: None), state, 200, 20
    )
    assert error is not None
    assert set(error.violation.particles) == {0, 1}
    assert (
        error.violation.step == 70
    )  # 4 - 0.2 t < 0.55 from t = 17.25 on; 70 * 0.25 is the first beyond
    assert "nearer than 0.55" in error.violation.what
    assert frames[-1].step == 60


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
@pytest.mark.parametrize("n", [2, 30, 100])
def test_nearest_pairs(n: int, pbc: tuple[bool, bool, bool]) -> None:
    """Against all pairs with all images; of an ensemble each system for itself."""
    stream = np.random.default_rng(n)
    cell = np.array([[6.0, 0, 0], [1.0, 6.0, 0], [0.0, 1.0, 7.0]])
    x = stream.random((3, n, 3)) @ cell
    system = replace(
        System.create(x),
        cell=np.broadcast_to(cell, (3, 3, 3)).copy() if any(pbc) else None,
        pbc=pbc,
    )
    shifts = (
        np.stack(np.meshgrid(*[[-1, 0, 1] if p else [0] for p in pbc], indexing="ij"), -1).reshape(
            -1, 3
        )
        @ cell
    )
    apart = np.linalg.norm(x[:, None, :, None] - x[:, :, None, None] + shifts, axis=-1)
    apart[:, np.arange(n), np.arange(n)] = np.inf
    least = apart.min((1, 2, 3))
    limit = float(np.median(least)) * (1 + 1e-9)
    found = nearer(system, limit)
    assert set(found) == set(np.flatnonzero(least < limit))
    for k, (distance, i, j) in found.items():
        assert distance == pytest.approx(least[k], rel=1e-12)
        assert apart[k, i, j].min() == pytest.approx(least[k], rel=1e-12)


def test_the_nearest_may_be_an_image() -> None:
    """Across the face of the cell."""
    system = replace(
        System.create(np.array([[0.1, 1, 1], [5.8, 1, 1], [3.0, 1, 1]])),
        cell=np.eye(3) * 6.0,
        pbc=(True, True, True),
    )
    (distance, *pair), *others = nearer(system, 0.5).values()
    assert not others
    assert distance == pytest.approx(0.3, rel=1e-12)
    assert set(pair) == {0, 1}


def test_a_sound_run_is_left_alone() -> None:
    """The charged benchmark's systems, whose clip breaks energy: the very states, under the limits
    that are usual."""
    flow, state = velocity_verlet(benchmark_coulomb()), State(charged_systems(20, seed=43))
    mine = list(
        Monitor(flow, 1e-3, Limits(), lambda violation: pytest.fail(violation.what)).states(
            state, 1000, 100
        )
    )
    for one, other in zip(
        (now for now in mine if now.step % 100 == 0),
        rollout(flow, state, 1e-3, 1000, 100),
        strict=True,
    ):
        np.testing.assert_array_equal(one.system.positions, other.system.positions)


@pytest.mark.parametrize("kind", FORCES)
def test_held_systems_stay(kind: str) -> None:
    state, flow = unstable(4), velocity_verlet(FORCES[kind](1.0))
    *_, last = advance(flow, state, 0.1, Span(50, 10), held=(1, 3))
    *_, free = advance(flow, state, 0.1, Span(50, 10))
    np.testing.assert_array_equal(last.system.positions[[1, 3]], state.system.positions[[1, 3]])
    np.testing.assert_array_equal(last.system.positions[[0, 2]], free.system.positions[[0, 2]])


def test_two_that_go_bad_in_one_interval() -> None:
    """Each is searched for without the other in the way."""
    x = (
        np.outer([1e-3, 2e-3, 5e-3], [1.0, 0.5, 0.25])[None]
        * np.array([0.0, 1.0, 1e-4, 0.0])[:, None, None]
    )
    for kind in FORCES:
        told = list[Violation]()
        flow = velocity_verlet(FORCES[kind](1.0))
        with np.errstate(all="ignore"):
            frames, error = monitored(
                monitor := Monitor(flow, 3.5, Limits(), told.append),
                State(System.create(x)),
                600,
                300,
            )
        assert error is None
        assert set(monitor.lost) == {1, 2}
        assert monitor.lost[1] < monitor.lost[2]
        assert len(frames) == 3
        assert all(np.isfinite(frame.system.positions).all() for frame in frames)


def test_memories_are_held_too() -> None:
    state = State(
        System.create(np.zeros((3, 2, 3))),
        thermostat=np.ones((3, 2, 1)),
        barostat=np.full((3, 3, 3), 2.0),
    )
    new = replace(state, thermostat=np.full((3, 2, 1), 5.0), barostat=np.full((3, 3, 3), np.nan))
    found = trajectories.monitor.with_held(new, state, (1,))
    assert found.thermostat is not None
    assert found.barostat is not None
    assert found.thermostat[:, 0, 0].tolist() == [5, 1, 5]
    assert np.isfinite(found.barostat[1]).all()
    assert np.isnan(found.barostat[0]).all()
    begun = trajectories.monitor.with_held(
        new, replace(state, thermostat=None, barostat=None), (1,)
    )
    assert begun.thermostat is not None
    assert begun.thermostat[1].max() == 0


def test_a_list_that_cannot_be_made_ends_its_own_system() -> None:
    """Periodic atoms on top of each other, without limits, on several threads: the driver itself
    fails, and says for whom."""
    x = np.zeros((3, 2, 3))
    x[:, 1, 0] = [4.0, 0.3, 4.5]
    cell = np.broadcast_to(np.eye(3) * 12.0, (3, 3, 3)).copy()
    system = replace(System.create(x, masses=[40.0, 40.0]), cell=cell, pbc=(True, True, True))
    flow, told = velocity_verlet(LennardJones(0.0104, 3.4)), list[Violation]()
    frames, error = monitored(
        monitor := Monitor(flow, 1.0, Limits(), told.append, threads=3), State(system), 2000, 1000
    )
    assert error is None
    assert list(monitor.lost) == [1]
    alone = list(rollout(flow, State(system.copy_of(2)), 1.0, 2000, 1000))
    for mine, its in zip(frames, alone, strict=True):
        np.testing.assert_array_equal(mine.system.positions[2], its.system.positions)


def test_a_cell_that_collapses() -> None:
    """Of which no list can be made: no traceback, whoever looks."""
    x = np.array([[0.0, 0, 0], [4.0, 0, 0]])
    system = replace(System.create(x), cell=np.diag([8.0, 8.0, 0.0]), pbc=(True, True, True))
    assert nearer(system, 0.3) == {}
    now = State(replace(system, cell=np.full((3, 3), np.nan)))
    violations = Monitor(velocity_verlet(Spring(1.0)), 0.1, Limits(), print)._violations(
        now, now, False
    )
    assert [violation.what for violation in violations] == ["its cell is not finite"]


def test_energy_that_creeps_away_from_the_start() -> None:
    """Each frame is near the one before; resumed, the start is still the run's."""

    class Heated:
        potential = Spring(1.0)
        flow = velocity_verlet(potential)

        def __call__(self, state: State, dt: float) -> State:
            return self.flow(
                replace(state, system=replace(state.system, momenta=1.001 * state.system.momenta)),
                dt,
            )

    heated, start = Heated(), State(System.create(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])))
    frames, error = monitored(
        Monitor(heated, 0.01, Limits(energy=0.3, drift=0.5), lambda violation: None),
        start,
        5000,
        10,
    )
    assert error is not None
    assert error.violation.what.endswith(" since the start")
    assert 20 < len(frames) < 400
    half = frames[len(frames) // 2]
    again = Monitor(
        heated, 0.01, Limits(energy=0.3, drift=0.5), lambda violation: None, start=frames[0]
    )
    _, same = monitored(again, half, 5000, 10)
    assert same is not None
    assert same.violation == error.violation


class Trained:
    """No force at all between particles 0 and 1; it knows them from a distance of one on."""

    def __call__(self, system: System) -> Evaluation:
        x = np.asarray(system.positions)
        apart = np.minimum(np.linalg.norm(x[..., 1, :] - x[..., 0, :], axis=-1), 1.0)
        inside = apart < 1.0
        closest = np.stack(
            [apart, np.where(inside, 0.0, -1.0), np.where(inside, 1.0, -1.0), 1.0 * inside], -1
        )
        return Evaluation(np.zeros(x.shape[:-2]), np.zeros_like(x), closest=closest, potential=self)


@pytest.mark.parametrize("every", [1, 10, 50])
@pytest.mark.parametrize("n_systems", [None, 3])
def test_pairs_that_are_nearer_than_in_training(n_systems: int | None, every: int) -> None:
    """Each system is told of once, at its own step, and stopped at its own, whatever the frames;
    without a limit it goes on."""
    speeds = np.array([0.01, 0.02, 0.0])[:n_systems] if n_systems else np.array(0.01)
    x = np.broadcast_to([[0.0, 0, 0], [1.105, 0, 0]], (*speeds.shape, 2, 3)).copy()
    v = np.zeros_like(x)
    v[..., 1, 0] = -speeds
    start = State(System.create(x, velocities=v))
    told: list[Violation] = []
    lost: list[Violation] = []
    monitor = Monitor(
        velocity_verlet(Trained()), 1.0, Limits(nearness=0.8), lost.append, tell_near=told.append
    )
    found, error = monitored(monitor, start, 50, every)
    first, second = (11, 31), (6, 16)  # the first steps after ways of 0.105 and 0.305
    if n_systems is None:
        assert error is not None
        assert (error.violation.step, error.violation.limit, error.violation.particles) == (
            first[1],
            "nearness",
            (0, 1),
        )
        assert [(violation.step, violation.system) for violation in told] == [(first[0], None)]
        assert "X 0 and X 1 are 0.995 apart, in training never nearer than 1" in told[0].what
    else:
        assert (error, found[-1].step) == (None, 50)
        assert [(violation.step, violation.system) for violation in told] == [
            (second[0], 1),
            (first[0], 0),
        ]
        assert [(violation.step, violation.system) for violation in lost] == [
            (second[1], 1),
            (first[1], 0),
        ]
    free = Monitor(velocity_verlet(Trained()), 1.0, Limits(), lost.append)
    found, error = monitored(free, start, 50, every)
    assert (error, found[-1].step) == (None, 50)
    assert set(free.marked.values()) == ({first[0]} if n_systems is None else {first[0], second[0]})
