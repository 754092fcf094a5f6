"""Tables of pair forces: against Coulomb's law, gravity and laws with known integrals, between
knots, beyond the ends, compiled and not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.compiled.table import compile_flow
from integrators.ensembles import INTEGRATORS, velocity_verlet
from integrators.state import State
from systems.potentials.coulomb import Coulomb
from systems.potentials.gravity import Gravity
from systems.potentials.sum import Sum
from systems.potentials.table import PairTable
from systems.system import KernelPotential, System
from trajectories.rollout import rollout

seeds = st.integers(0, 10**6)
few = settings(deadline=None, max_examples=15)
FIRST, LAST, N_KNOTS = 1e-3, 1e3, 16_384

# Knots are 8.4e-4 apart in log r: the cubic misses r^-3 by (8.4e-4)^4 81 / 384 = 1e-13 of itself,
# and so do its slopes.
CLOSE = 1e-9


def coulomb_law(radii: np.ndarray) -> np.ndarray:
    return radii**-3


def table(**options: Any) -> PairTable:
    return PairTable.of(coulomb_law, FIRST, LAST, N_KNOTS, **options)


def pair(r: float, **options: Any) -> System:
    return System.create(
        [[0.0, 0.0, 0.0], [0.6 * r, 0.0, -0.8 * r]], **({"charges": [1.0, 1.0]} | options)
    )


def push(potential: Any, r: float) -> float:
    """How the first of a pair of unit charges at this distance is pushed away, and how it is pulled
    where that is negative."""
    forces = potential(pair(r)).forces
    np.testing.assert_allclose(forces[1], -forces[0], rtol=0, atol=0)
    return float(forces[1] @ [0.6, 0.0, -0.8])


@few
@given(
    seed=seeds,
    n=st.integers(2, 8),
    copies=st.sampled_from([(), (1,), (3,)]),
    limit=st.sampled_from([np.inf, 0.5]),
)
def test_the_table_of_coulombs_law_is_coulombs_law(
    scatter: Any, seed: int, n: int, copies: tuple[int, ...], limit: float
) -> None:
    system = scatter(seed, n, copies)
    expected, found = Coulomb(limit=limit)(system), table(limit=limit)(system)
    assert found.forces.shape == expected.forces.shape
    assert np.shape(found.energy) == np.shape(expected.energy) == copies
    np.testing.assert_allclose(
        found.forces, expected.forces, rtol=0, atol=CLOSE * max(1e-3, abs(expected.forces).max())
    )


def test_the_limit_acts_there(scatter: Any) -> None:
    forces = table(limit=0.5)(scatter(1, 8)).forces
    assert (abs(forces) == 0.5).any()
    assert (abs(forces) < 0.5).any()


@few
@given(seed=seeds, n=st.integers(2, 8), copies=st.sampled_from([(), (3,)]))
def test_energies_differ_as_coulombs_do(
    scatter: Any, seed: int, n: int, copies: tuple[int, ...]
) -> None:
    """A table's energy is zero at its last knot, Coulomb's at infinity: a constant for given
    charges."""
    here, there = scatter(seed, n, copies), scatter(seed, n, copies)
    there = replace(there, positions=1.7 * there.positions)
    found, expected = table(), Coulomb()
    np.testing.assert_allclose(
        found(here).energy - found(there).energy,
        expected(here).energy - expected(there).energy,
        rtol=0,
        atol=CLOSE * 10,
    )
    # and the constant is what it is said to be
    products = sum(here.charges[..., i] * here.charges[..., j] for i in range(n) for j in range(i))
    np.testing.assert_allclose(
        found(here).energy, expected(here).energy - products / LAST, rtol=0, atol=CLOSE * 10
    )


@pytest.mark.parametrize("r", [FIRST, 1.0000001 * FIRST, 1e-2, 1.0, 30.0, 0.9999999 * LAST, LAST])
def test_every_distance_from_end_to_end(r: float) -> None:
    """The two outermost knots have slopes of lower order: 1e-6 there."""
    close = 1e-6 if r in (FIRST, 1.0000001 * FIRST, 0.9999999 * LAST, LAST) else CLOSE
    np.testing.assert_allclose(push(table(), r), r**-2, rtol=close, atol=0)
    np.testing.assert_allclose(
        table()(pair(r)).energy, 1.0 / r - 1.0 / LAST, rtol=close, atol=close / LAST
    )


def test_knots_are_met_to_round_off() -> None:
    found = table()
    for k in (0, 1, 2, 777, N_KNOTS - 3, N_KNOTS - 2, N_KNOTS - 1):
        r = found.radii[k]
        # the place between knots is rounded to 1e-16 times the number of knots, and moves the value
        # by 3 spacings at most
        np.testing.assert_allclose(push(found, r), found.values[k] * r, rtol=1e-13, atol=0)
    assert found(pair(LAST)).energy == pytest.approx(0.0, abs=1e-15)


def slopes(errors: list[float], knots: tuple[int, ...]) -> np.ndarray:
    return np.diff(np.log(errors)) / -np.diff(np.log(np.subtract(knots, 1.0)))


def wavy(radii: np.ndarray) -> np.ndarray:
    return np.exp(np.sin(2.0 * np.log(radii))) / radii**2


KNOTS = (65, 129, 257, 513)
MIDDLE = np.geomspace(
    0.1, 10.0, 97
)  # off the knots, and away from the ends, whose slopes are of lower order


@pytest.mark.parametrize("law", [coulomb_law, wavy])
def test_forces_converge_with_the_fourth_order(law: Callable[[np.ndarray], np.ndarray]) -> None:
    errors = []
    for n in KNOTS:
        found = PairTable.of(law, 1e-2, 1e2, n)
        errors.append(max(abs(push(found, r) / (law(np.array(r)) * r) - 1.0) for r in MIDDLE))
    np.testing.assert_allclose(slopes(errors, KNOTS), 4.0, atol=0.3)


def test_energies_converge_with_the_fourth_order() -> None:
    errors = []
    for n in KNOTS:
        found = PairTable.of(coulomb_law, 1e-2, 1e2, n)
        zero = found(pair(MIDDLE[-1])).energy - 1.0 / MIDDLE[-1]
        errors.append(max(abs((found(pair(r)).energy - zero) * r - 1.0) for r in MIDDLE[:-1]))
    np.testing.assert_allclose(slopes(errors, KNOTS), 4.0, atol=0.3)


def test_errors_stay_within_the_bound_that_is_promised() -> None:
    """(step of log r)^4 times the fourth derivative by log r, 81 r^-3, over 384, up to what the
    slopes' own errors add."""
    found = PairTable.of(coulomb_law, 1e-2, 1e2, 513)
    step = np.log(1e4) / 512
    error = max(abs(push(found, r) * r * r - 1.0) for r in MIDDLE)
    assert 0.1 < error / (step**4 * 81 / 384) < 5.0


