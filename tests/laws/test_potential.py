"""Laws of the energy-conserving potential: derivatives, symmetries, and a smooth end at the
cutoff."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from mcegnn.models.potential import ConservativePotential
from mcegnn.nn.radial import BesselBasis
from systems.sources.atoms import from_atoms
from systems.system import System

CUTOFF = 4.0
seeds = st.integers(0, 10**6)
few = settings(deadline=None, max_examples=8)
pytestmark = pytest.mark.filterwarnings("ignore::systems.neighbors.nearest.NearPairWarning")
# nothing at short range; the older repulsion; that below nearest distances, so long that many pairs
# are below them
NEAREST = [[2.0, 1.15, 1.0, 0.0], [1.15, 1.6, 1.5, 0.0], [1.0, 1.5, 0.0, 0.0], [0.0, 0.0, 0.0, 2.9]]
GUARDS: dict[str, dict[str, Any]] = {
    "none": {},
    "older": {"repulsion": True},
    "own": {"repulsion": True, "nearest": NEAREST},
}


def potential(seed: int = 0, **options: Any) -> ConservativePotential:
    """In float64, its weights so large that all parts of it matter."""
    hyperparameters: dict[str, Any] = {
        "n_features": 16,
        "n_channels": (4, 3, 2),
        "n_couplings": 2,
        "n_layers": 3,
        "n_radial": 6,
        "cutoff": CUTOFF,
        "n_neighbors": 8.0,
        "periodic": True,
    } | options
    model = ConservativePotential([1, 6, 8, 42], **hyperparameters).double()
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            scale = weight.shape[-1] ** -0.5 if weight.ndim == 2 else 0.3
            # what comes in to the third power would make the energy too steep for differences
            scale *= 0.3 if "products" in name or "coupled" in name else 1.0
            if weight is not model.network.basis.frequencies:
                weight.copy_(
                    1.5 * scale * torch.randn(weight.shape, generator=stream, dtype=torch.float64)
                )
    return model.requires_grad_(False)


def ethanol(seed: int) -> System:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=seed % 2**32)
    return from_atoms(atoms)


def crystal(seed: int, repeat: int = 2) -> System:
    """Molybdenum, rattled, in a cell that is strained and skewed."""
    atoms = bulk("Mo", cubic=True) * (repeat, 1, 1)
    stream = np.random.default_rng(seed)
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.05 * stream.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += 0.15 * stream.normal(size=atoms.positions.shape)
    return from_atoms(atoms)


def orthogonal(seed: int) -> np.ndarray:
    """Of O(3), mirrored or not."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


def by_differences(model: ConservativePotential, system: System, h: float = 3e-4) -> np.ndarray:
    """Forces [n, 3] from energies; the step is small, since the third derivative jumps where pairs
    end."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    forces = np.zeros_like(system.positions)
    for at in np.ndindex(*forces.shape):
        for k, w in weights.items():
            energies = []
            for sign in (1, -1):
                x = system.positions.copy()
                x[at] += sign * k * h
                energies.append(model(replace(system, positions=x)).energy)
            forces[at] -= w * (energies[0] - energies[1]) / h
    return forces


@pytest.mark.parametrize("short", GUARDS)
@pytest.mark.parametrize(
    ("n_channels", "n_couplings", "n_layers"),
    [(1, 0, 1), (1, 0, 2), ((4, 2), 0, 3), ((3, 1, 2), 0, 2), ((4, 3), 3, 2), ((3, 2, 2), 2, 2)],
)
def test_forces_are_the_energys_slope(
    short: str, n_channels: Any, n_couplings: int, n_layers: int
) -> None:
    options = {"n_channels": n_channels, "n_couplings": n_couplings, "n_layers": n_layers}
    model, system = potential(**GUARDS[short], **options), ethanol(1)
    forces = model(system).forces
    np.testing.assert_allclose(
        by_differences(model, system, 1e-4), forces, rtol=0, atol=1e-6 * abs(forces).max()
    )


@pytest.mark.parametrize("short", GUARDS)
def test_forces_and_stress_of_a_crystal_are_the_energys_slopes(short: str) -> None:
    model, system = potential(**GUARDS[short]), crystal(2)
    said = model(system)
    np.testing.assert_allclose(
        by_differences(model, system), said.forces, rtol=0, atol=1e-6 * abs(said.forces).max()
    )
    h, slopes = 3e-4, np.zeros((3, 3))
    for at in np.ndindex(3, 3):
        for k, w in {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}.items():
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[at] += sign * k * h
                energies.append(
                    model(
                        replace(
                            system, positions=system.positions @ strain, cell=system.cell @ strain
                        )
                    ).energy
                )
            slopes[at] += w * (energies[0] - energies[1]) / h
    stress = slopes / abs(np.linalg.det(system.cell))
    np.testing.assert_allclose(stress, said.stress, rtol=0, atol=1e-6 * abs(said.stress).max())


@given(seeds, seeds)
@few
def test_turned_mirrored_moved_and_renumbered(seed: int, drawn: int) -> None:
    model, system, turn = potential(seed), ethanol(seed), orthogonal(drawn)
    order = np.random.default_rng(drawn).permutation(system.n_particles)
    moved = from_atoms(
        Atoms(system.species[order], (system.positions @ turn.T + [3.0, -20.0, 0.7])[order])
    )
    one, other = model(system), model(moved)
    np.testing.assert_allclose(other.energy, one.energy, rtol=1e-11)
    np.testing.assert_allclose(
        other.forces, (one.forces @ turn.T)[order], rtol=0, atol=1e-10 * abs(one.forces).max()
    )
    np.testing.assert_allclose(
        other.energies, one.energies[order], rtol=0, atol=1e-11 * abs(one.energies).max()
    )


@given(seeds, seeds)
@few
def test_a_turned_crystal_in_another_cell_of_the_same_lattice(seed: int, drawn: int) -> None:
    model, system, turn = potential(seed), crystal(seed), orthogonal(drawn)
    choice = np.array([[1, 0, 0], [1, 1, 0], [-1, 2, 1]])  # of determinant one
    images = np.random.default_rng(drawn).integers(-2, 3, system.positions.shape)
    x = (system.positions + images @ system.cell) @ turn.T + [0.4, 5.0, -1.0]
    moved = replace(system, positions=x, cell=choice @ system.cell @ turn.T)
    one, other = model(system), model(moved)
    np.testing.assert_allclose(other.energy, one.energy, rtol=1e-11)
    np.testing.assert_allclose(
        other.forces, one.forces @ turn.T, rtol=0, atol=1e-10 * abs(one.forces).max()
    )
    np.testing.assert_allclose(
        other.stress, turn @ one.stress @ turn.T, rtol=0, atol=1e-10 * abs(one.stress).max()
    )


@given(seeds)
@few
def test_a_supercell_is_its_cell_many_times(seed: int) -> None:
    model, system = potential(seed), crystal(seed, repeat=1)
    atoms = Atoms(system.species, system.positions, cell=system.cell, pbc=True)
    larger = from_atoms(
        make_supercell(atoms, [[2, 0, 0], [0, 1, 0], [1, 0, 3]], order="atom-major")
    )
    one, many = model(system), model(larger)
    np.testing.assert_allclose(many.energy, 6 * one.energy, rtol=1e-11)
    np.testing.assert_allclose(
        many.forces, np.repeat(one.forces, 6, 0), rtol=0, atol=1e-10 * abs(one.forces).max()
    )
    np.testing.assert_allclose(many.stress, one.stress, rtol=0, atol=1e-10 * abs(one.stress).max())


@pytest.mark.parametrize("repulsion", [False, True])
def test_the_energy_ends_smoothly_at_the_cutoff(repulsion: bool) -> None:
    """The energy bends by the distance's cube there: its value, slope and second derivative go to
    zero with the third power's order."""
    model = potential(repulsion=repulsion)

    def energy(r: float) -> float:
        return float(model(from_atoms(Atoms("CO", [[0, 0, 0], [0, 0, r]]))).energy)

    far = energy(CUTOFF + 1.0)
    assert energy(CUTOFF) == energy(CUTOFF + 1e-9) == far
    inside = np.array([energy(CUTOFF - step) - far for step in (0.04, 0.02, 0.01)])
    slopes = np.log2(inside[:-1] / inside[1:])
    np.testing.assert_allclose(slopes, 3.0, atol=0.15)


