"""Drifts of conserved quantities against direct sums, and how well flows run backwards against what
their order says."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trajectories.conservation
from integrators.ensembles import symplectic_euler, velocity_verlet, yoshida
from integrators.state import State
from systems.potentials.springs import Springs
from systems.system import Evaluation, System
from trajectories.conservation import conservation, distance, reversibility
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader

EPS = np.finfo(float).eps


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def direct(states: list[State], k: int) -> tuple[list[float], list[float], list[float]]:
    """Drifts of the ensemble's system ``k`` by their definitions, particle by particle."""

    def sums(state: State) -> tuple[float, np.ndarray, np.ndarray, float, float]:
        x, p = (
            np.reshape(a, (-1, *a.shape[-2:]))[k]
            for a in (state.system.positions, state.system.momenta)
        )
        assert state.evaluation is not None
        energy = np.ravel(state.evaluation.energy)[k] + sum(
            q @ q / (2 * m) for q, m in zip(p, state.system.masses, strict=True)
        )
        turning = [cross(a, b) for a, b in zip(x, p, strict=True)]
        sizes = sum(np.sqrt(q @ q) for q in p), sum(np.sqrt(c @ c) for c in turning)
        return energy, sum(p), sum(turning), *sizes

    e0, p0, l0, p_size, l_size = sums(states[0])
    rows = [sums(state) for state in states]
    return (
        [(row[0] - e0) / abs(e0) for row in rows],
        [float(np.linalg.norm(row[1] - p0)) / p_size for row in rows],
        [float(np.linalg.norm(row[2] - l0)) / l_size for row in rows],
    )


def assert_direct(path: Path, states: list[State]) -> None:
    with H5MDReader(path) as reader:
        drifts = conservation(reader)
    for k in range(states[0].system.n_systems or 1):
        for name, expected in zip(
            ("energy", "momentum", "angular_momentum"), direct(states, k), strict=True
        ):
            # a drift is a difference of numbers of order one, each a sum of some fifty products
            np.testing.assert_allclose(
                getattr(drifts, name)[:, k], expected, rtol=1e-9, atol=200 * EPS, err_msg=name
            )
    np.testing.assert_array_equal(drifts.times, [state.time for state in states])


def test_against_direct_sums(case: Any, record: Callable[..., Path]) -> None:
    states = list(rollout(case.flow, case.state, case.dt, 60, 10))
    assert_direct(record(states), states)


@pytest.mark.parametrize("n_systems", [None, 1, 3])
def test_against_direct_sums_where_nothing_is_conserved(
    record: Callable[..., Path], random_state: Callable[..., State], n_systems: int | None
) -> None:
    stream = np.random.default_rng(11)
    first = random_state(stream, n_systems)
    others = [random_state(stream, n_systems) for _ in range(6)]
    states = [first] + [
        replace(
            s,
            system=replace(first.system, positions=s.system.positions, momenta=s.system.momenta),
            time=k + 1.0,
        )
        for k, s in enumerate(others)
    ]
    assert_direct(record(states), states)
    with H5MDReader(record(states, name="again.h5md")) as reader:
        assert conservation(reader).momentum.shape == (7, n_systems or 1)
        assert conservation(reader).momentum[1:].min() > 0.01


def test_energy_changed_on_purpose(
    record: Callable[..., Path], random_state: Callable[..., State]
) -> None:
    """A particle at rest whose potential energy grows by a thousandth of itself a frame: the drift
    is just that, with its sign."""
    state = random_state(np.random.default_rng(2))
    system = replace(state.system, momenta=0 * state.system.momenta)
    for energy in (-8.0, 8.0):
        states = [
            State(system, float(k), k, Evaluation(energy * (1 + k / 1024), np.zeros((4, 3))))
            for k in range(5)
        ]
        with H5MDReader(record(states, name=f"run{energy}.h5md")) as reader:
            drifts = conservation(reader)
        # powers of two: no round-off at all
        np.testing.assert_array_equal(drifts.energy, np.sign(energy) * np.arange(5)[:, None] / 1024)
        np.testing.assert_array_equal(drifts.momentum, np.zeros((5, 1)))


def test_without_energies(record: Callable[..., Path], random_state: Callable[..., State]) -> None:
    states = [random_state(np.random.default_rng(2), 2, forces=False)] * 2
    with H5MDReader(record(states)) as reader:
        drifts = conservation(reader)
    assert drifts.energy is None
    assert drifts.momentum.shape == (2, 2)


