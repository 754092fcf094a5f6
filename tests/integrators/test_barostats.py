"""Constant pressure: the exact laws of a perfect gas, the mean stress of a crystal, and bits that
do not change."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy import stats

from integrators.barostats import CellKick, CellKinetic, CellNoise, Piston, Stretch
from integrators.ensembles import npt
from integrators.random import Random
from integrators.state import State
from integrators.thermostats import Ramp
from integrators.velocities import maxwell_boltzmann
from systems.cell import volume
from systems.observables import kinetic_energy
from systems.potentials.coulomb import Coulomb
from systems.potentials.lennard_jones import LennardJones
from systems.system import Evaluation, System
from trajectories.rollout import rollout

ALL = (True, True, True)


def nothing(system: System) -> Evaluation:
    """No force and no stress: a perfect gas."""
    x = system.positions
    return Evaluation(x.sum((-1, -2)) * 0.0, x * 0.0, system.cell * 0.0)


def gas(copies: int, n: int, seed: int = 0) -> State:
    """Each copy in a cube of the volume that is expected at pressure and temperature one."""
    stream = np.random.default_rng(seed)
    side = (n + 1) ** (1 / 3)
    system = System.create(stream.random((copies, n, 3)) * side, masses=np.linspace(1.0, 2.0, n))
    system = replace(system, cell=np.broadcast_to(np.eye(3) * side, (copies, 3, 3)).copy(), pbc=ALL)
    return State(
        maxwell_boltzmann(system, 1.0, Random(seed), at_rest=False), random=Random(seed + 1)
    )


def crystal(seed: int = 0) -> State:
    atoms = bulk("Ar", "fcc", 1.6, cubic=True) * (2, 2, 2)
    system = replace(System.create(atoms.positions), cell=np.array(atoms.cell), pbc=ALL)
    return State(maxwell_boltzmann(system, 0.3, Random(seed)), random=Random(seed))


@pytest.mark.parametrize("pressure", [0.5, 2.0])
def test_a_perfect_gas_has_its_volume(pressure: float) -> None:
    """With measure dV and the momentum free, the density of V is V^n exp(-P V / kT): P V / kT is a
    gamma variable of n + 1."""
    n, copies = 12, 800
    piston = Piston(1.0, pressure, period=1.0)
    *_, last = rollout(npt(nothing, piston, friction=1.0), gas(copies, n), 0.05, 800)
    found = pressure * volume(last.system.cell)
    assert abs(found.mean() - (n + 1)) < 3 * np.sqrt((n + 1) / copies)
    assert found.var() == pytest.approx(n + 1, rel=4 * np.sqrt(2.0 / copies) * 1.5)
    assert stats.kstest(found, stats.gamma(n + 1).cdf).pvalue > 1e-3
    # n kT, without the one, is off by far more than the standard error
    assert abs(found.mean() - n) > 6 * np.sqrt((n + 1) / copies)
    kinetic = 2 * kinetic_energy(last.system)
    assert stats.kstest(kinetic, stats.chi2(3 * n).cdf).pvalue > 1e-3


def test_the_rate_of_strain_has_the_temperature() -> None:
    """W tr v^2 / 2 is the cell's kinetic energy: of one degree of freedom, or of six."""
    for flexible, degrees in ((False, 1), (True, 6)):
        piston = Piston(1.0, 1.0, period=1.0, flexible=flexible)
        state = gas(3000, 4)
        flow = CellNoise(piston)
        for _ in range(8):
            state = flow(state, 1.0)
        v = state.barostat
        assert v is not None
        np.testing.assert_array_equal(v, v.swapaxes(-1, -2))
        found = piston.mass(state) * (v**2).sum((-1, -2))
        assert stats.kstest(found, stats.chi2(degrees).cdf).pvalue > 1e-3


