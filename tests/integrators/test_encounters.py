"""Steps that are halved near pericentres and in encounters: against the closed form, between
interpreters, and to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.compiled._encounters import strained
from integrators.encounters import COARSE, FINE, LITTLE, MUCH, ROUND, Halved, strain
from integrators.ensembles import yoshida_8
from integrators.kepler import kepler_coefficients
from integrators.state import State
from systems.potentials.coulomb import Coulomb
from systems.potentials.gravity import Gravity
from systems.sources.solar import j2000
from systems.system import System
from systems.units import ASTRONOMICAL
from trajectories.rollout import rollout

G = ASTRONOMICAL.gravitation
KM = ASTRONOMICAL.convert(1.0, "km")
few = settings(deadline=None, max_examples=20)


def comet(
    q: float, e: float, before: float, lighter: float = 1e-20
) -> tuple[System, np.ndarray, np.ndarray]:
    """The Sun at rest and a comet ``before`` days ahead of its pericentre, and its offset and
    velocity there."""
    x, v = np.array([q, 0.0, 0.0]), np.array([0.0, np.sqrt(G * (1.0 + e) / q), 0.0])
    f, g, df, dg = (c[0] for c in kepler_coefficients(x, v, G, -before))
    start = System.create(
        [[0.0] * 3, x + f * x + g * v],
        velocities=[[0.0] * 3, v + df * x + dg * v],
        masses=[1.0, lighter],
        units=ASTRONOMICAL,
    )
    return start, x, v


def halved(potential: object = None) -> Halved:
    return Halved(yoshida_8(potential or Gravity(G)), G)  # type: ignore[arg-type]


@few
@given(
    q=st.floats(0.005, 1.0),
    e=st.floats(0.3, 1.3),
    before=st.floats(20.0, 200.0),
    after=st.floats(1.0, 150.0),
)
def test_conics_of_any_pericentre(q: float, e: float, before: float, after: float) -> None:
    """Half a day, which is hours too long at .01 au: within 100 km of the closed form, in which
    nothing is stepped.

    What is left is the scheme's error in some hundred steps of a hundredth of a turn, which the way
    out from the pericentre magnifies.
    """
    start, x, v = comet(q, e, before)
    n = int(np.ceil((before + after) / 0.5))
    *_, last = rollout(halved(), State(start), (before + after) / n, n, n)
    f, g, _, _ = (c[0] for c in kepler_coefficients(x, v, G, after))
    assert np.linalg.norm(last.system.positions[1] - (x + f * x + g * v)) / KM < 100.0


def test_a_fixed_step_is_lost_there() -> None:
    start, x, v = comet(0.01, 0.99, 60.0)
    *_, fixed = rollout(yoshida_8(Gravity(G)), State(start), 0.5, 240, 240)
    f, g, _, _ = (c[0] for c in kepler_coefficients(x, v, G, 60.0))
    assert np.linalg.norm(fixed.system.positions[1] - (x + f * x + g * v)) / KM > 1e5


def test_both_interpreters_take_the_same_steps() -> None:
    """Forces differ by roundings, which the pericentre magnifies by some thousands."""
    start, _, _ = comet(0.02, 0.95, 5.0)
    state, python, compiled = State(start), halved(), halved()
    for _ in range(20):
        state = python(state, 0.5)
    *_, last = rollout(compiled, State(start), 0.5, 20, 20)
    assert state.halvings == last.halvings > 5
    np.testing.assert_allclose(last.system.positions, state.system.positions, rtol=0, atol=1e-12)


def test_tensors_take_the_same_steps() -> None:
    torch = pytest.importorskip("torch")
    start, _, _ = comet(0.1, 0.95, 3.0)
    flow, state = halved(), State(start.map(torch.as_tensor))
    *_, last = rollout(halved(), State(start), 0.5, 8, 8)
    for _ in range(8):
        state = flow(state, 0.5)
    assert state.halvings > 0
    np.testing.assert_allclose(
        state.system.positions.numpy(), last.system.positions, rtol=0, atol=1e-13
    )


def test_ordinary_planets_have_the_bits_of_the_scheme() -> None:
    """Sun, planets and Moon over two years: no step is halved, and none is another."""
    solar, flow = j2000(), halved()
    *_, plain = rollout(yoshida_8(Gravity(G)), State(solar.system), 0.5, 1461, 1461)
    *_, watched = rollout(flow, State(solar.system), 0.5, 1461, 1461)
    assert watched.halvings == 0
    np.testing.assert_array_equal(watched.system.positions, plain.system.positions)
    np.testing.assert_array_equal(watched.system.momenta, plain.system.momenta)


def test_a_run_that_is_cut_has_the_same_bits() -> None:
    start, _, _ = comet(0.02, 0.95, 10.0)
    whole = list(rollout(halved(), State(start), 0.5, 60, 1))
    middle = whole[19]  # one day ahead of the pericentre
    rest = list(rollout(halved(), replace(middle, evaluation=None), 0.5, 41, 1))
    np.testing.assert_array_equal(rest[-1].system.positions, whole[-1].system.positions)
    np.testing.assert_array_equal(rest[-1].system.momenta, whole[-1].system.momenta)


def test_systems_of_an_ensemble_are_halved_each_by_itself() -> None:
    """The bits of each are those it has alone, on any number of threads."""
    singles = [comet(q, 0.9, 8.0)[0] for q in (0.01, 0.05, 0.8)]
    many = replace(
        singles[0],
        positions=np.stack([s.positions for s in singles]),
        momenta=np.stack([s.momenta for s in singles]),
        charges=np.zeros((3, 2)),
    )
    *_, together = rollout(halved(), State(many), 0.5, 40, 40, threads=2)
    for k, single in enumerate(singles):
        *_, alone = rollout(halved(), State(single), 0.5, 40, 40)
        np.testing.assert_array_equal(together.system.positions[k], alone.system.positions)


def test_backwards_in_time_as_well() -> None:
    """The way back is by other steps, so it is as exact as the way out and no more."""
    start, _, _ = comet(0.02, 0.95, 20.0)
    *_, end = rollout(halved(), State(start), 0.5, 80, 80)
    *_, back = rollout(halved(), State(end.system), -0.5, 80, 80)
    assert np.linalg.norm(back.system.positions - start.positions, axis=1).max() / KM < 100.0


def test_a_fall_into_the_middle_comes_to_an_end() -> None:
    """Two points that meet head on: no step is short enough, and the halving ends all the same."""
    start = System.create(
        [[0.0] * 3, [0.1, 0.0, 0.0]],
        velocities=[[0.0] * 3, [-0.05, 0.0, 0.0]],
        masses=[1.0, 1e-9],
        units=ASTRONOMICAL,
    )
    *_, last = rollout(replace(halved(), depth=14), State(start), 0.5, 8, 8)
    assert last.step == 8


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 10**6),
    spread=st.floats(-3, 1),
    speed=st.floats(-4, 0),
    h=st.sampled_from([0.5, -0.5, 1e-3, 30.0]),
    charged=st.booleans(),
)
def test_the_compiled_criterion_is_the_other(
    seed: int, spread: float, speed: float, h: float, charged: bool
) -> None:
    stream = np.random.default_rng(seed)
    x, v = 10**spread * stream.normal(size=(4, 3)), 10**speed * stream.normal(size=(4, 3))
    system = System.create(
        x,
        velocities=v,
        masses=10.0 ** stream.uniform(-30, 0, 4),
        charges=stream.normal(size=4),
        units=ASTRONOMICAL,
    )
    most = strain(system, G, h, charged=charged).max()
    x, p = (np.ascontiguousarray(a.T) for a in (system.positions, system.momenta))
    if abs(most - 1.0) > 1e-9:
        assert strained(
            x, p, system.masses, system.charges, charged, G, LITTLE, MUCH, ROUND, h, COARSE, FINE
        ) == (most > 1.0)


def test_who_passes_without_a_pull_needs_no_shorter_step() -> None:
    """Two test particles that pass each other at 1,000 km, and the same beside a planet's mass."""
    x, v = [[0.0] * 3, [1000.0 * KM, 0.0, 0.0]], [[0.0] * 3, [0.0, 0.01, 0.0]]
    light, heavy = (
        System.create(x, velocities=v, masses=[m, 1e-30], units=ASTRONOMICAL) for m in (1e-30, 1e-6)
    )
    assert strain(light, G, 0.5).max() < 1e-6
    assert strain(heavy, G, 0.5).min() > 100.0


