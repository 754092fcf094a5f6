"""Laws that every exact potential obeys: gradients, symmetries, and one set of numbers for arrays,
tensors and kernels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from systems.kernel import evaluate

seeds = st.integers(0, 10**6)
few = settings(deadline=None, max_examples=15)

# Pair terms are of order one (see `scatter`), sums have at most 28 of them, and each is some twenty
# operations: 28 * 20 * 1e-16.
ROUNDING = 1e-13


def slope(energy: Callable[[np.ndarray], float], x: np.ndarray, where: tuple[int, ...]) -> float:
    """The derivative by one coordinate: central differences with step h and 2 h, extrapolated."""
    h = 2.0**-10
    shift = np.zeros_like(x)
    shift[where] = h
    near, far = energy(x + shift) - energy(x - shift), energy(x + 2 * shift) - energy(x - 2 * shift)
    return (8.0 * near - far) / (12.0 * h)


@few
@given(seed=seeds)
def test_forces_are_the_gradient_of_the_energy(build: Any, scatter: Any, seed: int) -> None:
    system, potential = scatter(seed, 4), build(4)
    forces = potential(system).forces

    def energy(x: np.ndarray) -> float:
        return float(potential(replace(system, positions=x)).energy)

    found = np.array(
        [[-slope(energy, system.positions, (i, a)) for a in range(3)] for i in range(4)]
    )
    # h^4 / 30 times the fifth derivative (J2 at r = 0.9, three pairs: about 5e3) is 2e-10; an
    # energy of order ten rounds to 2e-15 and is divided by h: 2e-12
    np.testing.assert_allclose(found, forces, rtol=0, atol=1e-9)
    assert abs(forces).max() > 1e-2


@few
@given(seed=seeds, n=st.integers(1, 8), copies=st.sampled_from([(), (1,), (3,), (2, 2)]))
def test_the_kernel_holds_the_same_formula(
    build: Any, scatter: Any, seed: int, n: int, copies: tuple[int, ...]
) -> None:
    system, potential = scatter(seed, n, copies), build(n)
    expected = potential(system)
    energy, forces, *_ = evaluate(potential, system)
    assert np.shape(energy) == np.shape(expected.energy) == copies
    assert forces.shape == expected.forces.shape == (*copies, n, 3)
    scale = max(1e-3, abs(expected.forces).max())
    np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(
        energy, expected.energy, rtol=0, atol=1e-12 * max(1.0, abs(expected.energy).max())
    )


@few
@given(seed=seeds, copies=st.sampled_from([(), (3,)]))
def test_tensors_give_the_same_numbers(
    build: Any, scatter: Any, seed: int, copies: tuple[int, ...]
) -> None:
    system, potential = scatter(seed, 5, copies), build(5)
    expected, found = potential(system), potential(system.map(torch.from_numpy))
    assert found.forces.dtype == torch.float64
    np.testing.assert_allclose(
        found.forces.numpy(), expected.forces, rtol=0, atol=1e-12 * abs(expected.forces).max()
    )
    np.testing.assert_allclose(
        found.energy.numpy(),
        expected.energy,
        rtol=0,
        atol=1e-12 * max(1.0, abs(expected.energy).max()),
    )


@few
@given(seed=seeds)
def test_every_copy_of_an_ensemble_is_alone(build: Any, scatter: Any, seed: int) -> None:
    system, potential = scatter(seed, 5, (3,)), build(5)
    together = potential(system)
    for k in range(3):
        alone = potential(replace(system, positions=system.positions[k], charges=system.charges[k]))
        np.testing.assert_allclose(together.forces[k], alone.forces, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(together.energy[k], alone.energy, rtol=0, atol=ROUNDING * 10)


@few
@given(seed=seeds)
def test_forces_add_up_to_zero(build: Any, scatter: Any, seed: int) -> None:
    forces = build(6)(scatter(seed, 6)).forces
    assert abs(forces).max() > 1e-2
    np.testing.assert_allclose(forces.sum(-2), 0.0, rtol=0, atol=ROUNDING)


@few
@given(seed=seeds)
def test_a_turned_and_moved_system_has_turned_forces(build: Any, scatter: Any, seed: int) -> None:
    """Poles turn with it. Positions up to 10 leave offsets that are rounded to 1e-15."""
    stream = np.random.default_rng(seed)
    rotation = Rotation.random(rng=stream).as_matrix()
    system = scatter(seed, 5)
    moved = replace(system, positions=system.positions @ rotation.T + stream.uniform(-5.0, 5.0, 3))
    expected, found = build(5)(system), build(5, rotation)(moved)
    np.testing.assert_allclose(
        found.forces, expected.forces @ rotation.T, rtol=0, atol=10 * ROUNDING
    )
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=10 * ROUNDING)


@few
@given(seed=seeds)
def test_particles_in_another_order_feel_the_same(build: Any, scatter: Any, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(6)
    system = scatter(seed, 6)
    shuffled = replace(
        system,
        positions=system.positions[order],
        masses=system.masses[order],
        charges=system.charges[order],
        momenta=system.momenta[order],
    )
    expected, found = build(6)(system), build(6, order=order)(shuffled)
    np.testing.assert_allclose(found.forces, expected.forces[order], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=10 * ROUNDING)


def test_an_evaluation_remembers_its_potential(build: Any, scatter: Any) -> None:
    potential = build(3)
    assert potential(scatter(0, 3)).potential is potential
