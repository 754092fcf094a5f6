"""Schemes as tables: flattening, merging, palindromes, order conditions, and how many force calls a
step costs."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from integrators.composition import Composition, Scheme, Sequential, Strang, adjoint
from integrators.ensembles import (
    INTEGRATORS,
    integrator,
    symplectic_euler,
    velocity_verlet,
    wisdom_holman,
    yoshida,
)
from integrators.flows import Drift, Kick
from integrators.relativity import PostNewtonian
from integrators.state import State
from integrators.weights import WEIGHTS
from systems.potentials.coulomb import Coulomb
from systems.potentials.gravity import Gravity, Oblateness
from systems.potentials.sum import Sum
from systems.system import Evaluation, System
from trajectories.rollout import rollout


@dataclass(frozen=True, eq=False)
class Turn:
    """The exact flow of dU/dt = generator @ U: a stand-in for any piece of a Hamiltonian that
    commutes with no other."""

    generator: np.ndarray
    potential: None = None

    def __call__(self, state: Any, dt: float) -> Any:
        return expm(dt * self.generator) @ state


@cache
def turns(n: int = 3) -> tuple[Turn, ...]:
    stream = np.random.default_rng(0)
    return tuple(Turn(g / np.linalg.norm(g, 2)) for g in stream.normal(size=(n, 4, 4)))


A, B, C = turns()


def test_sequential_is_each_flow_once() -> None:
    assert Sequential(A, B, C).table == ((A, 1.0), (B, 1.0), (C, 1.0))


def test_strang_is_a_palindrome_of_halves() -> None:
    assert Strang(A, B, C).table == ((A, 0.5), (B, 0.5), (C, 1.0), (B, 0.5), (A, 0.5))
    assert Strang(A).table == ((A, 1.0),)


def test_schemes_inside_schemes_are_flattened() -> None:
    assert Sequential(Strang(A, B), C).table == ((A, 0.5), (B, 1.0), (A, 0.5), (C, 1.0))
    assert Strang(Sequential(A, B), C).table == ((A, 0.5), (B, 0.5), (C, 1.0), (B, 0.5), (A, 0.5))
    assert Strang(A, Strang(B, C)).table == Strang(A, B, C).table


def test_neighbouring_kicks_and_drifts_are_merged_and_no_others() -> None:
    """Two steps of a flow that is not exact, a learned one for instance, are not one long step."""
    kick, drift = Kick(Gravity()), Drift()
    assert Sequential(kick, kick, drift, kick).table == ((kick, 2.0), (drift, 1.0), (kick, 1.0))
    assert Composition(Strang(kick, drift), (0.5, 0.25, 0.25)).table == (
        (kick, 0.25),
        (drift, 0.5),
        (kick, 0.375),
        (drift, 0.25),
        (kick, 0.25),
        (drift, 0.25),
        (kick, 0.125),
    )
    twin = Kick(Gravity())
    assert Sequential(kick, twin).table == ((kick, 1.0), (twin, 1.0))
    assert Sequential(A, A).table == ((A, 1.0), (A, 1.0))


@st.composite
def palindromes(draw: st.DrawFn) -> Scheme:
    flows = draw(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=4))
    inner = Strang(*flows)
    half = draw(st.lists(st.sampled_from([0.25, -0.5, 1.5]), max_size=3))
    middle = 1.0 - 2.0 * sum(half)
    return Composition(inner, [*half, middle, *half[::-1]])


@settings(deadline=None, max_examples=25)
@given(scheme=palindromes())
def test_a_symmetric_composition_of_palindromes_is_a_palindrome(scheme: Scheme) -> None:
    """Fractions are sums of the same eighths, so that merging loses nothing; each flow gets as many
    whole steps as it was named."""
    assert scheme.table == scheme.table[::-1]
    assert adjoint(scheme).table == scheme.table


@settings(deadline=None, max_examples=25)
@given(scheme=palindromes(), dt=st.sampled_from([0.1, -0.3]))
def test_a_table_is_run_in_order(scheme: Scheme, dt: float) -> None:
    expected = np.eye(4)
    for flow, fraction in scheme.table:
        expected = expm(fraction * dt * flow.generator) @ expected
    np.testing.assert_allclose(scheme(np.eye(4), dt), expected, rtol=0, atol=1e-12)


def test_the_adjoint_undoes_a_step() -> None:
    """Each of six exponentials of matrices of norm one rounds to 1e-15."""
    scheme = Sequential(A, B, C)
    there = scheme(np.eye(4), 0.3)
    np.testing.assert_allclose(adjoint(scheme)(there, -0.3), np.eye(4), rtol=0, atol=1e-14)
    assert abs(scheme(there, -0.3) - np.eye(4)).max() > 1e-3
    assert adjoint(adjoint(scheme)).table == scheme.table


@pytest.mark.parametrize(("order", "powers"), [(4, (3,)), (6, (3, 5)), (8, (3, 5, 7))])
def test_weights_fulfil_the_conditions_on_their_powers(order: int, powers: tuple[int, ...]) -> None:
    """Hairer, Lubich and Wanner V.3: sum w = 1, and sum w^k = 0 for odd k below the order; a sum of
    fifteen doubles rounds to 1e-15."""
    w = np.array(WEIGHTS[order])
    assert len(w) == {4: 3, 6: 7, 8: 15}[order]
    np.testing.assert_array_equal(w, w[::-1])
    assert w.sum() == pytest.approx(1.0, abs=1e-15)
    for power in powers:
        assert (w**power).sum() == pytest.approx(0.0, abs=3e-15)
    assert abs((w ** (order + 1)).sum()) > 1e-3


# steps at which the local error lies between round-off and the radius of the series
STEPS = {1: (0.02, 0.01), 2: (0.02, 0.01), 4: (0.1, 0.05), 6: (0.2, 0.1), 8: (0.4, 0.2)}


@pytest.mark.parametrize("order", [1, 2, 4, 6, 8])
def test_all_order_conditions_hold(order: int) -> None:
    """A step of flows that commute in no way is off by dt^(order + 1), which tests the conditions
    on commutators as well."""
    inner = Sequential(A, B, C) if order == 1 else Strang(A, B, C)
    scheme = inner if order <= 2 else Composition(inner, WEIGHTS[order])
    total = A.generator + B.generator + C.generator
    errors = [np.linalg.norm(scheme(np.eye(4), dt) - expm(dt * total)) for dt in STEPS[order]]
    assert errors[-1] > 1e-12
    # the next terms are smaller by dt times norms and weights of order one: at dt = 0.4 a tenth of
    # an order
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.15)


@dataclass
class Spy:
    """Coulomb's law without a kernel, which counts its calls."""

    calls: list[int] = field(default_factory=list)

    def __call__(self, system: System) -> Evaluation:
        self.calls.append(1)
        return Coulomb()(system)


