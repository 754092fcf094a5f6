"""Observables against sums written out, and how they change with the observer."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms, units
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.observables import (
    angular_momentum,
    kinetic_energy,
    momentum,
    pressure,
    temperature,
)
from systems.system import System
from systems.units import METAL

few = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 10**6)
CLOSE = 1e-13  # sums of a few dozen products of order one


@few
@given(seed=seeds, copies=st.sampled_from([(), (1,), (3,)]))
def test_sums_written_out(scatter: Any, seed: int, copies: tuple[int, ...]) -> None:
    system = scatter(seed, 5, copies)
    x, v, m = system.positions.reshape(-1, 5, 3), system.velocities.reshape(-1, 5, 3), system.masses
    rows = [
        (
            sum(m[i] * v[s, i] @ v[s, i] / 2 for i in range(5)),
            sum(m[i] * v[s, i] for i in range(5)),
            sum(m[i] * np.cross(x[s, i], v[s, i]) for i in range(5)),
        )
        for s in range(len(x))
    ]
    for function, expected in zip(
        (kinetic_energy, momentum, angular_momentum),
        zip(*rows, strict=True),
        strict=True,
    ):
        found = function(system)
        assert found.shape == (copies if function is kinetic_energy else (*copies, 3))
        np.testing.assert_allclose(found.reshape(np.shape(expected)), expected, rtol=0, atol=CLOSE)


@few
@given(seed=seeds)
def test_another_observer(scatter: Any, seed: int) -> None:
    """Konig: K' = K + P.u + M u^2 / 2, and L' = L + a x P about a point moved by -a."""
    system, stream = scatter(seed, 5), np.random.default_rng(seed)
    u, a, total = stream.normal(size=3), stream.normal(size=3), system.masses.sum()
    boosted = System.create(
        system.positions, velocities=system.velocities + u, masses=system.masses
    )
    expected = kinetic_energy(system) + momentum(system) @ u + total * u @ u / 2
    assert kinetic_energy(boosted) == pytest.approx(float(expected), rel=CLOSE)
    moved = System.create(system.positions + a, velocities=system.velocities, masses=system.masses)
    np.testing.assert_allclose(
        angular_momentum(moved),
        angular_momentum(system) + np.cross(a, momentum(system)),
        rtol=0,
        atol=10 * CLOSE,
    )


@few
@given(seed=seeds, copies=st.sampled_from([(), (3,)]))
def test_what_counts_without_the_centre_does_not_see_it_move(
    scatter: Any, seed: int, copies: tuple[int, ...]
) -> None:
    """Konig: K = K about the centre + P^2 / 2 M. The centre is left out of both the energy and the
    degrees of freedom, or of neither."""
    system, stream = scatter(seed, 5, copies), np.random.default_rng(seed)
    system = replace(system, cell=10.0 * np.eye(3), pbc=(True, True, True))
    boosted = replace(
        system, momenta=system.momenta + system.masses[:, None] * stream.normal(size=3)
    )
    stress = stream.normal(size=(*copies, 3, 3))
    for measure in (
        lambda s: kinetic_energy(s, about_center=True),
        lambda s: temperature(s, 12),
        lambda s: temperature(s, about_center=True),
        lambda s: pressure(s, stress, about_center=True),
    ):
        np.testing.assert_allclose(measure(boosted), measure(system), rtol=0, atol=10 * CLOSE)
    center = (momentum(boosted) ** 2).sum(-1) / (2 * system.masses.sum())
    whole, inside = kinetic_energy(boosted), kinetic_energy(boosted, about_center=True)
    np.testing.assert_allclose(whole, inside + center, rtol=0, atol=10 * CLOSE)
    np.testing.assert_allclose(temperature(boosted), 2 * whole / 15, rtol=0, atol=10 * CLOSE)
    np.testing.assert_allclose(temperature(boosted, 12), 2 * inside / 12, rtol=0, atol=10 * CLOSE)
    np.testing.assert_allclose(
        temperature(boosted, 12, about_center=False), 2 * whole / 12, rtol=0, atol=10 * CLOSE
    )
    trace = np.trace(stress, axis1=-2, axis2=-1)
    np.testing.assert_allclose(
        pressure(boosted, stress), (2 * whole / 1000 - trace) / 3, rtol=0, atol=10 * CLOSE
    )


def test_temperature_is_that_of_ase() -> None:
    stream = np.random.default_rng(0)
    positions, velocities, masses = (
        stream.normal(size=(6, 3)),
        stream.normal(size=(6, 3)) * 0.01,
        stream.uniform(1.0, 50.0, 6),
    )
    atoms = Atoms("H6", positions=positions, masses=masses, velocities=velocities)
    system = System.create(positions, velocities=velocities, masses=masses, units=METAL)
    assert kinetic_energy(system) == pytest.approx(atoms.get_kinetic_energy(), rel=CLOSE)
    assert temperature(system) == pytest.approx(atoms.get_temperature(), rel=CLOSE)


def test_temperature_counts_the_degrees_of_freedom_it_is_told() -> None:
    """One hydrogen with energy kB * 300 K / 2 in each of three directions; the same energy in two
    is half as hot again."""
    speed = np.sqrt(300.0 * units.kB / 1.008)
    system = System.create(
        [[0, 0, 0]], velocities=[[speed, -speed, speed]], masses=1.008, units=METAL
    )
    assert temperature(system) == pytest.approx(300.0, rel=1e-12)
    assert temperature(system, 2) == pytest.approx(450.0, rel=1e-12)


def test_tensors_give_the_same_observables(scatter: Any) -> None:
    system = scatter(0, 5, (3,))
    tensors = system.map(torch.from_numpy)
    for function in (kinetic_energy, momentum, angular_momentum, temperature):
        found = function(tensors)
        assert found.dtype == torch.float64
        np.testing.assert_allclose(found.numpy(), function(system), rtol=0, atol=CLOSE)
