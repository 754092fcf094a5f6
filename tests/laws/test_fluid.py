"""A Lennard-Jones fluid: kept lists miss no pair, pressure is what was asked, energy does not
drift."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from scipy import stats

from integrators.barostats import Piston
from integrators.ensembles import langevin_baoab, npt, velocity_verlet
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from systems.neighbors.cells import cell_list
from systems.neighbors.lists import NeighborList
from systems.observables import kinetic_energy, pressure
from systems.potentials.lennard_jones import LennardJones
from systems.system import System
from trajectories.rollout import rollout

DT = 0.004


def liquid(repeat: int = 3, temperature: float = 1.2, seed: int = 1) -> State:
    """Molten, of reduced density 0.8."""
    atoms = bulk("Ar", "fcc", 5.0 ** (1.0 / 3.0), cubic=True).repeat(repeat)
    system = replace(
        System.create(atoms.positions), cell=np.array(atoms.cell), pbc=(True, True, True)
    )
    start = State(maxwell_boltzmann(system, 2.0, Random(seed)), random=Random(seed + 1))
    *_, molten = rollout(langevin_baoab(LennardJones(), temperature, 1.0), start, DT, 1000, 1000)
    return molten


@pytest.mark.slow
@pytest.mark.parametrize("ensemble", ["nve", "npt"])
def test_a_kept_list_never_misses_a_pair(ensemble: str) -> None:
    """Over 2,000 steps, at each of them: as many pairs within the cutoff as a new list finds; in
    npt the cell moves a lot, and shears."""
    potential, start = LennardJones(skin=0.35), liquid()
    piston = Piston(1.2, 1.0, 0.4, flexible=True)
    flow = velocity_verlet(potential) if ensemble == "nve" else npt(potential, piston, 1.0)
    near, cells = NeighborList(potential.cutoff, potential.skin), []
    for state in rollout(flow, start, DT, 2000):
        system = state.system
        held = near(*system.geometry)
        offsets = (
            system.positions[held.j]
            - system.positions[held.i]
            + (held.images @ system.cell)[held.image]
        )
        within = int(((offsets**2).sum(-1) < potential.cutoff**2).sum())
        assert within == len(cell_list(*system.geometry, potential.cutoff))
        cells.append(system.cell)
    assert 60 < near.n_built < 1000
    if ensemble == "npt":
        assert np.ptp(np.linalg.det(cells)) > 0.05 * np.linalg.det(cells[0])


@pytest.mark.parametrize("ensemble", ["nve", "npt"])
def test_the_compiled_run_never_misses_a_pair(ensemble: str) -> None:
    """10,000 steps with lists of different skins end in the same bits: a pair that one of them
    missed would have grown to everything."""
    start, ends = liquid(), []
    for skin in (0.2, 0.35, 0.8):
        potential = LennardJones(skin=skin)
        piston = Piston(1.2, 1.0, 0.4, flexible=True)
        flow = velocity_verlet(potential) if ensemble == "nve" else npt(potential, piston, 1.0)
        *_, end = rollout(flow, start, DT, 10_000, 10_000)
        with potential.lists() as lists:
            assert lists[0].n_built > 50
        ends.append(end.system)
    for other in ends[1:]:
        np.testing.assert_array_equal(other.positions, ends[0].positions)
        np.testing.assert_array_equal(other.cell, ends[0].cell)


def block_error(series: np.ndarray, n_blocks: int = 20) -> float:
    """The standard error of a correlated series' mean: from means of blocks that are far longer
    than its memory."""
    blocks = series[: len(series) // n_blocks * n_blocks].reshape(n_blocks, -1).mean(1)
    return float(blocks.std(ddof=1) / n_blocks**0.5)


@pytest.mark.slow
@pytest.mark.parametrize("flexible", [False, True])
def test_mean_virial_pressure_is_the_target(flexible: bool) -> None:
    """With the particles' momentum free, <P_int> - P = kT / V-weighted surface terms of order 1 / n
    vanish for the measure dV: exactly <(P_int - P) V> = -kT, from integrating d/dV of V times the
    weight by parts."""
    target, temperature = 1.5, 1.3
    flow = npt(LennardJones(), Piston(temperature, target, 0.5, flexible=flexible), 1.0)
    *_, settled = rollout(flow, liquid(temperature=temperature), DT, 2000, 2000)
    excess, volumes, kelvin = [], [], []
    for state in rollout(flow, replace(settled, evaluation=None), DT, 60_000, 10):
        assert state.evaluation is not None
        volume = abs(np.linalg.det(state.system.cell))
        inside = pressure(state.system, state.evaluation.stress)
        excess.append((inside - target) * volume)
        volumes.append(volume)
        kelvin.append(2 * kinetic_energy(state.system) / (3 * state.system.n_particles))
    found = np.array(excess)
    # which way a liquid goes differs from processor to processor, and one in 10,000 may be this far
    # off: Student's t of 20 blocks
    widest = stats.t.isf(5e-5, 19)
    assert abs(found.mean() + temperature) < widest * block_error(found)
    assert (
        abs(np.mean(kelvin) - temperature)
        < widest * block_error(np.array(kelvin)) + 1e-3 * temperature
    )
    inside = found / np.array(volumes) + target
    assert inside.mean() == pytest.approx(
        target, abs=widest * block_error(inside) + temperature / np.mean(volumes)
    )


@pytest.mark.slow
def test_energy_has_no_trend() -> None:
    """The slope of the energy over 100,000 steps is within its error, which is far below a
    thousandth of the kinetic energy."""
    energies = []
    for state in rollout(velocity_verlet(LennardJones()), liquid(temperature=0.8), DT, 100_000, 50):
        assert state.evaluation is not None
        energies.append(float(state.evaluation.energy) + float(kinetic_energy(state.system)))
    slope, error = trend(np.array(energies))
    assert abs(slope) < stats.t.isf(5e-5, 23) * error
    assert error * len(energies) < 1e-4 * 1.5 * 0.8 * state.system.n_particles


def trend(series: np.ndarray, n_blocks: int = 25) -> tuple[float, float]:
    """Slope of a series by its index, and its standard error, from the means of blocks."""
    size = len(series) // n_blocks
    means = series[: size * n_blocks].reshape(n_blocks, size).mean(1)
    at = (np.arange(n_blocks) - (n_blocks - 1) / 2) * size
    slope = float((at * means).sum() / (at**2).sum())
    left = means - means.mean() - slope * at
    return slope, float((left**2).sum() / (n_blocks - 2) / (at**2).sum()) ** 0.5
