"""Nose-Hoover chains: what they conserve, what they sample, and that they run backwards."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from integrators.ensembles import nose_hoover
from integrators.flows import Drift, Kick
from integrators.random import Random
from integrators.state import State
from integrators.thermostats import NoseHooverChain, Ramp
from integrators.velocities import maxwell_boltzmann
from systems.observables import kinetic_energy, temperature
from systems.potentials.fixed import Fixed
from systems.potentials.springs import Springs
from systems.system import System
from trajectories.analysis.averages import block_error
from trajectories.rollout import rollout

BONDS = [[i, j] for i in range(6) for j in range(i)]


def cluster(copies: int | None = None, seed: int = 0) -> System:
    """Six particles, every two of them joined by a spring: anharmonic, since springs have a
    length."""
    stream = np.random.default_rng(seed)
    shape = (6, 3) if copies is None else (copies, 6, 3)
    system = System.create(stream.normal(size=shape), masses=[1.0, 2.0, 1.0, 3.0, 1.0, 1.5])
    return maxwell_boltzmann(system, 1.0, Random(seed))


SPRINGS = Springs(BONDS, 1.0, 1.0)


def extended(scheme: Any, state: State) -> Any:
    assert state.evaluation is not None
    return kinetic_energy(state.system) + state.evaluation.energy + scheme.table[0][0].energy(state)


def assert_mean(series: np.ndarray, expected: float) -> None:
    """The mean of a correlated series is the expected one, within five of its standard errors,
    which are small."""
    error = block_error(series)
    assert error < 0.04 * expected
    assert abs(series.mean() - expected) < 5 * error


def test_the_extended_energy_is_conserved_to_second_order() -> None:
    errors = []
    steps = [0.05, 0.025, 0.0125, 0.00625]
    for dt in steps:
        scheme = nose_hoover(SPRINGS, 1.0, 3.0)
        seen = np.array(
            [
                extended(scheme, state)
                for state in rollout(scheme, State(cluster()), dt, round(10 / dt))
            ]
        )
        errors.append(np.std(seen - seen[0]))
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(2.0, abs=0.15)


def test_it_runs_backwards() -> None:
    """The scheme is a palindrome of exact or symmetric flows: its step by -dt undoes its step by
    dt."""
    scheme = nose_hoover(SPRINGS, 1.0, 3.0)
    start = State(cluster(), thermostat=np.array([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]]))
    state = start
    for dt in (0.1, -0.1):
        for _ in range(50):
            state = scheme(state, dt)
    np.testing.assert_allclose(state.system.positions, start.system.positions, rtol=0, atol=1e-10)
    np.testing.assert_allclose(state.thermostat, start.thermostat, rtol=0, atol=1e-10)


def test_kinetic_energies_are_those_of_the_temperature() -> None:
    """2 K / kT of 15 degrees of freedom is a chi squared of 15, over independent systems that start
    far too hot."""
    hot = cluster(600)
    scheme = nose_hoover(SPRINGS, 0.5, 2.0)
    *_, last = rollout(scheme, State(replace(hot, momenta=hot.momenta * 2)), 0.05, 1500)
    found = 2 * kinetic_energy(last.system) / 0.5
    assert (
        stats.kstest(found, stats.chi2(15).cdf).pvalue > 1e-5
    )  # which of chaotic paths is taken differs from processor to processor


def test_two_temperatures_have_the_ratio_of_boltzmann() -> None:
    """Where the potential energy is u, ln p_1(u) / p_2(u) = const - (1 / T1 - 1 / T2) u: the slope,
    within 4.5 standard errors."""
    seen = {}
    for heat in (0.8, 1.0):
        *_, last = rollout(
            nose_hoover(SPRINGS, heat, 2.0),
            State(maxwell_boltzmann(cluster(700, 1), heat, Random(2))),
            0.05,
            1200,
        )
        assert last.evaluation is not None
        seen[heat] = np.asarray(last.evaluation.energy)
    # maximum likelihood of a logistic model of which temperature a sample is from (Shirts 2013)
    from scipy.optimize import minimize

    u = np.concatenate([seen[0.8], seen[1.0]])
    y = np.repeat([1.0, 0.0], 700)
    center = u.mean()

    def loss(p: np.ndarray) -> float:
        logit = p[0] + p[1] * (u - center)
        return float(np.logaddexp(0, logit).sum() - (y * logit).sum())

    fit = minimize(loss, [0.0, 0.0], method="BFGS")
    expected = -(1 / 0.8 - 1 / 1.0)
    assert abs(fit.x[1] - expected) < 4.5 * fit.hess_inv[1, 1] ** 0.5


def test_tensors_and_ensembles_give_the_same_numbers() -> None:
    many = cluster(3)
    scheme = nose_hoover(SPRINGS, 1.0, 2.0)
    *_, together = rollout(scheme, State(many), 0.05, 40)
    *_, tensors = rollout(scheme, State(many.map(torch.as_tensor)), 0.05, 40)
    np.testing.assert_allclose(
        tensors.system.positions, together.system.positions, rtol=0, atol=1e-12
    )
    for k in range(3):
        *_, alone = rollout(scheme, State(many.copy_of(k)), 0.05, 40)
        np.testing.assert_allclose(
            alone.system.positions, together.system.positions[k], rtol=0, atol=1e-13
        )
        assert alone.thermostat is not None
        assert together.thermostat is not None
        np.testing.assert_allclose(alone.thermostat, together.thermostat[k], rtol=0, atol=1e-13)


def test_a_run_stopped_and_resumed_has_the_same_bits() -> None:
    scheme = nose_hoover(SPRINGS, 1.0, 2.0)
    *_, straight = rollout(scheme, State(cluster()), 0.05, 40)
    *_, half = rollout(scheme, State(cluster()), 0.05, 17)
    *_, resumed = rollout(scheme, replace(half, evaluation=None), 0.05, 23)
    np.testing.assert_array_equal(resumed.system.momenta, straight.system.momenta)
    np.testing.assert_array_equal(resumed.thermostat, straight.thermostat)


@pytest.mark.parametrize("interpreter", ["compiled", "python"])
def test_a_moving_observer_sees_the_same(interpreter: str) -> None:
    """Galilei: whatever the velocity of the centre of mass, it goes on, and the motion about it is
    that of a system at rest."""
    scheme, still, u = (
        nose_hoover(SPRINGS, 1.3, 2.0),
        cluster(3, seed=4),
        np.array([3.0, -20.0, 0.5]),
    )
    moving = replace(still, momenta=still.momenta + still.masses[:, None] * u)
    ends = []
    for start in (still, moving):
        state = State(start)
        if interpreter == "compiled":
            *_, state = rollout(scheme, state, 0.05, 100)
        else:
            for _ in range(100):
                state = scheme(state, 0.05)
        ends.append(state)
    np.testing.assert_allclose(
        ends[1].system.positions - 100 * 0.05 * u, ends[0].system.positions, rtol=0, atol=1e-10
    )
    np.testing.assert_allclose(
        ends[1].system.velocities - u, ends[0].system.velocities, rtol=0, atol=1e-10
    )
    np.testing.assert_allclose(ends[1].thermostat, ends[0].thermostat, rtol=0, atol=1e-10)


@pytest.mark.parametrize("interpreter", ["compiled", "python"])
def test_particles_that_are_held_stay_and_do_not_count(interpreter: str) -> None:
    """Where some are `Fixed` the chain acts on all momenta, those of the others, whose degrees of
    freedom have the temperature."""
    held = np.array([True, False, False, False, False, True])
    system = cluster(seed=2)
    start = replace(system, momenta=np.where(held[:, None], 0.0, system.momenta))
    scheme = nose_hoover(Fixed(SPRINGS, held), 2.0, 2.0)
    assert scheme.table[0][0].degrees(start) == 12
    if interpreter == "compiled":
        seen = [state.system for state in rollout(scheme, State(start), 0.05, 20_000)]
        assert_mean(
            np.array([float(temperature(now, 12, about_center=False)) for now in seen[2000:]]), 2.0
        )
    else:
        seen = [scheme(State(start), 0.05).system]
    np.testing.assert_array_equal(seen[-1].positions[held], start.positions[held])
    np.testing.assert_array_equal(seen[-1].momenta[held], 0.0)


def test_the_temperature_is_reached() -> None:
    """From rest, but for a push: means over time of 15 degrees of freedom."""
    scheme = nose_hoover(SPRINGS, 2.0, 2.0)
    seen = [
        float(temperature(state.system, 15))
        for state in rollout(scheme, State(cluster()), 0.05, 20_000)
    ]
    assert_mean(np.array(seen[2000:]), 2.0)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: NoseHooverChain(0.0, 1.0), "the temperature must be positive, not 0.0"),
        (
            lambda: NoseHooverChain(Ramp(1.0, 0.0, 1.0), 1.0),
            "the temperature must be positive, not 0.0",
        ),
        (
            lambda: NoseHooverChain(1.0, 0.0),
            "a chain needs a positive period and length, not 0.0 and 3",
        ),
        (
            lambda: NoseHooverChain(1.0, 1.0, length=0),
            "a chain needs a positive period and length, not 1.0 and 0",
        ),
        (
            lambda: NoseHooverChain(1.0, 1.0)(State(cluster(), thermostat=np.zeros((2, 5))), 0.1),
            "a chain of 5, not of 3",
        ),
        (
            lambda: NoseHooverChain(1.0, 1.0)(State(System.create([[0.0, 0, 0]])), 0.1),
            "needs a degree of freedom; 1 particles have 0",
        ),
    ],
)
def test_refusals(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


def test_other_flows_keep_the_chain() -> None:
    chain = np.ones((2, 3))
    for flow in (Drift(), Kick(SPRINGS)):
        assert flow(State(cluster(), thermostat=chain), 0.1).thermostat is chain