@pytest.mark.parametrize("flexible", [False, True])
def test_a_crystals_mean_stress_is_the_pressure(flexible: bool) -> None:
    """Kinetic part and virial, every component where the cell is free to shear, within standard
    errors of ten blocks."""
    potential = LennardJones(cutoff=2.0, skin=0.4)
    piston = Piston(0.3, 0.7, period=0.5, flexible=flexible)
    stresses = []
    for state in rollout(npt(potential, piston, 1.0), crystal(), 0.01, 12_000, 5):
        system = state.system
        assert state.evaluation is not None
        p, size = system.momenta, volume(system.cell)
        stresses.append(p.T @ (p / system.masses[:, None]) / size - state.evaluation.stress)
    blocks = np.array(stresses[401:]).reshape(10, -1, 3, 3).mean(1)
    mean, error = blocks.mean(0), blocks.std(0, ddof=1) / np.sqrt(10)
    # N kT / V of the total momentum, which is free, and the one of dV: <P_int> = P for a cell that
    # moves
    assert abs(np.trace(mean) / 3 - 0.7) < 4 * np.sqrt(
        (np.diag(error) ** 2).sum()
    ) / 3 + 0.3 / volume(system.cell)
    if flexible:
        assert (abs(mean - 0.7 * np.eye(3)) < 4.5 * error + 0.3 / volume(system.cell)).all()


def test_the_cell_keeps_its_shape_unless_flexible() -> None:
    for flexible in (False, True):
        piston = Piston(0.3, 0.5, period=0.5, flexible=flexible)
        *_, last = rollout(npt(LennardJones(cutoff=2.0), piston, 1.0), crystal(), 0.01, 200)
        shape = last.system.cell / volume(last.system.cell) ** (1 / 3)
        assert np.allclose(shape, np.eye(3), atol=1e-10) != flexible
        assert volume(last.system.cell) != volume(crystal().system.cell)


def test_each_flow_undoes_itself() -> None:
    """But for the noise, backwards in time."""
    piston, potential = Piston(0.3, 0.5, period=0.5, flexible=True), LennardJones(cutoff=2.0)
    start = replace(
        crystal(), barostat=np.array([[0.01, 0.02, 0.0], [0.02, -0.01, 0.03], [0.0, 0.03, 0.02]])
    )
    for flow in (CellKick(potential, piston), CellKinetic(piston), Stretch(piston)):
        back = flow(flow(start, 0.1), -0.1)
        for name in ("positions", "momenta", "cell"):
            np.testing.assert_allclose(
                getattr(back.system, name), getattr(start.system, name), rtol=0, atol=1e-12
            )
        np.testing.assert_allclose(back.barostat, start.barostat, rtol=0, atol=1e-12)


def test_the_extended_energy_without_noise_is_conserved_to_second_order() -> None:
    """H + P V + W tr v^2 / 2, of particles and cell that are left to themselves."""
    potential, steps = LennardJones(cutoff=2.0, skin=0.4), [0.01, 0.005, 0.0025]
    piston = Piston(0.3, 0.5, period=0.5, friction=0.0, flexible=True)
    errors = []
    for dt in steps:
        scheme, seen = npt(potential, piston, 0.0), []
        for state in rollout(scheme, crystal(), dt, round(1 / dt)):
            assert state.evaluation is not None
            v = piston.rate(state)
            cell = 0.5 * piston.mass(state) * (v**2).sum() + 0.5 * volume(state.system.cell)
            seen.append(kinetic_energy(state.system) + state.evaluation.energy + cell)
        errors.append(np.std(seen))
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.2)


def test_tensors_ensembles_and_stops_change_nothing() -> None:
    scheme, start = npt(nothing, Piston(1.0, 1.0, 1.0, flexible=True), 1.0), gas(3, 5)
    *_, straight = rollout(scheme, start, 0.05, 30)
    *_, half = rollout(scheme, start, 0.05, 13)
    *_, resumed = rollout(scheme, replace(half, evaluation=None), 0.05, 17)
    np.testing.assert_array_equal(resumed.system.cell, straight.system.cell)
    *_, tensors = rollout(
        scheme, replace(start, system=start.system.map(torch.as_tensor)), 0.05, 30
    )
    np.testing.assert_allclose(tensors.system.cell, straight.system.cell, rtol=1e-12)
    *_, alone = rollout(scheme, replace(start, system=start.system.copy_of(0)), 0.05, 30)
    np.testing.assert_allclose(alone.system.cell, straight.system.cell[0], rtol=1e-12)


