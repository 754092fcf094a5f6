"""Wisdom-Holman's pieces: the change of variables is canonical and exact, and each flow solves its
part of the Hamiltonian."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.ensembles import velocity_verlet, wisdom_holman, yoshida_8
from integrators.flows import Drift
from integrators.kepler import DemocraticHeliocentric, Jump, KeplerDrift
from integrators.relativity import PostNewtonian
from integrators.state import State
from systems.observables import angular_momentum, kinetic_energy, momentum
from systems.potentials.gravity import Gravity
from systems.system import System
from trajectories.rollout import rollout

few = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 10**6)
stars = st.integers(0, 4)
EPS = 2.0**-52
CLOSE = 100 * EPS  # a dozen operations on numbers up to ten


def center_of_mass(system: System) -> np.ndarray:
    return np.asarray(np.average(system.positions, axis=-2, weights=system.masses))


def scattered(seed: int, star: int = 0, copies: tuple[int, ...] = ()) -> System:
    stream = np.random.default_rng(seed)
    masses = stream.uniform(0.01, 0.1, 5)
    masses[star] = 1.0
    return System.create(
        stream.normal(size=(*copies, 5, 3)),
        velocities=stream.normal(size=(*copies, 5, 3)),
        masses=masses,
    )


def planets(star: int = 0) -> System:
    """A star and two planets of a thousandth of its mass, at rest as a whole."""
    x, v = (
        np.array([[0, 0, 0], [1.0, 0, 0], [0, 2.0, 0.1]]),
        np.array([[0, 0, 0], [0, 1.1, 0.05], [-0.7, 0, 0]]),
    )
    masses = np.array([1.0, 1e-3, 2e-3])
    v[0] = -(masses[1:] @ v[1:])
    order = [1, 0, 2] if star else [0, 1, 2]
    return System.create(x[order], velocities=v[order], masses=masses[order])


@few
@given(seed=seeds, star=stars, copies=st.sampled_from([(), (3,)]))
def test_there_and_back(seed: int, star: int, copies: tuple[int, ...]) -> None:
    system, chart = scattered(seed, star, copies), DemocraticHeliocentric(star)
    back = chart.inverse(chart.forward(system))
    np.testing.assert_allclose(back.positions, system.positions, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(back.momenta, system.momenta, rtol=0, atol=CLOSE)


@few
@given(seed=seeds, star=stars)
def test_what_the_variables_are(seed: int, star: int) -> None:
    """Duncan, Levison and Lee 1998, eq. 1 and 2."""
    system = scattered(seed, star)
    inside = DemocraticHeliocentric(star).forward(system)
    others, masses = np.arange(5) != star, system.masses[:, None]
    np.testing.assert_allclose(inside.positions[star], center_of_mass(system), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(inside.momenta[star], momentum(system), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(
        inside.positions[others],
        (system.positions - system.positions[star])[others],
        rtol=0,
        atol=CLOSE,
    )
    relative = system.momenta - masses / masses.sum() * momentum(system)
    np.testing.assert_allclose(inside.momenta[others], relative[others], rtol=0, atol=CLOSE)


@few
@given(seed=seeds, other=seeds, star=stars)
def test_the_change_of_variables_is_canonical(seed: int, other: int, star: int) -> None:
    """Linear in positions and in momenta, so it is canonical where sum x.p is kept for every x and
    every p."""
    system = replace(scattered(seed, star), positions=scattered(other, star).positions)
    inside = DemocraticHeliocentric(star).forward(system)
    assert (inside.positions * inside.momenta).sum() == pytest.approx(
        (system.positions * system.momenta).sum(), abs=CLOSE
    )
    np.testing.assert_allclose(
        angular_momentum(inside), angular_momentum(system), rtol=0, atol=CLOSE
    )


@few
@given(seed=seeds, star=stars)
def test_kinetic_energy_splits_into_three(seed: int, star: int) -> None:
    """P^2 / 2 M of the whole, p^2 / 2 m of each body about the star, and the star's recoil (sum
    p)^2 / 2 m_star."""
    system = scattered(seed, star)
    inside, others = DemocraticHeliocentric(star).forward(system), np.arange(5) != star
    p, m = inside.momenta, inside.masses
    whole = p[star] @ p[star] / (2 * m.sum())
    about = ((p**2).sum(-1) / (2 * m))[others].sum()
    recoil = (p[others].sum(0) ** 2).sum() / (2 * m[star])
    assert whole + about + recoil == pytest.approx(float(kinetic_energy(system)), rel=CLOSE)


@few
@given(seed=seeds, star=stars, dt=st.floats(-2.0, 2.0))
def test_the_jump_is_the_flow_of_the_recoil(seed: int, star: int, dt: float) -> None:
    """dq / dt = sum p / m_star for every body but the star, and momenta stand still."""
    state = State(scattered(seed, star, (2,)))
    after, p = Jump(star)(state, dt), state.system.momenta
    recoil = (p.sum(1) - p[:, star]) / state.system.masses[star]
    expected = state.system.positions + dt * recoil[:, None] * (np.arange(5) != star)[:, None]
    np.testing.assert_allclose(after.system.positions, expected, rtol=0, atol=CLOSE)
    np.testing.assert_array_equal(after.system.momenta, p)


def energies(system: System, star: int, constant: float) -> np.ndarray:
    """Kepler energy of each body but the star."""
    others = np.arange(system.n_particles) != star
    x, p, m = system.positions[others], system.momenta[others], system.masses[others]
    return (p**2).sum(-1) / (2 * m) - constant * system.masses[star] * m / np.linalg.norm(
        x, axis=-1
    )


@few
@given(seed=seeds, star=stars, first=st.floats(-1.0, 1.0), second=st.floats(-1.0, 1.0))
def test_the_kepler_flow_is_a_flow(seed: int, star: int, first: float, second: float) -> None:
    """Two steps are one of their sum, and each body keeps its energy and angular momentum; orbits
    here reach in to 0.01."""
    state, flow = State(scattered(seed, star)), KeplerDrift(star, 0.7)
    twice, once = flow(flow(state, first), second).system, flow(state, first + second).system
    np.testing.assert_allclose(twice.positions, once.positions, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        energies(once, star, 0.7), energies(state.system, star, 0.7), rtol=1e-8
    )
    others = np.arange(5) != star
    spin = [np.cross(system.positions, system.momenta)[others] for system in (once, state.system)]
    np.testing.assert_allclose(*spin, rtol=0, atol=1e-8)


@few
@given(seed=seeds, star=stars, dt=st.floats(-3.0, 3.0))
def test_the_centre_of_mass_moves_straight_on(seed: int, star: int, dt: float) -> None:
    """In Kepler flow and jump, whatever the bodies do; back in inertial variables as well."""
    chart, state = DemocraticHeliocentric(star), State(scattered(seed, star))
    inside = State(chart.forward(state.system))
    after = chart.inverse(KeplerDrift(star, 0.7)(Jump(star)(inside, dt), dt).system)
    expected = (
        center_of_mass(state.system) + dt * momentum(state.system) / state.system.masses.sum()
    )
    # positions of bodies on their way out reach 1e2
    np.testing.assert_allclose(center_of_mass(after), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(momentum(after), momentum(state.system), rtol=0, atol=1e-12)


def test_a_body_without_mass_moves_on_its_conic() -> None:
    """Wisdom-Holman is exact there: one revolution of a = 1 / (2 - 1.1^2) about a mass of one, in
    seven unequal steps."""
    system = System.create(
        [[0, 0, 0], [1.0, 0, 0]], velocities=[[0, 0, 0], [0, 1.1, 0]], masses=[1.0, 1e-30]
    )
    state, period = State(system), 2 * np.pi / (2 - 1.21) ** 1.5
    for share in np.array([1, 2, 3, 4, 5, 6, 7]) / 28:
        state = wisdom_holman(Gravity())(state, period * share)
    np.testing.assert_allclose(state.system.positions, system.positions, rtol=0, atol=1e-13)


@pytest.mark.parametrize("star", [0, 1])
def test_the_pieces_make_up_the_whole(star: int) -> None:
    """All four flows against yoshida-8: order two, with an error of the masses times dt^2, 1e-3 *
    4e-4."""
    errors = []
    for dt in (0.02, 0.01):
        *_, ours = rollout(
            wisdom_holman(Gravity(), star=star),
            State(planets(star)),
            dt,
            round(2.0 / dt),
            round(2.0 / dt),
        )
        *_, exact = rollout(yoshida_8(Gravity()), State(planets(star)), 0.02, 100, 100)
        errors.append(abs(ours.system.positions - exact.system.positions).max())
    assert errors[0] < 1e-6
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)


class CountingChart(DemocraticHeliocentric):
    def forward(self, system: System) -> System:
        counted.append(1)
        return super().forward(system)


counted: list[int] = []


def test_coordinates_are_made_once() -> None:
    """No conversion feeds back: after the first step the flow works on what it left in
    ``State.coordinates``."""
    counted.clear()
    flow = replace(wisdom_holman(Gravity()), chart=CountingChart(0))
    state = State(planets())
    for _ in range(5):
        state = flow(state, 0.1)
    assert len(counted) == 1
    expected = DemocraticHeliocentric(0).inverse(state.coordinates.system)
    np.testing.assert_array_equal(state.system.positions, expected.positions)


OTHERS: dict[str, Callable[[], Any]] = {
    "another integrator": lambda: velocity_verlet(Gravity()),
    "a bare drift": lambda: Drift(),
    "another star": lambda: wisdom_holman(Gravity(), star=1),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["interpreted", "compiled"])
@pytest.mark.parametrize("other", OTHERS)
def test_a_state_that_another_flow_moved_starts_afresh(other: str, compiled: bool) -> None:
    """Coordinates of an earlier flow must not bring back what the system was before."""

    def run(flow: Any, state: State) -> State:
        return (
            list(rollout(flow, state, 0.1, 3))[-1]
            if compiled
            else flow(flow(flow(state, 0.1), 0.1), 0.1)
        )

    moved = run(OTHERS[other](), run(wisdom_holman(Gravity()), State(planets())))
    found, expected = (
        run(wisdom_holman(Gravity()), moved),
        run(wisdom_holman(Gravity()), State(moved.system)),
    )
    np.testing.assert_allclose(found.system.positions, expected.system.positions, rtol=1e-12)


def test_tensors_give_the_same_numbers() -> None:
    """A step of 0.1, unlike 0.125, is no number of single precision."""
    gravity, relativity = Gravity(), PostNewtonian(0, 1.0, 50.0)
    flow = wisdom_holman(gravity, relativity=relativity)
    arrays, tensors = State(planets()), State(planets().map(torch.from_numpy))
    for _ in range(50):
        arrays, tensors = flow(arrays, 0.1), flow(tensors, 0.1)
    assert tensors.system.positions.dtype == torch.float64
    np.testing.assert_allclose(
        tensors.system.positions.numpy(), arrays.system.positions, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
def test_a_system_changed_by_hand_is_what_goes_on(interpreter: str) -> None:
    """Coordinates that a state carries from before its system was replaced are not used."""
    flow = wisdom_holman(Gravity())
    *_, before = rollout(flow, State(planets()), 0.05, 10)
    assert before.coordinates is not None
    changed = System.create(
        2.0 * before.system.positions,
        velocities=before.system.velocities,
        masses=before.system.masses,
    )
    edited, fresh = replace(before, system=changed, evaluation=None), State(changed)
    if interpreter == "compiled":
        ends = [list(rollout(flow, state, 0.05, 10))[-1] for state in (edited, fresh)]
    else:
        ends = [flow(state, 0.05) for state in (edited, fresh)]
    np.testing.assert_array_equal(ends[0].system.positions, ends[1].system.positions)
    np.testing.assert_array_equal(ends[0].system.momenta, ends[1].system.momenta)
