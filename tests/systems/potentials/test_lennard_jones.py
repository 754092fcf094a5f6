"""Lennard-Jones: ASE's energies, forces and stresses; gradients; smooth ends; ensembles; lists that
are kept."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.lj import LennardJones as AseLennardJones

from systems.neighbors.cells import cell_list
from systems.neighbors.lists import NeighborList
from systems.potentials.lennard_jones import LennardJones
from systems.system import System

TRUNCATIONS = pytest.mark.parametrize("truncation", ["force-shift", "switch", "shift"])
ARGON = {"epsilon": 0.0103, "sigma": 3.4}


def crystal(seed: int = 0, repeat: int = 2, pbc: Any = (True, True, True)) -> System:
    """Rattled argon in a strained cell."""
    atoms = bulk("Ar", "fcc", 5.3, cubic=True) * (repeat, repeat, repeat)
    stream = np.random.default_rng(seed)
    strain = np.eye(3) + stream.uniform(-0.05, 0.05, (3, 3))
    system = System.create(atoms.positions @ strain + stream.normal(0, 0.1, atoms.positions.shape))
    return replace(system, cell=np.array(atoms.cell) @ strain, pbc=pbc)


def tensors(system: System) -> System:
    return system.map(torch.as_tensor)


@pytest.mark.parametrize("pbc", [(True, True, True), (False, False, False), (True, False, True)])
@pytest.mark.parametrize("truncation", ["switch", "shift"])
def test_ases_numbers(truncation: Any, pbc: Any) -> None:
    """Its smooth=True is our switch. Energies [n], forces, and stress where there is a volume."""
    from ase import Atoms

    system = crystal(pbc=pbc)
    own = LennardJones(**ARGON, cutoff=7.0, truncation=truncation, onset=5.0)(system)
    atoms = Atoms(f"Ar{system.n_particles}", system.positions, cell=system.cell, pbc=pbc)
    atoms.calc = AseLennardJones(**ARGON, rc=7.0, ro=5.0, smooth=truncation == "switch")
    assert own.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(own.forces, atoms.get_forces(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(own.energies, atoms.get_potential_energies(), rtol=0, atol=1e-13)
    if all(pbc):
        assert own.stress is not None
        np.testing.assert_allclose(own.stress, atoms.get_stress(voigt=False), rtol=0, atol=1e-14)
    else:
        assert own.stress is None


@TRUNCATIONS
def test_tensors_have_the_same_numbers(truncation: Any) -> None:
    system, potential = crystal(1), LennardJones(**ARGON, truncation=truncation)
    fast, slow = potential(system), potential(tensors(system))
    for name in ("energy", "forces", "stress", "energies"):
        np.testing.assert_allclose(
            getattr(slow, name), getattr(fast, name), rtol=1e-12, atol=1e-15, err_msg=name
        )


@TRUNCATIONS
def test_forces_and_stress_are_gradients(truncation: Any) -> None:
    """By autograd of the energy: of the positions, and of a strain of positions and cell."""
    system, potential = tensors(crystal(2)), LennardJones(**ARGON, truncation=truncation)
    x, strain = (
        system.positions.clone().requires_grad_(),
        torch.eye(3, dtype=torch.float64, requires_grad=True),
    )
    evaluation = potential(replace(system, positions=x @ strain, cell=system.cell @ strain))
    gradient, by_strain = torch.autograd.grad(evaluation.energy, [x, strain])
    np.testing.assert_allclose(evaluation.forces.detach(), -gradient, rtol=0, atol=1e-14)
    size = abs(torch.linalg.det(system.cell))
    np.testing.assert_allclose(evaluation.stress.detach(), by_strain / size, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("truncation", "smooth"), [("force-shift", True), ("switch", True), ("shift", False)]
)
def test_the_end_is_smooth(truncation: Any, smooth: bool) -> None:
    """Just inside the cutoff, energy is almost zero and, but for "shift", force too."""
    potential = LennardJones(truncation=truncation, cutoff=2.0)
    r = 2.0 - 1e-5
    evaluation = potential(System.create([[0.0, 0, 0], [r, 0, 0]]))
    assert abs(evaluation.energy) < 2e-6
    assert (abs(evaluation.forces).max() < 1e-3) == smooth
    beyond = potential(System.create([[0.0, 0, 0], [2.0 + 1e-9, 0, 0]]))
    assert beyond.energy == 0.0
    assert (beyond.forces == 0.0).all()


def test_a_pair_at_its_best() -> None:
    """At 2^(1/6) sigma the bare energy is -epsilon; force-shift lifts it by what the line there
    is."""
    r = 2.0 ** (1 / 6)
    bare = LennardJones(truncation="shift", cutoff=50.0)(System.create([[0.0, 0, 0], [r, 0, 0]]))
    assert bare.energy == pytest.approx(-1.0, rel=1e-8)
    np.testing.assert_allclose(bare.forces, 0.0, atol=1e-12)


def test_an_ensemble_is_its_systems() -> None:
    """With shared or with own cells, and each with a list of its own."""
    one, two = crystal(3), crystal(4)
    both = System(
        np.stack([one.positions, two.positions]),
        np.zeros((2, 32, 3)),
        one.masses,
        one.species,
        np.zeros((2, 32)),
        np.stack([one.cell, two.cell]),
        one.pbc,
    )
    potential = LennardJones(**ARGON)
    for kind in (lambda s: s, tensors):
        together, apart = (
            potential(kind(both)),
            [LennardJones(**ARGON)(kind(s)) for s in (one, two)],
        )
        for name in ("energy", "forces", "stress", "energies"):
            np.testing.assert_array_equal(
                getattr(together, name), np.stack([getattr(e, name) for e in apart])
            )


def test_the_list_is_kept_until_a_pair_could_be_missing() -> None:
    system, near = crystal(5), NeighborList(5.0, skin=1.0)
    first = near(*system.geometry)
    still = replace(system, positions=system.positions + 0.49 * np.array([1.0, 0, 0]))
    assert near(*still.geometry) is first
    assert near.n_built == 1
    moved = system.positions.copy()
    moved[7] += [0.0, 0.51, 0.0]
    assert near(moved, system.cell, system.pbc) is not first
    # the cell's motion counts too: what was 6 away is 5.4, then 4.98
    for factor, n in ((0.9, 2), (0.83, 3)):
        near(moved * factor, system.cell * factor, system.pbc)
        assert near.n_built == n


@pytest.mark.parametrize("kind", ["NumPy", "torch"])
def test_arrays_may_be_changed_in_place(kind: str) -> None:
    """The list's reference is its own: a pair that comes near in place is found."""
    system = System.create([[0.0, 0, 0], [6.0, 0, 0]])
    system = system if kind == "NumPy" else tensors(system)
    potential = LennardJones()
    assert float(potential(system).energy) == 0.0
    system.positions[1, 0] = 1.2
    assert float(potential(system).energy) == pytest.approx(float(LennardJones()(system).energy))
    assert float(potential(system).energy) < -0.5


