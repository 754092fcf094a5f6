"""ASE on one side, our potentials on the other: the same numbers both ways, and everything ASE does
with a calculator."""

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_stress
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from integrators.ensembles import velocity_verlet
from integrators.state import State
from mcegnn.interfaces.ase import CalculatorPotential, PotentialCalculator
from systems.potentials.coulomb import Coulomb
from systems.potentials.lennard_jones import LennardJones
from systems.sources.atoms import from_atoms, to_atoms
from systems.system import Evaluation, System
from systems.units import METAL
from trajectories.rollout import rollout

ARGON = LennardJones(epsilon=0.0103, sigma=3.4, cutoff=7.0)


def argon(seed: int = 0, repeat: int = 2) -> Atoms:
    """A rattled crystal with velocities of 30 K."""
    atoms = bulk("Ar", "fcc", 5.3, cubic=True) * (repeat, repeat, repeat)
    atoms.rattle(0.1, seed=seed)
    momenta = np.random.default_rng(seed).normal(size=(len(atoms), 3)) * np.sqrt(
        30 * units.kB * atoms.get_masses()[:, None]
    )
    atoms.set_momenta(momenta - momenta.mean(0))
    atoms.calc = PotentialCalculator(ARGON)
    return atoms


def test_atoms_there_and_back() -> None:
    atoms = molecule("CH3CH2OH", vacuum=3.0, pbc=(True, False, True))
    atoms.set_initial_charges(np.linspace(-0.4, 0.4, 9))
    atoms.set_masses([*atoms.get_masses()[:-1], 2.014])
    atoms.set_velocities(np.random.default_rng(0).normal(size=(9, 3)))
    system = from_atoms(atoms)
    np.testing.assert_allclose(system.velocities, atoms.get_velocities(), rtol=1e-15)
    back = to_atoms(system)
    for name in ("numbers", "positions", "momenta", "masses", "initial_charges"):
        np.testing.assert_array_equal(back.arrays[name], atoms.arrays[name])
    assert (back.cell == atoms.cell).all()
    assert (back.pbc == atoms.pbc).all()
    assert from_atoms(Atoms("H2", [[0, 0, 0], [0, 0, 0.7]])).cell is None


@pytest.mark.parametrize(
    ("system", "told"),
    [
        (
            System.create(np.zeros((2, 3, 3)), units=METAL),
            "an ensemble has no place in ASE's Atoms",
        ),
        (System.create([[0.0, 0, 0]]), "a system in reduced units has no place in ASE's Atoms"),
    ],
)
def test_what_atoms_cannot_hold(system: System, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        to_atoms(system)


def test_no_atoms() -> None:
    with pytest.raises(ValueError, match="there are no atoms"):
        from_atoms(Atoms())


def test_our_forces_in_ase() -> None:
    """All of its properties; ASE's own Lennard-Jones says the same."""
    atoms, plain = argon(), argon()
    atoms.calc = PotentialCalculator(LennardJones(0.0103, 3.4, 7.0, truncation="switch", onset=5.0))
    plain.calc = AseLennardJones(sigma=3.4, epsilon=0.0103, rc=7.0, ro=5.0, smooth=True)
    for get in ("get_potential_energy", "get_forces", "get_stress", "get_potential_energies"):
        np.testing.assert_allclose(
            getattr(atoms, get)(), getattr(plain, get)(), rtol=1e-10, atol=1e-13, err_msg=get
        )
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_stress_is_what_finite_differences_say() -> None:
    atoms = argon()
    np.testing.assert_allclose(
        atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), rtol=1e-6, atol=1e-10
    )


def test_what_a_potential_does_not_say() -> None:
    lonely = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]], calculator=PotentialCalculator(ARGON))
    assert lonely.get_forces().shape == (2, 3)
    with pytest.raises(
        PropertyNotImplementedError, match="gives no stress for these atoms; stress needs a cell"
    ):
        lonely.get_stress()
    charged = Atoms("H2", [[0, 0, 0], [0, 0, 1]], calculator=PotentialCalculator(Coulomb()))
    with pytest.raises(PropertyNotImplementedError, match="Coulomb gives no energies"):
        charged.get_potential_energies()
    charged.calc = PotentialCalculator(
        lambda system: Evaluation(None, np.zeros_like(system.positions))
    )
    with pytest.raises(PropertyNotImplementedError, match="a field without an energy"):
        charged.get_forces()


