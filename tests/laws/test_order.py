"""Slopes: how fast each integrator's error falls with its step, in both interpreters."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from integrators.compiled.table import compile_flow
from integrators.ensembles import INTEGRATORS
from integrators.relativity import PostNewtonian
from integrators.state import State
from systems.potentials.gravity import Gravity
from systems.system import System
from trajectories.rollout import rollout

ORDER = {
    "symplectic-euler": 1,
    "velocity-verlet": 2,
    "wisdom-holman": 2,
    "yoshida-4": 4,
    "yoshida-6": 6,
    "yoshida-8": 8,
}
# numbers of steps at which errors lie between 1e-11, a hundred times the error of the truth, and
# the radius of the series
STEPS = {
    "symplectic-euler": (192, 384, 768),
    "velocity-verlet": (32, 64, 128),
    "wisdom-holman": (16, 32, 64),
    "yoshida-4": (24, 48, 96),
    "yoshida-6": (16, 32, 64),
    "yoshida-8": (8, 16, 32),
}
TIME = 3.0


@cache
def two_planets() -> System:
    """A star and two planets of a few thousandths of its mass on slightly eccentric, inclined
    orbits, periods 2 pi and 16."""
    x, v = (
        np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.9, 0.1]]),
        np.array([[0, 0, 0], [0, 1.05, 0.05], [-0.75, 0, 0.02]]),
    )
    masses = np.array([1.0, 1e-3, 2e-3])
    v[0] = -(masses[1:] @ v[1:])
    return System.create(x, velocities=v, masses=masses)


@cache
def truth() -> np.ndarray:
    """By a Runge-Kutta method of order 8 with adaptive steps, which shares nothing with ours
    (scipy's DOP853)."""
    masses = two_planets().masses

    def rate(_: float, y: np.ndarray) -> np.ndarray:
        x = y[:9].reshape(3, 3)
        a = np.zeros((3, 3))
        for i in range(3):
            for j in {0, 1, 2} - {i}:
                a[i] -= masses[j] * (x[i] - x[j]) / np.linalg.norm(x[i] - x[j]) ** 3
        return np.concatenate([y[9:], a.ravel()])

    start = np.concatenate([two_planets().positions.ravel(), two_planets().velocities.ravel()])
    return (
        solve_ivp(rate, (0.0, TIME), start, method="DOP853", rtol=1e-13, atol=1e-15)
        .y[:9, -1]
        .reshape(3, 3)
    )


def after(flow: Any, n: int, interpreter: str) -> np.ndarray:
    if interpreter == "compiled":
        assert compile_flow(flow) is not None
        return list(rollout(flow, State(two_planets()), TIME / n, n, n))[-1].system.positions
    state = State(two_planets())
    for _ in range(n):
        state = flow(state, TIME / n)
    return state.system.positions


def slopes(errors: list[float]) -> np.ndarray:
    return np.log2(np.divide(errors[:-1], errors[1:]))


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
@pytest.mark.parametrize("name", INTEGRATORS)
def test_measured_order(name: str, interpreter: str) -> None:
    flow = INTEGRATORS[name](Gravity())
    errors = [float(abs(after(flow, n, interpreter) - truth()).max()) for n in STEPS[name]]
    assert errors[-1] > 1e-11
    # the series' next term is smaller by a power of the step in radians, 3 / 8 at its longest,
    # times coefficients below one
    np.testing.assert_allclose(slopes(errors), ORDER[name], atol=0.05)


@pytest.mark.parametrize("name", INTEGRATORS)
def test_measured_order_with_relativity(name: str) -> None:
    """Light is twenty times as fast as the planets, so the term is a few thousandths of gravity;
    many steps of yoshida-8 are the truth."""
    relativity = PostNewtonian(0, 1.0, 20.0)
    exact = after(INTEGRATORS["yoshida-8"](Gravity(), relativity=relativity), 1000, "compiled")
    assert abs(exact - truth()).max() > 1e-3
    flow = INTEGRATORS[name](Gravity(), relativity=relativity)
    errors = [float(abs(after(flow, n, "compiled") - exact).max()) for n in STEPS[name]]
    np.testing.assert_allclose(slopes(errors), ORDER[name], atol=0.1)