def test_bits_do_not_depend_on_the_list() -> None:
    """One that was made long ago, for other positions, gives the same numbers as one that is
    new."""
    stream, system = np.random.default_rng(0), crystal(0, repeat=3)
    old = LennardJones(**ARGON)
    for _ in range(40):
        system = replace(
            system, positions=system.positions + stream.normal(0, 0.03, system.positions.shape)
        )
        one, other = old(system), LennardJones(**ARGON)(system)
        for name in ("energy", "forces", "stress", "energies"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    with old.lists() as lists:
        assert 1 < lists[0].n_built < 40


@pytest.mark.parametrize("seed", range(3))
def test_a_skin_never_misses_a_pair(seed: int) -> None:
    """Through a walk of positions and of the cell."""
    stream, system, near = np.random.default_rng(seed), crystal(seed), NeighborList(5.0, skin=0.8)
    for _ in range(300):
        strain = np.eye(3) + stream.normal(0, 0.004, (3, 3))
        system = replace(
            system,
            positions=system.positions @ strain + stream.normal(0, 0.05, system.positions.shape),
            cell=system.cell @ strain,
        )
        held, wanted = near(*system.geometry), cell_list(*system.geometry, 5.0)
        there = set(zip(held.i.tolist(), held.j.tolist(), *held.shift.T.tolist(), strict=True))
        assert (
            set(zip(wanted.i.tolist(), wanted.j.tolist(), *wanted.shift.T.tolist(), strict=True))
            <= there
        )
    assert 5 < near.n_built < 290


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epsilon": 0.0}, "epsilon and sigma must be positive"),
        ({"sigma": -1.0}, "epsilon and sigma must be positive"),
        ({"cutoff": -1.0}, "cutoff"),
        ({"skin": -0.5}, "the skin must not be negative, not -0.5"),
        (
            {"onset": 3.0},
            "the onset of switching must lie between zero and the cutoff 2.5, not at 3.0",
        ),
        ({"truncation": "none"}, "truncation is one of force-shift, switch, shift, not 'none'"),
    ],
)
def test_refusals(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        LennardJones(**options)