def test_ases_numbers_here() -> None:
    """EMT as a potential, of one system and of an ensemble, with a stress where it is asked for."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    atoms.calc = EMT()
    evaluation = CalculatorPotential(EMT(), stress=True)(from_atoms(atoms))
    assert evaluation.energy == atoms.get_potential_energy()
    np.testing.assert_array_equal(evaluation.forces, atoms.get_forces())
    np.testing.assert_array_equal(evaluation.stress, atoms.get_stress(voigt=False))
    one = from_atoms(atoms)
    both = System(
        np.stack([one.positions, one.positions * 1.01]),
        np.zeros((2, 32, 3)),
        one.masses,
        one.species,
        np.zeros((2, 32)),
        one.cell,
        one.pbc,
        METAL,
    )
    many = CalculatorPotential(EMT())(both)
    assert many.energy is not None
    assert (many.energy[0], many.stress) == (evaluation.energy, None)
    np.testing.assert_allclose(many.forces[0], evaluation.forces, atol=1e-13)
    assert abs(many.forces[1] - many.forces[0]).max() > 1e-3


def test_a_potential_may_be_asked_about_anything_next() -> None:
    """Other cells, other atoms: nothing of the last call stays."""
    potential, fresh = (
        CalculatorPotential(EMT(), stress=True),
        CalculatorPotential(EMT(), stress=True),
    )
    copper, gold = bulk("Cu", cubic=True), bulk("Au", cubic=True)
    strained = copper.copy()
    strained.set_cell(strained.cell * 1.02, scale_atoms=True)
    for atoms in (copper, strained, gold, copper):
        found = potential(from_atoms(atoms))
        wanted = CalculatorPotential(EMT(), stress=True)(from_atoms(atoms))
        assert found.energy == pytest.approx(wanted.energy, rel=1e-12)
        np.testing.assert_allclose(found.stress, wanted.stress, atol=1e-12)
    assert fresh is not potential


def test_charges_and_lost_cells_are_noticed() -> None:
    class Charges(EMT):  # type: ignore[misc]
        def calculate(self, atoms: Any, properties: Any, changes: Any) -> None:
            self.atoms = atoms.copy()
            assert np.isfinite(atoms.cell[:]).all()
            self.results = {
                "energy": float(np.prod(atoms.get_initial_charges())),
                "forces": np.zeros((2, 3)),
            }

    potential = CalculatorPotential(Charges())
    one = System.create(
        [[[0.0, 0, 0], [1.0, 0, 0]]] * 2, charges=[[1.0, 1.0], [1.0, -1.0]], units=METAL
    )
    np.testing.assert_array_equal(potential(one).energy, [1.0, -1.0])
    for cell in (np.eye(3), None, 2 * np.eye(3)):
        assert potential(replace(one.copy_of(1), cell=cell)).energy == -1.0


def test_a_calculator_may_serve_others_in_between() -> None:
    calculator = EMT()
    copper, gold = CalculatorPotential(calculator), bulk("Au", cubic=True)
    system = from_atoms(bulk("Cu", cubic=True))
    before = copper(system).energy
    gold.calc = calculator
    gold.get_potential_energy()
    assert copper(replace(system, positions=system.positions + 0.0)).energy == pytest.approx(
        before, rel=1e-12
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: CalculatorPotential(EMT())(System.create([[0.0, 0, 0]])),
            "take metal units; the system is in reduced units",
        ),
        (lambda: CalculatorPotential(_Energies()), "gives no forces"),
        (lambda: CalculatorPotential(_Energies(), stress=True), "gives no forces and no stress"),
    ],
)
def test_refusals(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


class _Energies(EMT):  # type: ignore[misc]
    implemented_properties = ["energy"]  # noqa: RUF012


def test_our_loop_is_ases() -> None:
    """Velocity Verlet over a hundred steps of 5 fs, ASE's calculator under both."""
    atoms = argon()
    start = from_atoms(atoms)
    atoms.calc = AseLennardJones(sigma=3.4, epsilon=0.0103, rc=7.0, smooth=True)
    potential = CalculatorPotential(AseLennardJones(sigma=3.4, epsilon=0.0103, rc=7.0, smooth=True))
    *_, last = rollout(velocity_verlet(potential), State(start), 5 * units.fs, 100)
    VelocityVerlet(atoms, 5 * units.fs).run(100)
    np.testing.assert_allclose(last.system.positions, atoms.positions, rtol=0, atol=1e-10)
    np.testing.assert_allclose(last.system.momenta, atoms.get_momenta(), rtol=0, atol=1e-10)


