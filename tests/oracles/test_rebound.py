"""Planets against REBOUND (Rein and Liu 2012): the same schemes to round-off, and its IAS15 as the
truth."""

from typing import Any

import numpy as np
import pytest

from integrators.composition import Strang
from integrators.ensembles import wisdom_holman, yoshida_8
from integrators.flows import Drift, Kick
from integrators.state import State
from systems.observables import angular_momentum, kinetic_energy
from systems.potentials.gravity import Gravity
from systems.sources.solar import j2000
from systems.system import System
from systems.units import ASTRONOMICAL
from trajectories.rollout import rollout

rebound = pytest.importorskip("rebound")

GRAVITY = Gravity(ASTRONOMICAL.gravitation)
KM = ASTRONOMICAL.convert(1.0, "km")


def simulation(system: System, integrator: str, dt: float = 0.0) -> Any:
    """The system in REBOUND, in our own units."""
    sim = rebound.Simulation()
    sim.G = ASTRONOMICAL.gravitation
    for m, x, v in zip(system.masses, system.positions, system.velocities, strict=True):
        sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    sim.integrator = integrator
    if integrator == "whfast":
        sim.integrator.coordinates = "democraticheliocentric"
        sim.integrator.safe_mode = 0
    if dt:
        sim.dt = dt
    return sim


def bodies(sim: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.array([body.xyz for body in sim.particles]), np.array(
        [body.vxyz for body in sim.particles]
    )


def planets() -> System:
    """The Sun and its planets without the Moon, whose month Wisdom-Holman cannot hold at steps of
    days."""
    solar = j2000()
    kept = [k for k, name in enumerate(solar.names) if name != "Moon"]
    system = solar.system
    return System.create(
        system.positions[kept],
        velocities=system.velocities[kept],
        masses=system.masses[kept],
        units=ASTRONOMICAL,
    )


def test_energy_is_the_same() -> None:
    system = j2000().system
    assert kinetic_energy(system) + GRAVITY(system).energy == pytest.approx(
        simulation(system, "ias15").energy(), rel=1e-14
    )
    np.testing.assert_allclose(
        angular_momentum(system), simulation(system, "ias15").angular_momentum(), rtol=1e-13
    )


def test_forces_are_the_same() -> None:
    """A leapfrog step from rest drifts by nothing, then kicks: what it leaves is dt times the
    acceleration, sums of ten terms."""
    solar = j2000().system
    resting = System.create(solar.positions, masses=solar.masses, units=ASTRONOMICAL)
    sim = simulation(resting, "leapfrog", 0.5)
    sim.steps(1)
    expected = 0.5 * GRAVITY(resting).forces / solar.masses[:, None]
    np.testing.assert_allclose(bodies(sim)[1], expected, rtol=0, atol=1e-14 * abs(expected).max())


def test_ten_years_of_the_solar_system() -> None:
    """Yoshida-8 at half a day, a 176th of Mercury's period and a 55th of the Moon's, against IAS15,
    which is exact to round-off.

    Halving our step moves Mercury by a metre, and the Moon, whose orbit multiplies roundings by
    390, by a few: ten times that is allowed.
    """
    system = j2000().system
    sim = simulation(system, "ias15")
    sim.integrate(3652.5)
    *_, ours = rollout(yoshida_8(GRAVITY), State(system), 0.5, 7305, 7305)
    kilometers = dict(
        zip(
            j2000().names,
            np.linalg.norm(ours.system.positions - bodies(sim)[0], axis=1) / KM,
            strict=True,
        )
    )
    assert kilometers.pop("Moon") < 0.1
    assert max(kilometers.values()) < 0.01


def test_leapfrog_is_the_same_scheme() -> None:
    """Drift, kick, drift, a thousand half days: Mercury's phase is off by the walk of a thousand
    roundings over 36 rad, 2e-13."""
    sim = simulation(planets(), "leapfrog", 0.5)
    sim.steps(1000)
    *_, ours = rollout(Strang(Drift(), Kick(GRAVITY)), State(planets()), 0.5, 1000, 1000)
    np.testing.assert_allclose(ours.system.positions, bodies(sim)[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.system.velocities, bodies(sim)[1], rtol=0, atol=1e-13)


def test_wisdom_holman_is_the_same_scheme() -> None:
    """Conics outermost, then jumps, then kicks, a thousand steps of four days: Mercury's 285 rad
    carry the roundings on to 1e-12."""
    sim = simulation(planets(), "whfast", 4.0)
    sim.steps(1000)
    sim.synchronize()
    *_, ours = rollout(wisdom_holman(GRAVITY), State(planets()), 4.0, 1000, 1000)
    np.testing.assert_allclose(ours.system.positions, bodies(sim)[0], rtol=0, atol=5e-12)


def energies_of_rebound(sim: Any, n_frames: int, every: int) -> np.ndarray:
    values = [sim.energy()]
    for _ in range(n_frames):
        sim.steps(every)
        sim.synchronize()
        values.append(sim.energy())
    return np.array(values)


def test_wisdom_holman_holds_energy_as_well() -> None:
    """Four hundred years at four days. Kicks outermost would make twice the error of conics
    outermost (1/12 against 1/24 in the expansion of Baker, Campbell and Hausdorff); 10 % for what
    round-off adds."""
    n_frames, every = 300, 121
    theirs = energies_of_rebound(simulation(planets(), "whfast", 4.0), n_frames, every)
    states = rollout(wisdom_holman(GRAVITY), State(planets()), 4.0, n_frames * every, every)
    ours = np.array(
        [float(kinetic_energy(state.system) + state.evaluation.energy) for state in states]
    )
    error, reference = (np.sqrt(np.mean((e / e[0] - 1.0) ** 2)) for e in (ours, theirs))
    assert 1e-10 < reference < 1e-7
    assert error < 1.1 * reference