def test_of_systems_at_rest(
    record: Callable[..., Path], random_state: Callable[..., State]
) -> None:
    """Where the start has no momentum at all the change stands bare, not divided by zero."""
    state = random_state(np.random.default_rng(2))
    p = np.zeros((4, 3))
    p[2] = (0.0, 3.0, 4.0)
    states = [
        replace(state, system=replace(state.system, momenta=momenta))
        for momenta in (np.zeros((4, 3)), p)
    ]
    with H5MDReader(record(states)) as reader:
        drifts = conservation(reader)
    np.testing.assert_allclose(drifts.momentum[:, 0], [0.0, 5.0], rtol=4 * EPS)
    expected = np.linalg.norm(np.cross(state.system.positions[2], p[2]))
    np.testing.assert_allclose(drifts.angular_momentum[:, 0], [0.0, expected], rtol=10 * EPS)


@pytest.mark.parametrize("size", [1, 1500, 10**9])
def test_blocks_change_nothing(
    case: Any, record: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = record(rollout(case.flow, case.state, case.dt, 60, 10))
    with H5MDReader(path) as reader:
        expected = conservation(reader)
        asked: list[int] = []
        frames = reader.frames
        monkeypatch.setattr(reader, "frames", lambda *which: asked.append(1) or frames(*which))
        monkeypatch.setattr(trajectories.conservation, "_BLOCK_BYTES", size)
        drifts = conservation(reader)
    for name in ("energy", "momentum", "angular_momentum"):
        np.testing.assert_array_equal(getattr(drifts, name), getattr(expected, name))
    # positions and velocities of each block: one frame a block, a few, all at once
    assert (
        len(asked) / 2
        == {
            1: 7,
            1500: -(-7 // (1500 // (24 * case.state.system.positions[..., 0].size))),
            10**9: 1,
        }[size]
    )


@dataclass(frozen=True)
class Growth:
    """x -> (1 + dt) x: no flow of physics, but what it does n times, forward and back, is known."""

    potential: Any = None

    def __call__(self, state: State, dt: float) -> State:
        return replace(
            state, system=replace(state.system, positions=state.system.positions * (1.0 + dt))
        )


def test_reversibility_of_a_known_map() -> None:
    state = State(System.create([[1.0, 0.0, 0.0], [0.0, 3.0, 4.0]]))
    dt, n = 0.125, 6
    expected = (1 - (1 - dt**2) ** n) / ((1 + dt) ** n - 1)
    assert reversibility(Growth(), state, dt, n) == pytest.approx(expected, rel=50 * EPS)


def test_distance_is_of_the_worst_particle() -> None:
    stream = np.random.default_rng(4)
    x = stream.normal(size=(2, 3, 3))
    moved = x.copy()
    moved[1, 2] += (2.0, 3.0, 6.0)
    moved[0, 0] += (0.0, 3.0, 4.0)
    assert distance(System.create(x), System.create(moved)) == pytest.approx(7.0, rel=10 * EPS)


def springs() -> State:
    """Three weights on springs, in three dimensions: nothing chaotic."""
    return State(
        System.create(
            [[0.0, 0, 0], [1.0, 0.2, 0], [2.0, 0, 0.3]],
            velocities=[[0, 0.1, 0], [0, 0, 0.2], [0.3, 0, 0]],
        )
    )


POTENTIAL = Springs(np.array([[0, 1], [1, 2]]), 1.0, 0.0)


@pytest.mark.parametrize(
    "flow", [velocity_verlet(POTENTIAL), yoshida(POTENTIAL, 4), yoshida(POTENTIAL, 8)]
)
def test_symmetric_flows_run_backwards(flow: Any) -> None:
    """Round-off alone: a few ulp of positions of order two a step, fifteen stages at most, and a
    distance travelled of order one."""
    assert reversibility(flow, springs(), 0.05, 100) < 100 * 15 * 4 * EPS


def test_symplectic_euler_misses_its_start_by_its_order() -> None:
    flow = symplectic_euler(POTENTIAL)
    errors = [reversibility(flow, springs(), 1.0 / n, n) for n in (64, 128, 256)]
    slopes = np.log2(np.divide(errors[:-1], errors[1:]))
    # first order; the next term of the error is smaller by dt
    np.testing.assert_allclose(slopes, 1.0, atol=4 / 64)


def test_reversibility_takes_a_step() -> None:
    with pytest.raises(ValueError, match="at least 1 step, not 0"):
        reversibility(velocity_verlet(Springs([[0, 1]])), State(System.create(np.eye(3))), 0.1, 0)
