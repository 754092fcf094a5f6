"""Palindromes run backwards return to where they set out; a scheme that is none needs its
adjoint."""

from typing import Any

import numpy as np
import pytest

from integrators.composition import Sequential, Strang, adjoint
from integrators.ensembles import INTEGRATORS, symplectic_euler
from integrators.flows import Drift, Kick
from integrators.relativity import PostNewtonian
from integrators.state import State
from systems.potentials.gravity import Gravity
from systems.potentials.springs import Springs
from systems.system import System
from trajectories.conservation import reversibility
from trajectories.rollout import rollout

PALINDROMES = [name for name in INTEGRATORS if name != "symplectic-euler"]
STEPS, DT = 400, 0.05
# Each of 400 steps there and back, fifteen stages at most, rounds positions of order two by 2e-16.
# Kepler motion carries an early error on as t^1, and 20 is 3 revolutions: a walk of sqrt(12000)
# roundings times 20 is 5e-13.
ROUND_OFF = 5e-13


def two_planets() -> State:
    x, v = (
        np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.9, 0.1]]),
        np.array([[0, 0, 0], [0, 1.05, 0.05], [-0.75, 0, 0.02]]),
    )
    masses = np.array([1.0, 1e-3, 2e-3])
    v[0] = -(masses[1:] @ v[1:])
    return State(System.create(x, velocities=v, masses=masses))


def there_and_back(flow: Any, back: Any, state: State, interpreter: str) -> tuple[float, float]:
    """How far the way led, and how far from the start it ends; positions and velocities."""
    if interpreter == "compiled":
        *_, end = rollout(flow, state, DT, STEPS, STEPS)
        *_, home = rollout(back, end, -DT, STEPS, STEPS)
    else:
        end = home = state
        for _ in range(STEPS):
            end = flow(end, DT)
        home = end
        for _ in range(STEPS):
            home = back(home, -DT)
    errors = [
        abs(getattr(home.system, name) - getattr(state.system, name)).max()
        for name in ("positions", "velocities")
    ]
    return float(abs(end.system.positions - state.system.positions).max()), float(max(errors))


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
@pytest.mark.parametrize(
    "relativity", [None, PostNewtonian(0, 1.0, 20.0)], ids=["Newton", "relativity"]
)
@pytest.mark.parametrize("name", PALINDROMES)
def test_palindromes_return(name: str, relativity: PostNewtonian | None, interpreter: str) -> None:
    flow = INTEGRATORS[name](Gravity(), relativity=relativity)
    far, error = there_and_back(flow, flow, two_planets(), interpreter)
    assert far > 1.0
    assert error < ROUND_OFF


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
def test_symplectic_euler_returns_by_its_adjoint_only(interpreter: str) -> None:
    flow = symplectic_euler(Gravity())
    far, error = there_and_back(flow, adjoint(flow), two_planets(), interpreter)
    assert far > 1.0
    assert error < ROUND_OFF
    _, astray = there_and_back(flow, flow, two_planets(), interpreter)
    assert astray > 1e-2


@pytest.mark.parametrize(
    "make",
    [
        lambda p: Sequential(Drift(), Kick(p)),
        lambda p: Sequential(Kick(p), Strang(Drift(), Kick(p))),
    ],
)
def test_any_scheme_returns_by_its_adjoint(make: Any) -> None:
    flow, start = (
        make(Springs([[0, 1], [1, 2], [2, 0]])),
        State(System.create(np.eye(3), velocities=[[0, 1, 0], [0, 0, 1], [1, 0, 0]])),
    )
    far, error = there_and_back(flow, adjoint(flow), start, "compiled")
    assert far > 0.5
    assert error < ROUND_OFF
    assert there_and_back(flow, flow, start, "compiled")[1] > 1e-3


def test_the_measure_of_reversibility_tells_them_apart() -> None:
    """`trajectories.conservation.reversibility` is the error over the way."""
    assert reversibility(INTEGRATORS["yoshida-4"](Gravity()), two_planets(), DT, STEPS) < ROUND_OFF
    assert reversibility(symplectic_euler(Gravity()), two_planets(), DT, STEPS) > 1e-2