def test_copies_and_pickles() -> None:
    atoms = argon()
    energy = atoms.get_potential_energy()
    for twin in (copy.deepcopy(atoms), pickle.loads(pickle.dumps(atoms))):
        twin.positions[0] += 0.1
        assert twin.get_potential_energy() != energy
        twin.positions[:] = atoms.positions
        assert twin.get_potential_energy() == energy


def test_ase_relaxes() -> None:
    atoms = argon()
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=200)
    assert abs(atoms.get_forces()).max() < 1e-4


def test_ase_finds_vibrations(tmp_path: Any) -> None:
    """Of a pair: the curvature of the bare potential, 57.146 epsilon / sigma^2, with what
    force-shift changes at the minimum."""
    bare = LennardJones(0.0103, 3.4, cutoff=200.0)
    pair = Atoms(
        "Ar2", [[0, 0, 0], [0, 0, 3.4 * 2 ** (1 / 6)]], calculator=PotentialCalculator(bare)
    )
    vibrations = Vibrations(pair, name=str(tmp_path / "vib"), delta=1e-3)
    vibrations.run()
    curvature = 72.0 / 2 ** (1 / 3) * 0.0103 / 3.4**2
    expected = (
        units._hbar * np.sqrt(2 * curvature / (39.95 * units._amu) * units._e) * 1e10 / units._e
    )
    assert vibrations.get_energies()[-1].real == pytest.approx(expected, rel=1e-3)


def test_ase_finds_a_path() -> None:
    """A vacancy's neighbour hops into it: one barrier, between two equal ends."""
    perfect = argon(repeat=2)
    perfect.positions[:] = bulk("Ar", "fcc", 5.3, cubic=True).repeat(2).positions
    first, last = perfect.copy(), perfect.copy()
    hopper = int(np.argmin(np.linalg.norm(perfect.positions - [2.65, 2.65, 0.0], axis=1)))
    last.positions[hopper] = perfect.positions[0]
    images = [first.copy() for _ in range(4)] + [last]
    for image in images:
        del image[0]
        image.calc = PotentialCalculator(ARGON)
    neb = NEB(images, method="improvedtangent")
    neb.interpolate()
    BFGS(neb, logfile=None).run(fmax=0.05, steps=60)
    energies = [image.get_potential_energy() for image in images]
    assert energies[0] == pytest.approx(energies[-1], abs=1e-9)
    assert max(energies) > energies[0] + 0.05


@pytest.mark.parametrize("kind", ["Langevin", "NPT"])
def test_ases_own_dynamics_run(kind: str) -> None:
    atoms = argon()
    if kind == "Langevin":
        dynamics = Langevin(
            atoms,
            5 * units.fs,
            temperature_K=30,
            friction=0.01,
            fixcm=False,
            rng=np.random.default_rng(0),
        )
    else:
        dynamics = IsotropicMTKNPT(
            atoms,
            5 * units.fs,
            temperature_K=30,
            pressure_au=0.0,
            tdamp=500 * units.fs,
            pdamp=2000 * units.fs,
        )
    volume = atoms.get_volume()
    dynamics.run(50)
    assert np.isfinite(atoms.get_total_energy())
    assert 5 < atoms.get_temperature() < 60
    assert (atoms.get_volume() != volume) == (kind == "NPT")
