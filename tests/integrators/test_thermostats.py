"""Random numbers that are reproducible, and a thermostat that samples what it says."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from integrators.compiled._philox import philox
from integrators.ensembles import langevin_baoab
from integrators.flows import Drift
from integrators.random import Random
from integrators.state import State
from integrators.thermostats import OrnsteinUhlenbeck, Ramp
from integrators.velocities import maxwell_boltzmann
from systems.observables import momentum, temperature
from systems.potentials.springs import Springs
from systems.system import Evaluation, System
from systems.units import METAL
from trajectories.rollout import rollout


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_known_answers_of_random123(counter: Any, key: Any, words: Any) -> None:
    assert tuple(int(w) for w in philox(*(np.uint64(k) for k in (*counter, *key)))) == words


def test_normal_numbers() -> None:
    """By their distribution, and without correlation between components, particles, systems, draws
    and seeds."""
    drawn, after = Random(3).normals((50, 400, 3))
    assert after == Random(3, 1)
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    others = [
        drawn[:, 1:],
        np.roll(drawn, 1, 2),
        drawn[1:],
        after.normals(drawn.shape)[0],
        Random(4).normals(drawn.shape)[0],
    ]
    for other in others:
        a, b = np.broadcast_arrays(drawn[: len(other), : other.shape[1]], other)
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_numbers_do_not_depend_on_the_company() -> None:
    """A system of an ensemble has those it would have with fewer others, a single system those of
    the first."""
    many, few = Random(1, 7).normals((5, 8, 3))[0], Random(1, 7).normals((2, 3, 3))[0]
    np.testing.assert_array_equal(many[:2, :3], few)
    np.testing.assert_array_equal(many[0], Random(1, 7).normals((8, 3))[0])


@pytest.mark.parametrize("bad", [(-1, 0), (2**64, 0), (0, -1)])
def test_seeds_out_of_range(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a seed lies between 0 and"):
        Random(*bad)


def well(system: System) -> Evaluation:
    """Each particle in a well of stiffness one."""
    return Evaluation(0.5 * (system.positions**2).sum((-1, -2)), -system.positions)


@pytest.mark.parametrize("friction", [0.3, 2.0])
def test_positions_in_a_well_have_the_exact_variance(friction: float) -> None:
    """At dt = 0.5, where other schemes are several per cent off: 24,000 coordinates, the standard
    error is 0.009 of kT = 1.7."""
    start = System.create(np.zeros((80, 100, 3)), masses=np.linspace(1.0, 3.0, 100))
    *_, last = rollout(
        langevin_baoab(well, 1.7, friction), State(start, random=Random(5)), 0.5, 200
    )
    x = last.system.positions
    assert x.var() == pytest.approx(1.7, abs=4 * 1.7 * np.sqrt(2 / x.size))
    # every particle, whatever its mass
    by_mass = (x**2).mean((0, 2))
    assert stats.linregress(start.masses, by_mass).pvalue > 1e-3
    assert last.random == Random(5, 200)


def test_free_particles_have_the_temperature() -> None:
    """Momenta after friction and noise, of any step's length, from rest and from far too hot."""
    for heat, dt in ((0.0, 3.0), (100.0, 30.0)):
        system = System.create(
            np.zeros((400, 20, 3)), velocities=heat, masses=np.linspace(0.5, 4, 20)
        )
        flow, state = OrnsteinUhlenbeck(2.5, 1.0), State(system, random=Random(1))
        for _ in range(6):
            state = flow(state, dt)
        kinetic = state.system.momenta**2 / state.system.masses[:, None]
        assert kinetic.mean() == pytest.approx(2.5, abs=4 * 2.5 * np.sqrt(2 / kinetic.size))


def test_without_friction_nothing_changes() -> None:
    system = System.create(np.ones((3, 3)), velocities=[1.0, 2.0, 3.0])
    state = OrnsteinUhlenbeck(300.0, 0.0)(State(system, random=Random(0)), 0.7)
    np.testing.assert_array_equal(state.system.momenta, system.momenta)


def test_a_run_stopped_and_resumed_has_the_same_bits() -> None:
    flow = langevin_baoab(Springs([[0, 1]], 1.0, 1.0), 1.0, 0.5)
    start = State(System.create([[0.0, 0, 0], [1.2, 0, 0]]), random=Random(9))
    *_, straight = rollout(flow, start, 0.1, 40)
    *_, half = rollout(flow, start, 0.1, 17)
    *_, resumed = rollout(flow, replace(half, evaluation=None), 0.1, 23)
    np.testing.assert_array_equal(resumed.system.positions, straight.system.positions)
    np.testing.assert_array_equal(resumed.system.momenta, straight.system.momenta)


def test_tensors_take_the_same_numbers() -> None:
    flow = langevin_baoab(well, 1.0, 0.5)
    system = System.create(np.ones((2, 4, 3)))
    *_, one = rollout(flow, State(system, random=Random(2)), 0.1, 20)
    *_, other = rollout(flow, State(system.map(torch.as_tensor), random=Random(2)), 0.1, 20)
    np.testing.assert_allclose(other.system.positions, one.system.positions, rtol=0, atol=1e-12)