def test_a_resumed_crystal_has_the_same_bits() -> None:
    """With a neighbour list of its own."""

    def scheme() -> Any:
        return npt(LennardJones(cutoff=2.0, skin=0.2), Piston(0.3, 0.7, 0.5, flexible=True), 1.0)

    *_, straight = rollout(scheme(), crystal(), 0.01, 300)
    *_, half = rollout(scheme(), crystal(), 0.01, 137)
    *_, resumed = rollout(scheme(), replace(half, evaluation=None), 0.01, 163)
    for name in ("positions", "momenta", "cell"):
        np.testing.assert_array_equal(getattr(resumed.system, name), getattr(straight.system, name))


@pytest.mark.parametrize("flexible", [False, True])
@pytest.mark.parametrize("stiffness", [2.0, 50.0])
def test_the_volume_rings_as_the_docstring_of_piston_says(stiffness: float, flexible: bool) -> None:
    """Of particles at rest in a cell with a bulk modulus: W times the square of the frequency is
    three times volume and modulus."""
    n, side = 6, 2.0

    def elastic(system: System) -> Evaluation:
        off = float(volume(system.cell)) / side**3 - 1.0
        x, energy = system.positions, np.float64(0.5 * stiffness * side**3 * off**2)
        return Evaluation(energy, x * 0.0, stiffness * off * np.eye(3))

    x = np.random.default_rng(0).random((n, 3)) * side
    system = replace(System.create(x), cell=1.0001 * side * np.eye(3), pbc=ALL)
    piston = Piston(0.7, 0.0, period=1.5, friction=0.0, flexible=flexible)
    state = State(system, random=Random(0))
    mass = (n + 1) * 0.7 * 1.5**2
    assert piston.mass(state) == pytest.approx(mass)
    period = 2 * np.pi * np.sqrt(mass / (3 * side**3 * stiffness))
    states = rollout(npt(elastic, piston, friction=0.0), state, period / 200, 800, 1)
    off = np.array([float(volume(one.system.cell)) / side**3 - 1.0 for one in states])
    exact = off[0] * np.cos(2 * np.pi * np.arange(801) / 200)
    np.testing.assert_allclose(off, exact, atol=0.03 * off[0])


def test_a_pressure_that_rises() -> None:
    scheme = npt(nothing, Piston(1.0, Ramp(1.0, 4.0, 20.0), period=0.3), 2.0)
    *_, last = rollout(scheme, gas(300, 12), 0.05, 600)
    assert volume(last.system.cell).mean() == pytest.approx(13 / 4, rel=0.1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Piston(0.0, 1.0, 1.0), "the temperature must be positive, not 0.0"),
        (
            lambda: npt(nothing, Piston(1.0, 1.0, 1.0), 1.0)(gas(1, 2), -0.1),
            "cannot run backwards in time",
        ),
        (
            lambda: list(
                rollout(
                    npt(LennardJones(), Piston(1.0, 1.0, 1.0), 1.0),
                    State(System.create([[0.0, 0, 0]])),
                    0.1,
                    1,
                )
            ),
            "periodic in all",
        ),
        (lambda: Piston(1.0, float("inf"), 1.0), "the pressure must be finite"),
        (lambda: Piston(1.0, 1.0, 0.0), "the period of the cell must be positive, not 0.0"),
        (lambda: Piston(1.0, 1.0, 1.0, friction=-1.0), "the friction must not be negative"),
        (
            lambda: _step(replace(System.create([[0.0, 0, 0]]), cell=np.eye(3))),
            "needs a cell that is periodic in all directions",
        ),
        (
            lambda: _step(replace(gas(1, 2).system, pbc=(True, True, False))),
            "needs a cell that is periodic in all directions",
        ),
        (
            lambda: npt(_Stressless(), Piston(1.0, 1.0, 1.0), 1.0)(gas(1, 2), 0.1),
            "needs a stress, which _Stressless does not give",
        ),
        (lambda: _step(gas(1, 2).system), "constant pressure needs random numbers"),
    ],
)
def test_refusals(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


class _Stressless(Coulomb):
    def __call__(self, system: System) -> Evaluation:
        return Evaluation(0.0, system.positions * 0.0)


def _step(system: System) -> State:
    return npt(nothing, Piston(1.0, 1.0, 1.0), 1.0)(State(system), 0.1)