def start() -> State:
    stream = np.random.default_rng(1)
    return State(System.create(stream.normal(size=(4, 3)), charges=[1, -1, 1, -1]))


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("symplectic-euler", 1),
        ("velocity-verlet", 1),
        ("yoshida-4", 3),
        ("yoshida-6", 7),
        ("yoshida-8", 15),
    ],
)
@pytest.mark.parametrize("relativity", [None, PostNewtonian(0, 1.0, 100.0)])
def test_force_calls_a_step(name: str, calls: int, relativity: PostNewtonian | None) -> None:
    """And one at the start, whose evaluation belongs to the first state."""
    spy = Spy()
    for _ in rollout(integrator(name)(spy, relativity=relativity), start(), 0.01, 10, 10):
        pass
    last = (
        1 if name == "symplectic-euler" else 0
    )  # it ends on a drift, so the last frame asks once more
    assert len(spy.calls) == 1 + (10 * calls - last) + last


def test_a_kick_evaluates_once_for_one_potential_and_anew_for_another() -> None:
    one, other = Spy(), Spy()
    state = Kick(one)(Kick(one)(start(), 0.1), 0.1)
    assert (len(one.calls), state.evaluation.potential) == (1, one)
    state = Kick(other)(state, 0.1)
    assert (len(other.calls), state.evaluation.potential) == (1, other)
    assert len(one.calls) == 1
    assert Drift()(state, 0.1).evaluation is None


