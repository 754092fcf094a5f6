"""The charged benchmark: draw for draw and frame for frame what the public generator makes."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

from integrators.ensembles import symplectic_euler
from integrators.state import State
from systems.sources.charged import (
    BENCHMARK_SEED,
    N_STEPS,
    STEPS_PER_FRAME,
    TIME_STEP,
    benchmark_coulomb,
    charged_systems,
)
from systems.system import System
from trajectories.rollout import rollout

# |difference| in positions that are reached after 5,000 steps: the public generator's own bound for
# an independent twin
SAME_RUN = 1e-8


def generator(seed: int, n_systems: int, n: int = 5):  # type: ignore[no-untyped-def]
    """SCIENCE.md section 2, written down once more: charges [n, 1], positions and velocities [3, n]
    of each sample in turn."""
    stream = np.random.RandomState(seed)
    for _ in range(n_systems):
        charges = stream.choice([-1, 0, 1], size=(n, 1), p=[0.5, 0, 0.5])
        x = stream.randn(3, n) * (n / 5) ** (1 / 3)
        v = stream.randn(3, n)
        v *= 0.5 / np.sqrt((v * v).sum(axis=0))
        for i in range(n):
            for a in range(3):
                if x[a, i] > 5:
                    x[a, i], v[a, i] = 10 - x[a, i], -abs(v[a, i])
                elif x[a, i] < -5:
                    x[a, i], v[a, i] = -10 - x[a, i], abs(v[a, i])
        stream.randn(49, 3, n), stream.randn(49, 3, n)
        yield charges, x, v


def force(charges: np.ndarray, x: np.ndarray) -> np.ndarray:
    total = np.zeros_like(x)
    for i in range(x.shape[1]):
        for j in range(x.shape[1]):
            if i != j:
                offset = x[:, i] - x[:, j]
                total[:, i] += charges[i] * charges[j] * offset / np.sqrt(offset @ offset) ** 3
    return total.clip(-100, 100)


def assert_same_draws(n_systems: int, seed: int, n: int) -> None:
    drawn = charged_systems(n_systems, seed, n)
    for k, (charges, x, v) in enumerate(generator(seed, n_systems, n)):
        np.testing.assert_array_equal(drawn.charges[k], charges[:, 0])
        np.testing.assert_allclose(drawn.positions[k], x.T, rtol=4 * 2.0**-52)
        np.testing.assert_allclose(drawn.velocities[k], v.T, rtol=8 * 2.0**-52)


@pytest.mark.parametrize("seed", [0, 43])
@pytest.mark.parametrize("n", [1, 5, 20])
def test_draws_are_those_of_an_independent_twin(seed: int, n: int) -> None:
    assert_same_draws(20, seed, n)


def test_walls_reflect_once_at_the_start() -> None:
    """A thousand particles are spread 5.8 wide: many start beyond a wall, and the farthest end up
    beyond the other one."""
    stream = np.random.RandomState(1)
    stream.choice([-1, 0, 1], size=(1000, 1), p=[0.5, 0, 0.5])
    free = stream.randn(3, 1000).T * 200 ** (1 / 3)
    out, drawn = abs(free) > 5.0, charged_systems(1, 1, 1000)
    assert out.sum() > 1000
    np.testing.assert_allclose(
        drawn.positions[0][out], (np.sign(free) * 10.0 - free)[out], rtol=0, atol=1e-14
    )
    np.testing.assert_array_equal(np.sign(drawn.velocities[0][out]), -np.sign(free[out]))
    assert abs(drawn.positions).max() > 5.0
    assert_same_draws(1, 1, 1000)


@pytest.mark.parametrize("n", [5, 40])
def test_positions_scale_with_the_cube_root_of_the_number(n: int) -> None:
    """Of normal draws with deviation (n / 5)^(1/3) a known share lies within 3, where no reflection
    reaches; five standard errors."""
    x = charged_systems(100, 7, n).positions
    share = float(erf(3.0 / (n / 5) ** (1 / 3) / np.sqrt(2.0)))
    assert np.mean(abs(x) < 3.0) == pytest.approx(
        share, abs=5 * np.sqrt(share * (1 - share) / x.size)
    )


def test_the_speed_is_one_half() -> None:
    speeds = np.linalg.norm(charged_systems(10, 3, 8).velocities, axis=-1)
    np.testing.assert_allclose(speeds, 0.5, rtol=4 * 2.0**-52)


def test_the_force_is_that_of_the_twin() -> None:
    drawn, potential = charged_systems(200, 5), benchmark_coulomb()
    forces = potential(drawn).forces
    for k in range(200):
        expected = force(drawn.charges[k], drawn.positions[k].T).T
        np.testing.assert_allclose(
            forces[k], expected, rtol=0, atol=1e-12 * max(1.0, abs(expected).max())
        )
    assert (
        abs(potential(System.create([[0, 0, 0], [0.01, 0, 0]], charges=1.0)).forces).max() == 100.0
    )


@pytest.mark.parametrize("k", [1, 3])
def test_the_first_systems_do_not_depend_on_how_many_are_asked_for(k: int) -> None:
    few, many = charged_systems(k, 11), charged_systems(8, 11)
    for name in ("positions", "momenta", "charges"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:k])
    flow = symplectic_euler(benchmark_coulomb())
    *_, last_few = rollout(flow, State(few), TIME_STEP, 500, 500)
    *_, last_many = rollout(flow, State(many), TIME_STEP, 500, 500)
    np.testing.assert_array_equal(last_few.system.positions, last_many.system.positions[:k])


def test_one_run_of_the_twin() -> None:
    """x and v after 300 steps of the loop as it is written down: v += dt F; repeat { x += dt v; v
    += dt F }."""
    (charges, x, v), dt = next(generator(3, 1)), 0.001
    v = v + dt * force(charges[:, 0], x)
    for _ in range(299):
        x = x + dt * v
        v = v + dt * force(charges[:, 0], x)
    x = x + dt * v
    *_, last = rollout(
        symplectic_euler(benchmark_coulomb()), State(charged_systems(1, 3)), dt, 300, 300
    )
    np.testing.assert_allclose(last.system.positions[0], x.T, rtol=0, atol=1e-11)
    np.testing.assert_allclose(last.system.velocities[0], v.T, rtol=0, atol=1e-11)


def test_the_public_generators_trajectories(data: Path) -> None:
    reference = np.load(data / "charged" / "reference.npz")
    start = charged_systems(10, BENCHMARK_SEED)
    np.testing.assert_array_equal(start.charges, reference["charges"])
    assert (TIME_STEP, N_STEPS, STEPS_PER_FRAME) == (0.001, 5000, 100)
    states = rollout(
        symplectic_euler(benchmark_coulomb()), State(start), TIME_STEP, N_STEPS, STEPS_PER_FRAME
    )
    frames = list(islice(states, 1, 50))
    positions = np.stack([frame.system.positions for frame in frames], 1)
    velocities = np.stack([frame.system.velocities for frame in frames], 1)
    np.testing.assert_allclose(positions, reference["positions"], rtol=0, atol=SAME_RUN)
    # a position that is off by d during an encounter at distance r turns a velocity by d v / r, and
    # here v / r reaches 50
    np.testing.assert_allclose(velocities, reference["velocities"], rtol=0, atol=50 * SAME_RUN)


@pytest.mark.parametrize("count", [0, -3])
@pytest.mark.parametrize("name", ["systems", "particles"])
def test_counts_below_one_are_refused(count: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"the number of {name} must be at least 1, not {count}"):
        charged_systems(**({"n_systems": 1} | {f"n_{name}": count}))
