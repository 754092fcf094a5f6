"""The compiled driver and the Python interpreter run one scheme to one set of numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from integrators.compiled.table import compile_flow
from integrators.composition import Scheme, Sequential, Strang
from integrators.ensembles import INTEGRATORS, symplectic_euler, velocity_verlet, wisdom_holman
from integrators.flows import Drift, Kick
from integrators.kepler import InCoordinates
from integrators.relativity import PostNewtonian
from integrators.state import State
from systems.potentials.coulomb import Coulomb
from systems.potentials.gravity import Gravity
from systems.potentials.springs import Springs
from systems.potentials.sum import Sum
from systems.sources.charged import benchmark_coulomb, charged_systems
from systems.sources.solar import j2000
from systems.system import Evaluation, System
from systems.units import ASTRONOMICAL
from trajectories.rollout import rollout

RELATIVITY = PostNewtonian(0, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)


def interpreted(flow: Any, state: State, dt: float, n_steps: int) -> State:
    for _ in range(n_steps):
        state = flow(state, dt)
    return state


def compiled(flow: Any, state: State, dt: float, n_steps: int) -> State:
    assert compile_flow(flow) is not None
    *_, last = rollout(flow, state, dt, n_steps, n_steps)
    return last


def planets() -> State:
    """The Sun and its planets without the Moon, whose distance from the Earth, 1 / 390 au,
    multiplies the rounding of positions by 390."""
    system = j2000().system
    kept = [k for k, name in enumerate(j2000().names) if name != "Moon"]
    masses = system.masses[kept]
    return State(
        System.create(
            system.positions[kept],
            velocities=system.velocities[kept],
            masses=masses,
            units=ASTRONOMICAL,
        )
    )


def net(seed: int = 0, copies: tuple[int, ...] = (3,)) -> tuple[System, Springs]:
    """Six particles, all joined, with and without rest length."""
    stream = np.random.default_rng(seed)
    x = stream.normal(size=(*copies, 6, 3))
    pairs = np.array([(i, j) for i in range(6) for j in range(i)])
    springs = Springs(pairs, stream.uniform(0.5, 1.5, 15), np.resize([0.0, 0.7, 1.4], 15))
    return (
        System.create(
            x, velocities=stream.normal(size=x.shape), masses=stream.uniform(1.0, 3.0, 6)
        ),
        springs,
    )


def assert_within(found: System, expected: System, tolerance: float) -> None:
    """Positions and velocities relative to the system's own: its largest."""
    for name in ("positions", "velocities"):
        a, b = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        assert abs(a - b).max() < tolerance * abs(b).max()


def assert_each_within(found: System, expected: System, tolerance: float) -> None:
    """Each body's position and velocity relative to what they are seen from the first; the first
    one's to the nearest."""
    for name in ("positions", "velocities"):
        a, b = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        size = np.linalg.norm(b - b[:1], axis=-1)
        size[0] = size[1:].min()
        assert (np.linalg.norm(a - b, axis=-1) / size).max() < tolerance


PAIRS = [(name, None) for name in INTEGRATORS if name != "wisdom-holman"]
PAIRS += [(name, RELATIVITY) for name in ("velocity-verlet", "yoshida-4", "wisdom-holman")]


@pytest.mark.parametrize(("name", "relativity"), PAIRS)
def test_planets_move_the_same(name: str, relativity: PostNewtonian | None) -> None:
    """A hundred days of Mercury are 7 rad; 15 * 1000 kicks walk its energy off by sqrt(15000) EPS /
    2, its phase by 1.5 * 7 as much."""
    flow, state = (
        INTEGRATORS[name](Gravity(ASTRONOMICAL.gravitation), relativity=relativity),
        planets(),
    )
    assert_each_within(
        compiled(flow, state, 0.1, 1000).system, interpreted(flow, state, 0.1, 1000).system, 1e-12
    )


@pytest.mark.parametrize("name", [name for name in INTEGRATORS if name != "wisdom-holman"])
def test_springs_move_the_same(name: str) -> None:
    system, springs = net()
    flow, state = INTEGRATORS[name](springs), State(system)
    assert_within(
        compiled(flow, state, 0.05, 1000).system, interpreted(flow, state, 0.05, 1000).system, 1e-12
    )


def test_a_sum_moves_the_same() -> None:
    """Charges on springs, soft enough that nothing is chaotic within a thousand steps."""
    system, springs = net()
    both = Sum(springs, Coulomb(0.01), Gravity(0.01, softening=0.3))
    state = State(replace(system, charges=np.resize([1.0, -1.0], system.positions.shape[:-1])))
    flow = velocity_verlet(both)
    assert_within(
        compiled(flow, state, 0.01, 1000).system, interpreted(flow, state, 0.01, 1000).system, 1e-12
    )


