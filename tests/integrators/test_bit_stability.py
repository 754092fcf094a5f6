"""The compiled driver's bits depend on nothing but the start and the step: not on threads, frames,
slices or other systems."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import integrators.compiled.driver
from integrators.ensembles import symplectic_euler, velocity_verlet, wisdom_holman, yoshida_4
from integrators.relativity import PostNewtonian
from integrators.span import Span
from integrators.state import State
from systems.potentials.gravity import Gravity
from systems.sources.charged import benchmark_coulomb, charged_systems
from systems.sources.solar import j2000
from systems.system import System
from systems.units import ASTRONOMICAL
from trajectories.rollout import advance, rollout

RELATIVITY = PostNewtonian(0, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)


def planets(copies: int = 7) -> State:
    """The solar system with velocities changed by parts in a thousand from copy to copy."""
    system, stream = j2000().system, np.random.default_rng(0)
    factor = 1.0 + 1e-3 * stream.normal(size=(copies, 1, 1))
    return State(
        replace(
            system,
            positions=np.repeat(system.positions[None], copies, 0),
            momenta=system.momenta * factor,
            charges=np.zeros((copies, 11)),
        )
    )


CASES: dict[str, tuple[Any, Any, float]] = {
    "charges": (symplectic_euler(benchmark_coulomb()), lambda: State(charged_systems(7, 3)), 0.001),
    "planets": (yoshida_4(Gravity(ASTRONOMICAL.gravitation), relativity=RELATIVITY), planets, 0.5),
    "wisdom-holman": (
        wisdom_holman(Gravity(ASTRONOMICAL.gravitation), relativity=RELATIVITY),
        planets,
        1.0,
    ),
}
cases = pytest.mark.parametrize("case", CASES)


def run(case: str, n_steps: int = 600, every: int = 600, **options: Any) -> list[State]:
    flow, start, dt = CASES[case]
    return list(rollout(flow, start(), dt, n_steps, every, **options))


def assert_same_bits(a: State, b: State) -> None:
    assert (a.step, a.time) == (b.step, b.time)
    for name in ("positions", "momenta"):
        np.testing.assert_array_equal(getattr(a.system, name), getattr(b.system, name))
        if a.coordinates is not None:
            np.testing.assert_array_equal(
                getattr(a.coordinates.system, name), getattr(b.coordinates.system, name)
            )
    np.testing.assert_array_equal(a.evaluation.forces, b.evaluation.forces)
    np.testing.assert_array_equal(a.evaluation.energy, b.evaluation.energy)


@cases
def test_the_run_moves(case: str) -> None:
    """What is compared below is worth comparing."""
    first, last = run(case)
    assert abs(last.system.positions - first.system.positions).max() > 0.1
    assert len({copy.tobytes() for copy in last.system.positions}) == 7


@cases
@pytest.mark.parametrize("threads", [2, 3, 7, 50])
def test_bits_do_not_depend_on_threads(case: str, threads: int) -> None:
    for alone, many in zip(
        run(case, every=100, threads=1), run(case, every=100, threads=threads), strict=True
    ):
        assert_same_bits(alone, many)


@cases
@pytest.mark.parametrize("every", [1, 7, 300])
def test_bits_do_not_depend_on_how_many_frames_are_kept(case: str, every: int) -> None:
    frames = {state.step: state for state in run(case, 630 if every == 7 else 600, every)}
    for state in run(case, 630 if every == 7 else 600, 210 if every == 7 else 300):
        assert_same_bits(frames[state.step], state)
    assert sorted(frames) == list(range(0, (630 if every == 7 else 600) + 1, every))


@cases
@pytest.mark.parametrize(
    ("seconds", "size"),
    [(1e-9, 2**25), (1e9, 2**25), (0.1, 1)],
    ids=["one step", "all at once", "one frame"],
)
def test_bits_do_not_depend_on_slices(
    case: str, seconds: float, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(case, every=40)
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_SECONDS", seconds)
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_BYTES", size)
    for a, b in zip(expected, run(case, every=40), strict=True):
        assert_same_bits(a, b)


@cases
def test_slices_are_as_short_as_they_are_told(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without frames to keep, a state comes out of every slice: all but the first of them one step
    long."""
    flow, start, dt = CASES[case]
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_SECONDS", 1e-9)
    steps = [state.step for state in advance(flow, start(), dt, Span(600, 600))]
    assert len(steps) > 300
    assert set(np.diff(steps[2:])) == {1}
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_SECONDS", 1e9)
    assert len(list(advance(flow, start(), dt, Span(600, 600)))) <= 3


@cases
@pytest.mark.parametrize("count", [1, 4])
def test_bits_do_not_depend_on_the_other_systems(case: str, count: int) -> None:
    flow, start, dt = CASES[case]
    whole = start()
    part = replace(
        whole.system,
        positions=whole.system.positions[:count],
        momenta=whole.system.momenta[:count],
        charges=whole.system.charges[:count],
    )
    *_, alone = rollout(flow, State(part), dt, 600, 600)
    np.testing.assert_array_equal(alone.system.positions, run(case)[-1].system.positions[:count])


def test_a_system_without_a_leading_axis_moves_as_one_of_many() -> None:
    flow, start, dt = CASES["planets"]
    whole: System = start().system
    single = replace(
        whole, positions=whole.positions[2], momenta=whole.momenta[2], charges=whole.charges[2]
    )
    *_, alone = rollout(flow, State(single), dt, 600, 600)
    np.testing.assert_array_equal(alone.system.positions, run("planets")[-1].system.positions[2])
    assert alone.system.n_systems is None


def test_steps_and_times_are_counted_from_the_state() -> None:
    """time = t0 + step * dt, not a sum of dts; the first state comes back as it is."""
    state = State(j2000().system, time=3.25, step=5)
    states = list(rollout(velocity_verlet(Gravity(ASTRONOMICAL.gravitation)), state, 0.1, 30, 10))
    assert [s.step for s in states] == [5, 15, 25, 35]
    assert [s.time for s in states] == [
        3.25,
        *(3.25 - 5 * 0.1 + step * 0.1 for step in (15, 25, 35)),
    ]
    assert states[0].system is state.system


def test_what_goes_in_is_left_alone() -> None:
    flow, start, dt = CASES["charges"]
    state = start()
    before = state.system.positions.copy(), state.system.momenta.copy()
    frames = list(rollout(flow, state, dt, 100, 10))
    np.testing.assert_array_equal(state.system.positions, before[0])
    np.testing.assert_array_equal(state.system.momenta, before[1])
    kept = frames[3].system.positions.copy()
    list(rollout(flow, frames[3], dt, 100, 10))
    np.testing.assert_array_equal(frames[3].system.positions, kept)


@cases
def test_frames_carry_the_full_potentials_evaluation(case: str) -> None:
    """Energy and forces of all pairs, also where the scheme's own kick leaves the star out."""
    flow = CASES[case][0]
    for state in run(case, every=200):
        fresh = flow.potential(state.system)
        assert state.evaluation.potential is flow.potential
        np.testing.assert_allclose(state.evaluation.energy, fresh.energy, rtol=1e-12)
        np.testing.assert_allclose(
            state.evaluation.forces, fresh.forces, rtol=0, atol=1e-12 * abs(fresh.forces).max()
        )