def test_charges_that_swing_around_each_other() -> None:
    """A pair of opposite charges on an ellipse of e = .98, ten times around, by the closed form: mu
    is |k q q| over the reduced mass."""
    mu, axis, e = 0.7 * 2.0 * (1 / 1.0 + 1 / 3.0), 1.0, 0.98
    x, v = (
        np.array([axis * (1 + e), 0.0, 0.0]),
        np.array([0.0, np.sqrt(mu / axis * (1 - e) / (1 + e)), 0.0]),
    )
    start = System.create(
        np.array([-0.75, 0.25])[:, None] * x,
        velocities=np.array([-0.75, 0.25])[:, None] * v,
        masses=[1.0, 3.0],
        charges=[1.0, -2.0],
    )
    period = 2 * np.pi * np.sqrt(axis**3 / mu)
    flow = Halved(yoshida_8(Coulomb(0.7)), 0.7, charged=True)
    *_, last = rollout(flow, State(start), period / 100, 1000, 1000)
    *_, fixed = rollout(flow.scheme, State(start), period / 100, 1000, 1000)
    # at the apocentre again, where a wrong time is a small distance, and the axis that the
    # roundings leave shows in the time
    np.testing.assert_allclose(last.system.positions, start.positions, rtol=0, atol=1e-6)
    assert abs(fixed.system.positions - start.positions).max() > 0.1