def test_charges_move_the_same_where_they_are_not_chaotic() -> None:
    """Round-off grows by close encounters: a median over systems after 1,000 steps, as for two runs
    that differ by 1e-15 (SCIENCE.md)."""
    flow, state = symplectic_euler(benchmark_coulomb()), State(charged_systems(100, 43))
    found, expected = (
        compiled(flow, state, 0.001, 1000).system,
        interpreted(flow, state, 0.001, 1000).system,
    )
    errors = abs(found.positions - expected.positions).max(axis=(1, 2))
    assert np.median(errors) < 1e-12
    assert errors.max() > 0.0


def test_charges_make_every_single_step_the_same() -> None:
    """From every hundredth state of a run, close encounters and all; forces are clipped to 100 and
    act for 0.001."""
    flow, state = symplectic_euler(benchmark_coulomb()), State(charged_systems(100, 43))
    for now in rollout(flow, state, 0.001, 5000, 100):
        here = replace(now, evaluation=None)
        found, expected = compiled(flow, here, 0.001, 1).system, flow(here, 0.001).system
        np.testing.assert_allclose(found.positions, expected.positions, rtol=0, atol=1e-13)
        # a clipped component is the same; others are sums of terms up to 1e4, whose rounding the
        # step multiplies by 0.001
        np.testing.assert_allclose(found.velocities, expected.velocities, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "relativity"), PAIRS)
def test_tensors_give_the_same_planets(name: str, relativity: PostNewtonian | None) -> None:
    flow, state = (
        INTEGRATORS[name](Gravity(ASTRONOMICAL.gravitation), relativity=relativity),
        planets(),
    )
    *_, found = rollout(flow, State(state.system.map(torch.from_numpy)), 0.1, 50, 50)
    assert found.system.positions.dtype == found.evaluation.forces.dtype == torch.float64
    assert_each_within(found.system, interpreted(flow, state, 0.1, 50).system, 1e-12)


def test_tensors_give_the_same_springs() -> None:
    system, springs = net()
    flow = INTEGRATORS["yoshida-4"](springs)
    assert_within(
        interpreted(flow, State(system.map(torch.from_numpy)), 0.05, 100).system,
        interpreted(flow, State(system), 0.05, 100).system,
        1e-12,
    )


class Bare:
    """A potential whose kernel is hidden."""

    def __init__(self, potential: Any) -> None:
        self.inner = potential

    def __call__(self, system: System) -> Evaluation:
        return self.inner(system)


class Rest:
    """A flow of one's own."""

    potential = None

    def __call__(self, state: State, dt: float) -> State:
        return state


NO_PROGRAM: dict[str, Callable[[], Any]] = {
    "no kernel": lambda: velocity_verlet(Bare(Coulomb())),
    "a piece of one's own": lambda: Sequential(Kick(Coulomb()), Drift(), Rest()),
    "not a scheme": Rest,
    "two potentials": lambda: Sequential(Kick(Coulomb()), Kick(Gravity()), Drift()),
    "nothing but drift": lambda: Sequential(Drift()),
    "a scheme inside coordinates inside a scheme": lambda: Scheme(
        ((wisdom_holman(Gravity()), 1.0),)
    ),
    "hidden full potential": lambda: InCoordinates(
        wisdom_holman(Gravity()).chart, wisdom_holman(Gravity()).flow, Bare(Gravity())
    ),
}


@pytest.mark.parametrize("why", NO_PROGRAM)
def test_what_cannot_be_compiled_is_interpreted(why: str) -> None:
    flow = NO_PROGRAM[why]()
    assert compile_flow(flow) is None
    *_, last = rollout(flow, State(charged_systems(2)), 0.001, 3)
    assert last.step == 3


@pytest.mark.parametrize("name", INTEGRATORS)
def test_named_integrators_compile(name: str) -> None:
    assert compile_flow(INTEGRATORS[name](Gravity(), relativity=RELATIVITY)) is not None


TWO_STARS: dict[str, Callable[[], Any]] = {
    "two stars": lambda: Strang(
        PostNewtonian(0, 1.0, 30.0), PostNewtonian(1, 1.0, 30.0), Kick(Gravity()), Drift()
    ),
    "two speeds of light": lambda: Strang(
        PostNewtonian(0, 1.0, 30.0), PostNewtonian(0, 1.0, 90.0), Kick(Gravity()), Drift()
    ),
    "two constants": lambda: Strang(
        PostNewtonian(0, 1.0, 30.0), PostNewtonian(0, 9.0, 30.0), Kick(Gravity()), Drift()
    ),
}


@pytest.mark.parametrize("case", TWO_STARS)
def test_pieces_of_different_constants_keep_them(case: str) -> None:
    """Compiled or not, a binary whose stars both bend space moves the same."""
    x, v = [[1.0, 0, 0], [-1.0, 0, 0], [0, 5.0, 0]], [[0, 0.5, 0], [0, -0.5, 0], [0.6, 0, 0]]
    state, flow = State(System.create(x, velocities=v, masses=[1.0, 0.9, 1e-3])), TWO_STARS[case]()
    *_, found = rollout(flow, state, 0.02, 100, 100)
    assert_within(found.system, interpreted(flow, state, 0.02, 100).system, 1e-12)