@pytest.mark.parametrize("smoothness", [0.0, 0.5, 2.0])
def test_smoothness_makes_functions_smaller_the_faster_they_vary(smoothness: float) -> None:
    r = torch.linspace(0.5, 3.9, 30, dtype=torch.float64).unsqueeze(-1)
    plain, smooth = (
        BesselBasis(9, CUTOFF, power).double()(r)[0].detach().numpy() for power in (0.0, smoothness)
    )
    np.testing.assert_allclose(smooth, plain * (2.0 / np.arange(1, 10)) ** smoothness, rtol=1e-12)


def test_atoms_beyond_each_others_cutoff_do_not_hear_of_each_other() -> None:
    model, system = potential(), ethanol(3)
    atoms = Atoms(system.species, system.positions)
    both = from_atoms(atoms + Atoms(system.species, system.positions + np.array([30.0, 0, 0])))
    one, two = model(system), model(both)
    np.testing.assert_allclose(two.energy, 2 * one.energy, rtol=1e-12)
    np.testing.assert_allclose(
        two.forces, np.tile(one.forces, (2, 1)), rtol=0, atol=1e-12 * abs(one.forces).max()
    )


def test_a_single_atom_has_its_reference_energy_and_what_the_network_says_of_none() -> None:
    model = potential(reference_energies=[-13.6, -1030.0, -2041.0, -1e5])
    one = model(from_atoms(Atoms("C")))
    np.testing.assert_array_equal(one.forces, 0.0)
    other = potential()(from_atoms(Atoms("C")))
    np.testing.assert_allclose(one.energy, other.energy - 1030.0, rtol=1e-15)


def test_reference_energies_keep_all_of_their_digits() -> None:
    """In float32 the last digit of a hundred thousand eV is worth ten meV."""
    model = potential(reference_energies=[0.0, 0.0, 0.0, -123456.789]).float()
    at = bulk("Mo", cubic=True)
    there, without = (m(from_atoms(at)).energy for m in (model, potential().float()))
    np.testing.assert_allclose(there - without, -2 * 123456.789, rtol=0, atol=1e-9)


def test_the_repulsion_keeps_atoms_apart() -> None:
    """Where nothing was trained the repulsion rules: at a fifth of an Angstrom two carbons repel by
    hundreds of eV."""
    near = from_atoms(Atoms("CC", [[0, 0, 0], [0, 0, 0.2]]))
    torch.manual_seed(0)
    forces = ConservativePotential([6], repulsion=True)(near).forces
    assert forces[1, 2] > 100.0
    assert forces[0, 2] < -100.0


def test_the_repulsion_is_that_of_ziegler_biersack_and_littmark() -> None:
    from mcegnn.nn.repulsion import Repulsion

    strength, length, end, wall = Repulsion([6, 8]).tables()
    np.testing.assert_allclose(strength[0, 1], 14.399645 * 48)
    np.testing.assert_allclose(length[0, 1], 0.4685 / (6**0.23 + 8**0.23))
    np.testing.assert_allclose(end, [[1.52, 1.42], [1.42, 1.32]])
    np.testing.assert_array_equal(wall, 0.0)