@pytest.mark.parametrize("law", [coulomb_law, wavy])
def test_the_energys_slope_is_the_force(law: Callable[[np.ndarray], np.ndarray]) -> None:
    """Central differences of step h = 1e-3 r and 2 h, extrapolated: h^4 = 1e-12, round-off 1e-15 of
    energies up to 1e2 over h."""
    found = PairTable.of(law, FIRST, LAST, N_KNOTS)
    for r in (0.1, 0.7, 1.0, 3.0):
        h = 1e-3 * r
        e = [found(pair(r + k * h)).energy for k in (-2, -1, 1, 2)]
        np.testing.assert_allclose(
            -(e[0] - 8.0 * e[1] + 8.0 * e[2] - e[3]) / (12.0 * h), push(found, r), rtol=1e-8, atol=0
        )


@few
@given(seed=seeds, n=st.integers(2, 8))
def test_masses_couple_as_gravity(scatter: Any, seed: int, n: int) -> None:
    """Whatever the charges are."""
    system = scatter(seed, n, (2,))
    found = PairTable.of(lambda r: -0.8 * r**-3, FIRST, LAST, N_KNOTS, coupling="masses")
    expected = Gravity(0.8)(system)
    np.testing.assert_allclose(
        found(system).forces, expected.forces, rtol=0, atol=CLOSE * abs(expected.forces).max()
    )
    bare = replace(system, charges=np.zeros_like(system.charges))
    np.testing.assert_array_equal(found(bare).forces, found(system).forces)