def test_frozen_particles_stay() -> None:
    """Whatever pulls at them: here springs to a particle that moves."""
    frozen = np.array([True, False, True])
    flow = langevin_baoab(Springs([[0, 1], [1, 2]], 5.0, 1.0), 1.0, 1.0, frozen)
    start = System.create(np.arange(9.0).reshape(3, 3))
    *_, last = rollout(flow, State(start, random=Random(0)), 0.1, 10)
    np.testing.assert_array_equal(last.system.positions[frozen], start.positions[frozen])
    assert (last.system.positions[1] != start.positions[1]).all()


def test_a_ramp_is_followed() -> None:
    """The temperature of many free particles lags behind by no more than friction allows."""
    system = System.create(np.zeros((200, 50, 3)))
    ramp = Ramp(1.0, 3.0, 10.0)
    flow = langevin_baoab(
        lambda s: Evaluation(s.positions.sum((-1, -2)) * 0, s.positions * 0), ramp, 5.0
    )
    start = State(maxwell_boltzmann(system, 1.0, Random(1), at_rest=False), random=Random(2))
    seen = {
        round(state.time, 9): temperature(state.system).mean()
        for state in rollout(flow, start, 0.1, 150, 50)
    }
    assert seen[5.0] == pytest.approx(2.0 - 0.2 * 0.1, abs=0.05)
    assert seen[15.0] == pytest.approx(3.0, abs=0.06)
    assert (ramp.at(-1.0), ramp.at(99.0)) == (1.0, 3.0)
    assert Ramp(1.0, 3.0, 10.0, begin=100.0).at(105.0) == 2.0


def test_start_and_noise_are_independent() -> None:
    """The same Random may draw the velocities and then move the particles."""
    system = System.create(np.zeros((500, 4, 3)))
    start = State(maxwell_boltzmann(system, 1.0, Random(3), at_rest=False), random=Random(3))
    after = OrnsteinUhlenbeck(1.0, np.log(2.0) / 2)(start, 1.0)
    noise = after.system.momenta - np.sqrt(0.5) * start.system.momenta
    assert abs(np.corrcoef(noise.ravel(), start.system.momenta.ravel())[0, 1]) < 5 / np.sqrt(
        noise.size
    )
    tensors = maxwell_boltzmann(system.map(torch.as_tensor), 1.0, Random(3), at_rest=False)
    np.testing.assert_allclose(tensors.momenta, start.system.momenta, rtol=1e-15)


def test_velocities_to_start_from() -> None:
    """At rest, each system with its own; the mean temperature of 3 n - 3 degrees of freedom; kelvin
    in metal units."""
    system = System.create(np.zeros((3000, 4, 3)), masses=[1.0, 16.0, 1.0, 12.0], units=METAL)
    drawn = maxwell_boltzmann(system, 300.0, Random(11))
    np.testing.assert_allclose(momentum(drawn), 0.0, atol=1e-13)
    found = temperature(drawn, 9)
    assert found.mean() == pytest.approx(300.0, abs=4 * 300.0 * np.sqrt(2 / 9 / 3000))
    # 9 T / 300 is a chi squared of nine degrees
    assert stats.kstest(9 * found / 300.0, stats.chi2(9).cdf).pvalue > 1e-3
    assert temperature(
        maxwell_boltzmann(system, 300.0, Random(11), at_rest=False), 12
    ).mean() == pytest.approx(300.0, rel=0.02)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: OrnsteinUhlenbeck(-1.0, 1.0), "the temperature must not be negative, not -1.0"),
        (
            lambda: OrnsteinUhlenbeck(1.0, float("nan")),
            "the friction must not be negative, not nan",
        ),
        (
            lambda: OrnsteinUhlenbeck(Ramp(1.0, -1.0, 1.0), 1.0),
            "the temperature must not be negative, not -1.0",
        ),
        (
            lambda: OrnsteinUhlenbeck(Ramp(1.0, 1.0, 0.0), 1.0),
            "a ramp of the temperature must take a positive time",
        ),
        (
            lambda: OrnsteinUhlenbeck(1.0, 1.0)(
                State(System.create([[0.0, 0, 0]]), random=Random(0)), -0.1
            ),
            "cannot run backwards in time",
        ),
        (
            lambda: OrnsteinUhlenbeck(1.0, 1.0)(State(System.create([[0.0, 0, 0]])), 0.1),
            "a thermostat needs random numbers",
        ),
        (
            lambda: maxwell_boltzmann(System.create([[0.0, 0, 0]]), -1.0, Random(0)),
            "the temperature must not be negative",
        ),
    ],
)
def test_refusals(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


def test_other_flows_keep_the_numbers() -> None:
    """Random numbers stay with the state through flows that draw none, compiled or not."""
    state = State(System.create([[0.0, 0, 0], [1.0, 0, 0]]), random=Random(4, 2))
    assert Drift()(state, 0.1).random == Random(4, 2)
    from integrators.ensembles import velocity_verlet

    for last in list(rollout(velocity_verlet(Springs([[0, 1]], 1.0, 1.0)), state, 0.1, 10, 5)):
        assert last.random == Random(4, 2)
