"""The compiled network says what torch's says, whatever the sizes, lists and threads; and its
forces are its energy's gradient."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from mcegnn.compiled import potential as compiled
from mcegnn.compiled import workspaces
from mcegnn.compiled.potential import MessagePassing
from mcegnn.models.packing import packed
from mcegnn.models.potential import ConservativePotential
from systems.system import System
from systems.units import METAL

pytestmark = pytest.mark.filterwarnings("ignore::systems.neighbors.nearest.NearPairWarning")
REFERENCES = (-13.0, -1000.0, -2000.0, -500.0)
# of oxygen, hydrogen, carbon, molybdenum; hydrogen and molybdenum are nowhere near each other
NEAREST = [
    [1.3, 0.95, 1.2, 1.7],
    [0.95, 1.5, 1.05, 0.0],
    [1.2, 1.05, 1.4, 2.05],
    [1.7, 0.0, 2.05, 2.73],
]
SHORT = {"repulsion": True, "nearest": NEAREST}


def model(**options: Any) -> ConservativePotential:
    """A network of random weights in float64."""
    torch.manual_seed(7)
    known = {
        "cutoff": 5.0,
        "periodic": True,
        "reference_energies": REFERENCES,
        "scale": 1.7,
        "n_neighbors": 12.0,
        "n_layers": 2,
    }
    return ConservativePotential([8, 1, 6, 42], **{**known, **options}).double()


def system(atoms: Atoms, shake: float = 0.1, seed: int = 0) -> System:
    """The atoms, shaken."""
    positions = atoms.positions + np.random.default_rng(seed).normal(0.0, shake, (len(atoms), 3))
    made = replace(
        System.create(positions, species=atoms.numbers, masses=atoms.get_masses()), units=METAL
    )
    return (
        replace(made, cell=np.array(atoms.cell), pbc=tuple(bool(b) for b in atoms.pbc))
        if atoms.pbc.any()
        else made
    )


def metal(repeat: int, *, cubic: bool = True, pbc: Any = True) -> System:
    atoms = bulk("Mo", "bcc", 3.16, cubic=cubic) * (repeat, repeat, repeat)
    atoms.pbc = pbc
    return system(atoms)


ETHANOL = system(molecule("CH3CH2OH"))
CASES = {
    "molecule": (ETHANOL, {}),
    "one layer": (ETHANOL, {"n_layers": 1}),
    "one channel": (ETHANOL, {"n_channels": 1}),
    "vectors alone": (ETHANOL, {"n_channels": 16, "n_layers": 4}),
    "three degrees": (ETHANOL, {"n_channels": (5, 17, 2), "n_layers": 3}),
    "smooth": (ETHANOL, {"smoothness": 0.7, "n_radial": 9}),
    "coupled": (ETHANOL, {"n_channels": (16, 8), "n_couplings": 8, "n_layers": 3}),
    "some coupled": (metal(1), {"n_channels": (9, 20, 5), "n_couplings": 3}),
    "coupled, many": (metal(3), {"n_channels": (16, 8), "n_couplings": 6, "n_layers": 3}),
    "one layer coupled": (ETHANOL, {"n_channels": (3, 4), "n_couplings": 2, "n_layers": 1}),
    "few features, much heard": (
        ETHANOL,
        {"n_features": 16, "n_channels": (4, 3, 2), "n_couplings": 2, "n_layers": 3},
    ),
    "few features, many radial functions": (
        ETHANOL,
        {"n_features": 8, "n_channels": 2, "n_radial": 200},
    ),
    "small": (ETHANOL, {"n_channels": 4, "n_features": 32, "n_radial": 5}),
    "many features": (ETHANOL, {"n_features": 100, "n_channels": (40, 20)}),
    "repulsion": (
        system(Atoms("CHOMo", [[0, 0, 0], [0.5, 0, 0], [0, 0.9, 0], [0, 0, 2.0]]), 0.02),
        {"repulsion": True},
    ),
    "short range": (
        system(Atoms("CHOMo", [[0, 0, 0], [0.5, 0, 0], [0, 0.9, 0], [0, 0, 2.0]]), 0.02),
        SHORT,
    ),
    "short range in a crystal": (metal(2), SHORT),
    "nearest alone": (metal(2), {"nearest": NEAREST}),
    "alone": (system(Atoms("O")), {}),
    "beyond the cutoff": (system(Atoms("OH", [[0, 0, 0], [0, 0, 5.3]]), 0.0), {}),
    "one far atom": (system(Atoms("OHC", [[0, 0, 0], [0, 0, 1.3], [20, 0, 0]])), {}),
    "images of itself": (metal(1, cubic=False), {}),
    "small cell": (metal(1), {"n_channels": (4, 4, 4)}),
    "crystal": (metal(3), {}),
    "parts": (metal(4), {}),
    "slab": (metal(3, pbc=(True, False, True)), {}),
    "cluster": (metal(4, pbc=False), {}),
}


def agree(own: Any, truth: Any, tolerance: float) -> None:
    size = abs(truth.energies - np.mean(truth.energies)).max() + abs(truth.forces).max() + 1.0
    np.testing.assert_allclose(own.energies, truth.energies, rtol=1e-13, atol=tolerance * size)
    np.testing.assert_allclose(
        own.forces, truth.forces, rtol=0, atol=tolerance * max(abs(truth.forces).max(), 0.1)
    )
    np.testing.assert_allclose(own.energy, own.energies.sum(), rtol=1e-14)
    assert (own.closest is None) == (truth.closest is None)
    if truth.closest is not None:
        np.testing.assert_allclose(own.closest, truth.closest, rtol=1e-12)
    assert (own.stress is None) == (truth.stress is None)
    if truth.stress is not None:
        np.testing.assert_allclose(
            own.stress, truth.stress, rtol=0, atol=tolerance * max(abs(truth.stress).max(), 1e-3)
        )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_torchs_numbers(case: str, dtype: Any, tolerance: float) -> None:
    """Energies, forces and stress; forces sum to zero to the last digits, in float32 too."""
    atoms, options = CASES[case]
    torchs = model(**options)
    own = MessagePassing(packed(torchs), dtype=dtype)(atoms)
    agree(own, torchs.differentiated(atoms), tolerance)
    assert abs(own.forces.sum(0)).max() <= 1e-14 * (1.0 + abs(own.forces).sum())


@pytest.mark.parametrize("case", ["three degrees", "repulsion", "short range", "small cell"])
def test_forces_are_the_gradient(case: str) -> None:
    """Central differences, whose error is of second order in the step."""
    atoms, options = CASES[case]
    potential = MessagePassing(packed(model(**options)), dtype=np.float64)
    direction = np.random.default_rng(1).normal(size=atoms.positions.shape)
    slope = -(potential(atoms).forces * direction).sum()
    errors = []
    for step in (4e-3, 2e-3):
        ends = [
            potential(replace(atoms, positions=atoms.positions + sign * step * direction)).energy
            for sign in (1, -1)
        ]
        errors.append((ends[0] - ends[1]) / (2 * step) - slope)
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, atol=0.3)


def test_stress_is_the_derivative_by_strain() -> None:
    potential = MessagePassing(packed(model()), dtype=np.float64)
    atoms = metal(1)
    strain = np.random.default_rng(2).normal(size=(3, 3))
    strain, step, energies = strain + strain.T, 1e-5, []
    for sign in (1, -1):
        stretch = np.eye(3) + sign * step * strain
        energies.append(
            potential(
                replace(atoms, positions=atoms.positions @ stretch, cell=atoms.cell @ stretch)
            ).energy
        )
    found = potential(atoms)
    assert found.stress is not None
    slope = (found.stress * strain).sum() * abs(np.linalg.det(atoms.cell))
    np.testing.assert_allclose((energies[0] - energies[1]) / (2 * step), slope, rtol=1e-6)


@pytest.mark.parametrize("pbc", [True, False])
def test_a_kept_list_says_what_a_new_one_says(pbc: bool) -> None:
    """Bit for bit, along a walk on which the kept list is made anew at times."""
    network, atoms, rng = packed(model()), metal(4, pbc=pbc), np.random.default_rng(3)
    kept = MessagePassing(network, skin=0.6)
    for _ in range(8):
        atoms = replace(
            atoms, positions=atoms.positions + rng.normal(0.0, 0.04, atoms.positions.shape)
        )
        own, new = kept(atoms), MessagePassing(network, skin=0.0)(atoms)
        np.testing.assert_array_equal(own.forces, new.forces)
        np.testing.assert_array_equal(own.energies, new.energies)
    workspace = kept._workspaces.take()
    assert workspace is not None
    assert 1 < workspace.neighbors.n_built < 8


def test_one_object_serves_many_systems() -> None:
    potential = MessagePassing(packed(model()))
    names = ("molecule", "crystal", "alone", "parts", "cluster", "molecule", "small cell")
    for name in names:
        atoms = CASES[name][0]
        for pbc in (atoms.pbc, (False, False, False)):
            one = replace(atoms, pbc=pbc)
            np.testing.assert_array_equal(
                potential(one).forces, MessagePassing(potential.network)(one).forces
            )


def test_bits_do_not_depend_on_threads() -> None:
    network, atoms = packed(model()), metal(6)
    results = [MessagePassing(network, threads=threads)(atoms) for threads in (1, 2, 3)]
    for other in results[1:]:
        np.testing.assert_array_equal(other.forces, results[0].forces)
        np.testing.assert_array_equal(other.energies, results[0].energies)
        np.testing.assert_array_equal(other.stress, results[0].stress)


def test_what_is_not_kept_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way back needs the way forth, from memory or anew: the same bits."""
    network, atoms, found = packed(model()), metal(3), []
    for kept in (0, 1 << 20, 1 << 25):
        monkeypatch.setattr(workspaces, "_KEPT", kept)
        found.append(MessagePassing(network)(atoms).forces)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_place_that_is_not_a_number_does_no_lasting_harm() -> None:
    potential = MessagePassing(packed(model()))
    before = potential(ETHANOL).forces
    positions = ETHANOL.positions.copy()
    positions[0] = positions[1]
    assert not np.isfinite(potential(replace(ETHANOL, positions=positions)).forces).all()
    np.testing.assert_array_equal(potential(ETHANOL).forces, before)


def test_the_code_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To find the kinds of all arrays takes longer than a call on a small molecule."""
    found, real = [], compiled.addresses
    monkeypatch.setattr(compiled, "addresses", lambda *of: found.append(of) or real(*of))
    potential = MessagePassing(packed(model()))
    for _ in range(3):
        potential(CASES["molecule"][0])
    assert len(found) == 1


def test_refusals() -> None:
    potential = MessagePassing(packed(model(periodic=False)))
    with pytest.raises(ValueError, match="molecules alone"):
        potential(metal(1))
    with pytest.raises(ValueError, match="not trained on He"):
        potential(system(Atoms("He")))
    with pytest.raises(ValueError, match="reduced units"):
        potential(System.create(np.zeros((1, 3)), species=8))


def test_ensembles() -> None:
    potential = MessagePassing(packed(model()))
    positions = ETHANOL.positions + np.random.default_rng(5).normal(0.0, 0.05, (3, 9, 3))
    copies = replace(
        ETHANOL, positions=positions, momenta=0.0 * positions, charges=np.zeros((3, 9))
    )
    said = potential(copies)
    for k in range(3):
        np.testing.assert_array_equal(said.forces[k], potential(copies.copy_of(k)).forces)