@few
@given(seed=seeds, n=st.integers(2, 6))
def test_charges_couple_whatever_the_masses_are(scatter: Any, seed: int, n: int) -> None:
    system = scatter(seed, n)
    other = replace(system, masses=3.0 * system.masses)
    np.testing.assert_array_equal(table()(other).forces, table()(system).forces)


@pytest.mark.parametrize("limit", [np.inf, 2.0])
@pytest.mark.parametrize("name", ["symplectic-euler", "velocity-verlet", "yoshida-4"])
def test_rollouts_equal_coulombs(scatter: Any, name: str, limit: float) -> None:
    """Charges of one sign keep away from one another, so that 1e-13 in the forces stays 1e-11 in
    the positions."""
    system = scatter(3, 6, (4,))
    system = replace(system, charges=abs(system.charges))
    flows = [
        INTEGRATORS[name](potential) for potential in (table(limit=limit), Coulomb(limit=limit))
    ]
    assert all(compile_flow(flow) is not None for flow in flows)
    ours, exact = (list(rollout(flow, State(system), 0.005, 400, 100)) for flow in flows)
    assert abs(exact[-1].system.positions - system.positions).max() > 1.0
    for a, b in zip(ours, exact, strict=True):
        np.testing.assert_allclose(a.system.positions, b.system.positions, rtol=0, atol=CLOSE)
        np.testing.assert_allclose(a.system.momenta, b.system.momenta, rtol=0, atol=CLOSE)


def test_compiled_and_interpreted_rollouts_are_the_same(scatter: Any) -> None:
    system, flow = scatter(3, 6), velocity_verlet(table())
    *_, compiled = rollout(flow, State(system), 0.005, 200, 200)
    state = State(system)
    for _ in range(200):
        state = flow(state, 0.005)
    np.testing.assert_allclose(
        compiled.system.positions, state.system.positions, rtol=0, atol=1e-11
    )


def test_it_adds_up_with_other_potentials(scatter: Any) -> None:
    both, system = Sum(table(), Gravity(0.5)), scatter(2, 5)
    assert isinstance(table(), KernelPotential)
    assert both.kernel is not None
    expected = table()(system).forces + Gravity(0.5)(system).forces
    np.testing.assert_allclose(both(system).forces, expected, rtol=0, atol=1e-12)
    *_, compiled = rollout(velocity_verlet(both), State(system), 0.01, 10, 10)
    *_, exact = rollout(velocity_verlet(Sum(Coulomb(), Gravity(0.5))), State(system), 0.01, 10, 10)
    np.testing.assert_allclose(
        compiled.system.positions, exact.system.positions, rtol=0, atol=CLOSE
    )


def test_an_evaluation_remembers_its_potential(scatter: Any) -> None:
    potential = table()
    assert potential(scatter(0, 3)).potential is potential


@pytest.mark.parametrize("r", [0.5 * FIRST, 1e-2 * FIRST, 1.5 * LAST, 1e2 * LAST])
@pytest.mark.parametrize("n_knots", [4, 64, N_KNOTS])
def test_beyond_the_ends_numbers_stay_finite(r: float, n_knots: int) -> None:
    found = PairTable.of(coulomb_law, FIRST, LAST, n_knots)(pair(r))
    assert np.isfinite(found.energy)
    assert np.isfinite(found.forces).all()


