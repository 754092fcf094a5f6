"""System.create spreads scalars and refuses nonsense; check and coincident name what is wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.system import System, check, coincident
from systems.units import METAL, REDUCED

X = np.arange(24.0).reshape(2, 4, 3)


def test_create_spreads_scalars() -> None:
    system = System.create(X, velocities=2.0, masses=3.0, species=6, charges=-1.0, units=METAL)
    np.testing.assert_array_equal(system.momenta, np.full((2, 4, 3), 6.0))
    np.testing.assert_array_equal(system.masses, np.full(4, 3.0))
    np.testing.assert_array_equal(system.species, np.full(4, 6))
    np.testing.assert_array_equal(system.charges, np.full((2, 4), -1.0))
    assert system.species.dtype == int
    assert (system.n_systems, system.n_particles, system.units) == (2, 4, METAL)


def test_create_takes_one_value_a_particle() -> None:
    masses, charges = [1.0, 2.0, 4.0, 8.0], np.arange(8.0).reshape(2, 4)
    system = System.create(
        X, velocities=[1.0, 0.0, -1.0], masses=masses, charges=charges, species=[1, 6, 7, 8]
    )
    np.testing.assert_array_equal(system.momenta[1, 2], [4.0, 0.0, -4.0])
    np.testing.assert_array_equal(system.charges, charges)
    np.testing.assert_array_equal(system.species, [1, 6, 7, 8])


def test_create_has_safe_defaults() -> None:
    system = System.create([[1, 2, 3]])
    assert system.positions.dtype == float
    assert (system.n_systems, system.n_particles, system.units, system.cell, system.pbc) == (
        None,
        1,
        REDUCED,
        None,
        (False,) * 3,
    )
    np.testing.assert_array_equal(system.momenta, np.zeros((1, 3)))
    np.testing.assert_array_equal(system.masses, [1.0])
    np.testing.assert_array_equal(system.charges, [0.0])


def test_create_copies_what_it_is_given() -> None:
    positions, masses, charges = X[0].copy(), np.ones(4), np.ones(4)
    system = System.create(positions, masses=masses, charges=charges)
    for array in (positions, masses, charges):
        array[:] = 99.0
    np.testing.assert_array_equal(system.positions, X[0])
    assert system.masses.max() == system.charges.max() == 1.0


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_velocities_come_back(seed: int) -> None:
    stream = np.random.default_rng(seed)
    velocities, masses = stream.normal(size=(2, 4, 3)), stream.uniform(0.1, 10.0, 4)
    # (v m) / m rounds twice
    np.testing.assert_allclose(
        System.create(X, velocities=velocities, masses=masses).velocities, velocities, rtol=2.0**-52
    )


@pytest.mark.parametrize("shape", [(3,), (4, 2), (0, 3), (0, 4, 3), ()])
def test_create_refuses_positions_of_a_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"positions have shape .*; they must be \[\.\.\., n_particles, 3\]"
    ):
        System.create(np.zeros(shape))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("masses", [1.0, 2.0]),
        ("charges", np.ones(3)),
        ("velocities", np.ones((3, 3))),
        ("species", [1, 2, 3]),
    ],
)
def test_create_refuses_arrays_that_do_not_fit(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        System.create(X, **{option: value})


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("option", "name", "index"),
    [
        ("positions", "positions", [1, 2, 0]),
        ("velocities", "momenta", [1, 2, 0]),
        ("charges", "charges", [1, 2]),
        ("masses", "masses", [2]),
    ],
)
def test_create_refuses_what_is_not_finite(
    option: str, name: str, index: list[int], number: float
) -> None:
    array = np.ones(X.shape[: len(index)] if len(index) > 1 else 4)
    array[tuple(index)] = number
    options = {"positions": X, option: array}
    with pytest.raises(
        ValueError,
        match=rf"{name} are not finite: {number} at index \[{', '.join(map(str, index))}\]",
    ):
        System.create(options.pop("positions"), **options)


@pytest.mark.parametrize("mass", [0.0, -1.0])
def test_create_refuses_masses_that_are_not_positive(mass: float) -> None:
    with pytest.raises(ValueError, match=f"masses must be positive; particle 2 has {mass}"):
        System.create(X, masses=[1.0, 2.0, mass, 3.0])


@pytest.mark.parametrize("species", [1.5, [1.0, 2.0, 3.5, 4.0]])
def test_create_refuses_species_that_are_no_whole_numbers(species: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        System.create(X, species=species)


def test_map_converts_every_array_and_nothing_else() -> None:
    system = replace(
        System.create(X, velocities=1.0, species=3, charges=2.0, units=METAL),
        cell=np.eye(3),
        pbc=(True, False, True),
    )
    doubled = system.map(lambda array: array * 2)
    for name in ("positions", "momenta", "masses", "species", "charges", "cell"):
        np.testing.assert_array_equal(getattr(doubled, name), 2 * getattr(system, name))
    assert (doubled.pbc, doubled.units) == (system.pbc, METAL)
    assert System.create(X).map(lambda array: array * 2).cell is None


def test_a_system_says_what_it_is_in_a_line() -> None:
    assert repr(System.create(X)) == "System(4 particles x 2 systems, reduced units)"
    assert repr(System.create(X[0], units=METAL)) == "System(4 particles, metal units)"


def test_check_returns_the_sound_system_itself() -> None:
    system = System.create(X)
    assert check(system) is system


def test_check_names_what_became_unsound() -> None:
    momenta = np.zeros((2, 4, 3))
    momenta[0, 3, 1] = np.inf
    with pytest.raises(ValueError, match=r"momenta are not finite: inf at index \[0, 3, 1\]"):
        check(replace(System.create(X), momenta=momenta))


def first_pair_by_brute_force(positions: np.ndarray) -> tuple[int, int, int] | None:
    for s, x in enumerate(positions.reshape(-1, *positions.shape[-2:])):
        for j in range(len(x)):
            for i in range(j):
                if (x[i] == x[j]).all():
                    return s, i, j
    return None


@settings(deadline=None, max_examples=200)
@given(
    rows=st.lists(
        st.tuples(*[st.sampled_from([-1.0, -0.0, 0.0, 1e-300, 1.0])] * 3), min_size=1, max_size=12
    ),
    copies=st.integers(1, 3),
)
def test_coincident_finds_the_first_pair(
    rows: list[tuple[float, float, float]], copies: int
) -> None:
    n = max(1, len(rows) // copies)
    positions = np.array(rows[: n * (len(rows) // n)]).reshape(-1, n, 3)
    assert coincident(positions) == first_pair_by_brute_force(positions)


def test_coincident_without_a_leading_axis() -> None:
    assert coincident(X[0]) is None
    assert coincident(X[0][[0, 1, 2, 1]]) == (0, 1, 3)
