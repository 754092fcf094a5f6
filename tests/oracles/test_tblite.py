"""A calculator of quantum chemistry under our integrators: GFN2-xTB (tblite) moves ethanol."""

from typing import Any

import numpy as np
import pytest
from ase import units
from ase.build import molecule

from integrators.ensembles import langevin_baoab, velocity_verlet
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from mcegnn.interfaces.ase import CalculatorPotential
from systems.observables import kinetic_energy
from systems.sources.atoms import from_atoms
from trajectories.rollout import rollout

tblite = pytest.importorskip("tblite.ase", reason="the extra xtb (tblite) is not installed")


def potential(accuracy: float = 0.1) -> CalculatorPotential:
    return CalculatorPotential(tblite.TBLite(method="GFN2-xTB", verbosity=0, accuracy=accuracy))


@pytest.fixture(scope="module")
def start() -> State:
    """Ethanol with velocities of 300 K."""
    return State(
        maxwell_boltzmann(from_atoms(molecule("CH3CH2OH")), 300.0, Random(3)), random=Random(3)
    )


def energy(state: State) -> Any:
    assert state.evaluation is not None
    return kinetic_energy(state.system) + state.evaluation.energy


def test_the_energy_is_the_known_one(start: State) -> None:
    assert potential()(start.system).energy == pytest.approx(-309.9765, abs=0.05)


def test_the_energy_error_falls_with_the_second_power(start: State) -> None:
    steps = [1.0, 0.5, 0.25]
    runs = (
        rollout(velocity_verlet(potential()), start, dt * units.fs, round(40 / dt)) for dt in steps
    )
    errors = [np.std([energy(state) for state in run]) for run in runs]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.2)


def test_a_resumed_run_is_the_same_run(start: State) -> None:
    """To 1e-8: the calculator is self-consistent and begins from what it found last, so its
    accuracy is what counts (2e-8 at 0.1)."""

    def flow() -> Any:
        return langevin_baoab(potential(accuracy=0.01), 300.0, 0.01 / units.fs)

    *_, straight = rollout(flow(), start, 0.5 * units.fs, 30)
    *_, half = rollout(flow(), start, 0.5 * units.fs, 12)
    *_, resumed = rollout(flow(), half, 0.5 * units.fs, 18)
    np.testing.assert_allclose(
        resumed.system.positions, straight.system.positions, rtol=0, atol=1e-8
    )
