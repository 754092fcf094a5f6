"""What is conserved: energy up to an error that falls with the step as it should and does not grow
with time, momenta to round-off."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from integrators.ensembles import INTEGRATORS, velocity_verlet, yoshida_4
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from systems.observables import angular_momentum, kinetic_energy, momentum
from systems.potentials.gravity import Gravity
from systems.potentials.lennard_jones import LennardJones
from systems.potentials.springs import Springs
from systems.system import System
from trajectories.rollout import rollout

ORDER = {
    "symplectic-euler": 1,
    "velocity-verlet": 2,
    "wisdom-holman": 2,
    "yoshida-4": 4,
    "yoshida-6": 6,
    "yoshida-8": 8,
}
# steps in 20 units of time, 3 revolutions, at which the energy's error is above 1e-12 and yet in
# its series' radius
STEPS = {
    "symplectic-euler": (6400, 12800),
    "velocity-verlet": (400, 800),
    "wisdom-holman": (400, 800),
    "yoshida-4": (200, 400),
    "yoshida-6": (100, 200),
    "yoshida-8": (80, 160),
}


def two_planets(drift: float = 0.0) -> State:
    """A star and two planets, all of them moving on by ``drift`` in every direction."""
    x, v = (
        np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.9, 0.1]]),
        np.array([[0, 0, 0], [0, 1.05, 0.05], [-0.75, 0, 0.02]]),
    )
    masses = np.array([1.0, 1e-3, 2e-3])
    v[0] = -(masses[1:] @ v[1:])
    return State(System.create(x, velocities=v + drift, masses=masses))


def trembling() -> tuple[State, Springs]:
    """A tetrahedron of springs near its rest lengths, whose edges never come close to zero, turning
    slowly."""
    stream, corners = (
        np.random.default_rng(0),
        np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
    )
    velocities = 0.2 * stream.normal(size=(4, 3)) + 0.1 * np.cross([0.0, 0.0, 1.0], corners)
    system = System.create(corners, velocities=velocities, masses=stream.uniform(1.0, 3.0, 4))
    return State(system), Springs([(i, j) for i in range(4) for j in range(i)], 1.0, 8**0.5)


def energy(state: State) -> float:
    return float(kinetic_energy(state.system) + state.evaluation.energy)


def relative_energy(flow: Any, start: State, dt: float, n: int, every: int = 1) -> np.ndarray:
    """(E - E0) / |E0| of the frames."""
    values = np.array([energy(state) for state in rollout(flow, start, dt, n, every)])
    return (values - values[0]) / abs(values[0])


@pytest.mark.parametrize("name", INTEGRATORS)
def test_the_energys_error_falls_with_the_step(name: str) -> None:
    errors = [
        abs(relative_energy(INTEGRATORS[name](Gravity()), two_planets(), 20.0 / n, n)).max()
        for n in STEPS[name]
    ]
    assert errors[-1] > 1e-13
    # the largest of many frames is caught a little off its peak, and the error's next term is
    # smaller by the step
    assert np.log2(errors[0] / errors[1]) == pytest.approx(ORDER[name], abs=0.1)


@pytest.mark.parametrize("name", INTEGRATORS)
def test_momentum_and_angular_momentum_stay(name: str) -> None:
    """At steps as coarse as a twentieth of a revolution: pieces conserve them exactly, so only sums
    of 3 * 15 * 400 roundings are left."""
    first, *states = rollout(INTEGRATORS[name](Gravity()), two_planets(0.3), 0.3, 400, 20)
    size = abs(first.system.momenta).sum()
    spin = np.linalg.norm(angular_momentum(first.system))
    reach = np.linalg.norm(states[-1].system.positions, axis=-1).max()
    for state in states:
        np.testing.assert_allclose(
            momentum(state.system), momentum(first.system), rtol=0, atol=1e-14 * size
        )
        # each rounding of a momentum acts by its arm, and the whole moves on by 36
        np.testing.assert_allclose(
            angular_momentum(state.system),
            angular_momentum(first.system),
            rtol=0,
            atol=1e-14 * max(spin, size * reach),
        )


@pytest.mark.parametrize("name", ["symplectic-euler", "velocity-verlet", "yoshida-4"])
def test_springs_conserve_momenta_too(name: str) -> None:
    start, springs = trembling()
    first, last = rollout(INTEGRATORS[name](springs), start, 0.1, 500, 500)
    # 500 * 3 roundings of momenta of order one, each with an arm of order ten once the whole has
    # moved on
    np.testing.assert_allclose(momentum(last.system), momentum(first.system), rtol=0, atol=1e-13)
    np.testing.assert_allclose(
        angular_momentum(last.system), angular_momentum(first.system), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("name", "dt"),
    [
        ("symplectic-euler", 0.1),
        ("velocity-verlet", 0.2),
        ("yoshida-4", 0.2),
        ("yoshida-6", 0.2),
        ("wisdom-holman", 0.5),
    ],
)
def test_energy_swings_and_does_not_drift(name: str, dt: float) -> None:
    """Three thousand revolutions: a drift of a thousandth of the swing a revolution would have
    trebled it."""
    n = int(20000 / dt) // 40 * 40
    errors = relative_energy(INTEGRATORS[name](Gravity()), two_planets(), dt, n, 40)
    swing = np.ptp(errors[: len(errors) // 10])
    trend = np.polyfit(np.linspace(0.0, 1.0, len(errors)), errors, 1)[0]
    assert 1e-9 < swing < 0.1
    assert abs(trend) < 0.5 * swing
    assert np.ptp(errors) < 2.0 * swing


@pytest.mark.parametrize("make", [velocity_verlet, yoshida_4])
def test_springs_do_not_drift_either(make: Any) -> None:
    start, springs = trembling()
    errors = relative_energy(make(springs), start, 0.1, 100_000, 50)
    swing = np.ptp(errors[: len(errors) // 10])
    assert abs(np.polyfit(np.linspace(0.0, 1.0, len(errors)), errors, 1)[0]) < 0.5 * swing


def test_the_whole_moves_straight_on() -> None:
    """The centre of mass after 400 coarse steps of each integrator, 0.3 a unit of time in every
    direction."""
    for make in INTEGRATORS.values():
        first, last = rollout(make(Gravity()), two_planets(0.3), 0.3, 400, 400)
        shares = first.system.masses / first.system.masses.sum()
        velocity = momentum(first.system) / first.system.masses.sum()
        moved = shares @ last.system.positions - shares @ first.system.positions
        np.testing.assert_allclose(moved, 120.0 * velocity, rtol=1e-12)


def energy_of(state: State) -> Any:
    assert state.evaluation is not None
    return kinetic_energy(state.system) + state.evaluation.energy


@pytest.mark.parametrize("truncation", ["force-shift", "switch"])
def test_lennard_joness_energy_error_falls_with_the_second_power(truncation: Any) -> None:
    """Velocity Verlet of a hot crystal, whose atoms cross the cutoff all the time: only a smooth
    end keeps the order."""
    atoms = bulk("Ar", "fcc", 1.6, cubic=True) * (3, 3, 3)
    system = replace(
        System.create(atoms.positions), cell=np.array(atoms.cell), pbc=(True, True, True)
    )
    start = State(maxwell_boltzmann(system, 1.0, Random(0)))
    steps, errors = [0.008, 0.004, 0.002], []
    for dt in steps:
        potential = LennardJones(truncation=truncation, cutoff=2.0, skin=0.4)
        seen = [
            energy_of(s) for s in rollout(velocity_verlet(potential), start, dt, round(1.6 / dt))
        ]
        errors.append(np.std(seen))
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.2)