def test_a_kick_with_another_potential_uses_its_forces() -> None:
    """Coulomb, then gravity of no constant, upon one state: the second kick changes nothing."""
    state = Kick(Coulomb())(start(), 0.1)
    np.testing.assert_array_equal(
        Kick(Gravity(0.0))(state, 0.1).system.momenta, state.system.momenta
    )
    forces = Coulomb()(start().system).forces
    np.testing.assert_array_equal(state.system.momenta, 0.1 * forces)


def test_a_scheme_knows_its_potentials() -> None:
    one, other = Coulomb(), Gravity()
    assert velocity_verlet(one).potential is one
    assert Sequential(Drift()).potential is None
    assert Sequential(Kick(one), Drift(), Kick(other), Kick(one)).potential.potentials == (
        one,
        other,
    )
    assert yoshida(one, 4).table[0][0].potential is one
    assert symplectic_euler(one).table[0][1] == 1.0


@pytest.mark.parametrize("name", INTEGRATORS)
def test_integrators_are_found_by_name(name: str) -> None:
    assert integrator(name) is INTEGRATORS[name]
    assert integrator(name)(Gravity()).potential is not None


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("velocity_verlet", "velocity-verlet"),
        ("yoshida8", "yoshida-8"),
        ("whfast", "wisdom-holman"),
        ("leapfrog", "velocity-verlet"),
        ("", ""),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(
        ValueError,
        match=(
            rf"unknown integrator '{name}'; did you mean {near}.*\(known: symplectic-euler,"
            r" .*wisdom-holman\)"
        ),
    ):
        integrator(name)


@pytest.mark.parametrize("order", [2, 3, 10])
def test_an_order_without_weights_is_refused(order: int) -> None:
    with pytest.raises(ValueError, match=f"no Yoshida integrator of order {order}; take 4, 6 or 8"):
        yoshida(Coulomb(), order)


SHAPE = Oblateness(np.array([0]), np.array([1e-3]), np.array([1.0]), np.array([[0.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    ("potential", "words"),
    [
        (Coulomb(), "cannot run another potential"),
        (Gravity(softening=0.1), "without softening"),
        (Gravity(oblateness=SHAPE), "J2"),
        (
            Gravity().without(2),
            "all pairs",
        ),  # it would move under other pairs than the energy it reports
    ],
    ids=["charges", "softened", "oblate", "one body left out"],
)
def test_wisdom_holman_refuses_what_it_cannot_split(potential: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wisdom_holman(potential)


def test_relativity_and_wisdom_holman_share_their_star() -> None:
    """The heliocentric variables of one star cannot hold the relativity of another."""
    with pytest.raises(ValueError, match="star"):
        wisdom_holman(Gravity(), star=0, relativity=PostNewtonian(1, 1.0, 100.0))


def test_kicks_of_two_potentials_report_their_sum() -> None:
    """The energy of a scheme that splits its potential is the whole potential's, evaluated by one
    object that never changes."""
    one, other = Coulomb(), Gravity(0.3)
    flow = Strang(Kick(one), Kick(other), Drift())
    assert flow.potential is flow.potential
    start = State(System.create(np.eye(3), charges=[1.0, -1.0, 2.0]))
    *_, end = rollout(flow, start, 1e-3, 10)
    *_, whole = rollout(velocity_verlet(Sum(one, other)), start, 1e-3, 10)
    assert end.evaluation is not None
    assert whole.evaluation is not None
    # ten steps of the same kicks, summed in another order
    np.testing.assert_allclose(end.evaluation.energy, whole.evaluation.energy, rtol=1e-13)
    assert end.evaluation.energy == pytest.approx(
        one(end.system).energy + other(end.system).energy, rel=1e-14
    )