@pytest.mark.parametrize("end", [0, 1])
def test_beyond_the_ends_the_last_cubics_go_on(end: int) -> None:
    """A law that is one cubic of log r from the first knot to the last is that cubic everywhere."""

    def cubic(radii: np.ndarray) -> np.ndarray:
        u = np.log(radii)
        return 1.0 + 0.5 * u - 0.3 * u**2

    found = PairTable.of(cubic, 0.1, 10.0, 101)
    for r in ((0.05, 0.09, 0.1), (10.0, 11.0, 20.0))[end]:
        np.testing.assert_allclose(push(found, r), cubic(np.array(r)) * r, rtol=1e-9, atol=0)


def test_particles_at_one_place_are_found_out() -> None:
    """No index from what is not finite: the rollout refuses them in words, as it does under
    Coulomb's law."""
    system = System.create([[0.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]], charges=1.0)
    with pytest.raises(ValueError, match="particles 1 and 2 are at the same place"):
        list(rollout(velocity_verlet(table()), State(system), 0.1, 1))


def test_particles_without_couplings_feel_nothing(scatter: Any) -> None:
    system = scatter(1, 5)
    found = table()(replace(system, charges=np.zeros(5)))
    assert (found.forces == 0).all()
    assert found.energy == 0


GOOD = np.geomspace(0.1, 10.0, 9)


@pytest.mark.parametrize(
    "radii",
    [
        GOOD[:3],
        GOOD[:0],
        np.linspace(0.1, 10.0, 9),
        GOOD[::-1],
        np.concatenate([[0.0], GOOD[1:]]),
        -GOOD,
        np.ones(9),
        np.where(np.arange(9) == 4, 1.01 * GOOD, GOOD),
        np.where(np.arange(9) == 8, np.inf, GOOD),
        np.where(np.arange(9) == 2, np.nan, GOOD),
    ],
    ids=[
        "three",
        "none",
        "evenly spaced",
        "falling",
        "from zero",
        "negative",
        "all the same",
        "one off",
        "infinite",
        "not a number",
    ],
)
def test_radii_that_do_not_grow_by_one_factor_are_refused(radii: np.ndarray) -> None:
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            ValueError,
            match="four or more positive radii that grow by one factor, and a value at each",
        ),
    ):
        PairTable(radii, np.ones(len(radii)))


@pytest.mark.parametrize("shape", [(8,), (10,), (9, 1), ()])
def test_a_value_at_each_radius_is_asked_for(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a value at each"):
        PairTable(GOOD, np.ones(shape))


def test_four_radii_are_enough() -> None:
    """A constant is met by any table."""
    assert push(PairTable(GOOD[:4], np.full(4, 2.5)), 0.2) == pytest.approx(0.5, rel=1e-14)


@pytest.mark.parametrize("pbc", [(True, True, True), (False, False, True)])
def test_a_periodic_system_is_refused(scatter: Any, pbc: tuple[bool, bool, bool]) -> None:
    system = replace(scatter(0, 3), pbc=pbc, cell=10.0 * np.eye(3))
    with pytest.raises(
        ValueError, match=r"a pair table acts in free space; set pbc to \(False, False, False\)"
    ):
        table()(system)
    with pytest.raises(ValueError, match="a pair table acts in free space"):
        list(rollout(velocity_verlet(table()), State(system), 0.1, 1))


@pytest.mark.parametrize(
    ("values", "coupling", "message"),
    [
        (np.ones(8), "charge", "charges' or 'masses', not by 'charge'"),
        (np.full(8, np.nan), "charges", "needs finite values"),
    ],
)
def test_what_a_table_cannot_be_made_of(values: np.ndarray, coupling: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairTable(np.geomspace(0.1, 10.0, 8), values, coupling)
