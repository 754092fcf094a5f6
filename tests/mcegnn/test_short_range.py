"""Atoms that are pressed together: whatever the network has learned, the energy rises; and above
the nearest distances it is its own."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from mcegnn import PotentialCalculator
from mcegnn.compiled.potential import MessagePassing
from mcegnn.data.labelled import from_file
from mcegnn.models.packing import packed
from mcegnn.models.potential import ConservativePotential
from mcegnn.models.store import Stored, load, save
from mcegnn.nn.repulsion import WIDTH, Repulsion
from mcegnn.training.nearest import nearest_distances
from systems.neighbors.nearest import NearPairWarning
from systems.potentials.committee import Committee
from systems.sources.atoms import from_atoms
from systems.system import System

few = settings(deadline=None, max_examples=15)
elements = st.integers(1, 95)
CRYSTALS = {
    "Mo": bulk("Mo", cubic=True, a=3.16) * (2, 1, 1),
    "Cu": bulk("Cu", cubic=True),
    "ethanol": molecule("CH3CH2OH"),
}


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Tiny models run in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def potential(species: list[int], seed: int, **options: Any) -> ConservativePotential:
    """Of random weights, in float64."""
    torch.manual_seed(seed)
    small: dict[str, Any] = {
        "n_features": 12,
        "n_channels": (3, 2),
        "n_couplings": 2,
        "n_layers": 2,
        "n_radial": 5,
        "cutoff": 5.0,
    }
    return (
        ConservativePotential(species, **{**small, "periodic": True, **options})
        .double()
        .requires_grad_(False)
    )


def energies(model: Any, systems: list[System]) -> np.ndarray:
    """By torch, whose function the compiled kernels are held to elsewhere."""
    return np.array([float(model.differentiated(one).energy) for one in systems])


def dimers(numbers: tuple[int, int], distances: np.ndarray) -> list[System]:
    return [
        from_atoms(Atoms(numbers, [[0, 0, 0], [0.48 * r, 0.6 * r, 0.64 * r]])) for r in distances
    ]


def pressed(system: System, i: int, j: int, distances: np.ndarray) -> list[System]:
    """The system with two atoms (the nearest images of each other) moved along their line, both as
    far, the others where they are."""
    offset = system.positions[j] - system.positions[i]
    if system.cell is not None:
        offset = offset - np.round(offset @ np.linalg.inv(system.cell)) @ system.cell
    middle, unit = system.positions[i] + 0.5 * offset, offset / np.linalg.norm(offset)
    made = []
    for r in distances:
        x = system.positions.copy()
        x[i], x[j] = middle - 0.5 * r * unit, middle + 0.5 * r * unit
        made.append(replace(system, positions=x))
    return made


@given(
    one=elements,
    other=elements,
    nearest=st.floats(0.6, 3.5),
    steep=st.floats(-1e5, 1e5),
    seed=st.integers(0, 10**6),
)
@few
def test_a_pair_of_any_elements_under_any_weights(
    one: int, other: int, nearest: float, steep: float, seed: int
) -> None:
    """Below the distance that is heard last the network says one thing, so the energy rises all the
    way, by more than 5 eV: however ``steep`` what it has learned falls there.
    """
    species = sorted({one, other})
    table = np.full((len(species), len(species)), nearest).tolist()
    model = potential(species, seed, repulsion=True, nearest=table, scale=0.5)
    model.network.readout[2].weight.mul_(steep)
    said = energies(model, dimers((one, other), nearest * np.linspace(1.0 - WIDTH, 0.3, 40)))
    assert (np.diff(said) > 0.0).all()
    assert said[-1] - said[0] > 5.0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CRYSTALS)
def test_a_pair_among_others(name: str, seed: int) -> None:
    """In a crystal and a molecule, of weights as training begins with: from just below the nearest
    distance on."""
    atoms = CRYSTALS[name].copy()
    atoms.rattle(0.05, seed=seed)
    i, j, d = neighbor_list("ijd", atoms, 4.9)
    species = sorted(set(atoms.numbers.tolist()))
    kinds = np.searchsorted(species, atoms.numbers)
    table = np.full((len(species), len(species)), np.inf)
    np.minimum.at(table, (kinds[i], kinds[j]), d)
    table = np.where(np.isfinite(table), table, 0.0)
    model = potential(
        species, seed, repulsion=True, nearest=table.tolist(), n_neighbors=len(d) / len(atoms)
    )
    for a, b in zip(*np.nonzero(np.triu(table)), strict=True):
        k = np.flatnonzero((kinds[i] == a) & (kinds[j] == b) & (d == table[a, b]))[0]
        said = energies(
            model,
            pressed(
                from_atoms(atoms), int(i[k]), int(j[k]), table[a, b] * np.linspace(0.95, 0.3, 30)
            ),
        )
        assert (np.diff(said) > 0.0).all()
        assert said[-1] - said[0] > 5.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_changed_at_distances_of_training(dtype: Any) -> None:
    """To the last bit, so that what is learned and how well does not depend on the repulsion."""
    atoms = bulk("Mo", cubic=True, a=3.16) * 2
    atoms.rattle(0.05, seed=1)
    shortest = neighbor_list("d", atoms, 4.0).min()
    system = from_atoms(atoms)
    plain, guarded = (
        potential([42], 3, **more)
        for more in ({}, {"repulsion": True, "nearest": [[float(shortest)]]})
    )
    for one, other in (
        (plain.differentiated, guarded.differentiated),
        (MessagePassing(packed(plain), dtype=dtype), MessagePassing(packed(guarded), dtype=dtype)),
    ):
        np.testing.assert_array_equal(one(system).energies, other(system).energies)
        np.testing.assert_array_equal(one(system).forces, other(system).forces)


@pytest.mark.parametrize("share", [1.0, 1.0 - WIDTH])
def test_forces_join_smoothly(share: float) -> None:
    """Slopes of the force are the same on both sides of where the network hears less, and of where
    it hears no more."""
    model, at, h = (
        potential([6, 8], 0, repulsion=True, nearest=[[1.3, 1.2], [1.2, 1.3]]),
        1.2 * share,
        1e-5,
    )
    forces = [
        model.differentiated(one).forces[1] @ [0.48, 0.6, 0.64]
        for one in dimers((6, 8), at + h * np.arange(-2, 3))
    ]
    below, above = (forces[2] - forces[0]) / (2 * h), (forces[4] - forces[2]) / (2 * h)
    np.testing.assert_allclose(below, above, rtol=0, atol=0.05 * (abs(below) + 1.0))
    np.testing.assert_allclose(forces[1], (forces[0] + forces[2]) / 2, atol=1e-6)


def random_structures(seed: int) -> list[Atoms]:
    stream = np.random.default_rng(seed)
    made = [ase.io.read(Path(__file__).parents[1] / "cases" / "cuau.xyz", index=0)]
    for _ in range(6):
        n, cell = int(stream.integers(1, 8)), stream.normal(size=(3, 3)) + 4.0 * np.eye(3)
        pbc = stream.random(3) < 0.5
        atoms = Atoms(
            stream.choice([1, 8, 29, 79], n), stream.random((n, 3)) * 4.0, cell=cell, pbc=pbc
        )
        made.append(atoms)
    return made


@pytest.mark.parametrize("seed", range(6))
def test_nearest_distances_are_ases(seed: int, tmp_path: Path) -> None:
    """Of random structures, periodic in some directions, images of an atom among its neighbours."""
    from ase.calculators.singlepoint import SinglePointCalculator

    structures, species, cutoff = random_structures(seed), [79, 8, 1, 29], 3.0
    least = {}
    for atoms in structures:
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((len(atoms), 3)))
        for a, b, d in zip(*neighbor_list("ijd", atoms, cutoff), strict=True):
            pair = tuple(sorted(atoms.numbers[[a, b]].tolist()))
            least[pair] = min(d, least.get(pair, np.inf))
    ase.io.write(tmp_path / "some.xyz", structures)
    found = nearest_distances(from_file(tmp_path / "some.xyz"), species, cutoff)
    for a, one in enumerate(species):
        for b, other in enumerate(species):
            np.testing.assert_allclose(
                found[a, b], least.get(tuple(sorted((one, other))), 0.0), rtol=1e-6
            )  # digits of the file


def test_pairs_that_training_has_nowhere_or_far() -> None:
    """They end at the sum of covalent radii, or where the atoms touch: nothing repels atoms at four
    Angstrom."""
    model = ConservativePotential(
        [6, 8], repulsion=True, nearest=[[4.6, 0.0], [0.0, 1.3]], cutoff=5.0
    )
    assert model.repulsion is not None
    _, _, ends, _ = model.repulsion.tables()
    np.testing.assert_allclose(ends, [[2 * 1.77, 0.76 + 0.66], [0.76 + 0.66, 1.3]])
    assert float(model.differentiated(dimers((6, 6), np.array([4.0]))[0]).energy) == pytest.approx(
        float(model.differentiated(dimers((6, 6), np.array([3.6]))[0]).energy), abs=1e-5
    )


def test_the_tables_survive_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    hyperparameters = {
        "species": [6, 8],
        "repulsion": True,
        "nearest": [[1.3, 1.2], [1.2, 0.0]],
        "n_layers": 1,
    }
    save(Stored.make("ConservativePotential", hyperparameters), tmp_path / "m.safetensors")
    again: Any = load(tmp_path / "m.safetensors").model
    np.testing.assert_array_equal(again.nearest, [[1.3, 1.2], [1.2, 0.0]])
    with pytest.raises(ValueError, match="the same from both sides"):
        ConservativePotential([6, 8], nearest=[[1.0, 2.0], [2.5, 1.0]])


def test_python_is_warned_once() -> None:
    """By a potential, as an ASE calculator too, naming elements, numbers and distances; an ensemble
    and a committee tell of each system."""
    model = potential([6, 8], 0, repulsion=True, nearest=[[1.3, 1.2], [1.2, 1.3]])
    atoms = Atoms("CO", [[0, 0, 0], [0, 0, 1.1]])
    atoms.calc = PotentialCalculator(model)
    with pytest.warns(
        NearPairWarning,
        match="C 0 and O 1 are 1.1 Angstrom apart, in training never nearer than 1.2 Angstrom",
    ):
        atoms.get_potential_energy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.positions[1, 2] = 1.05
        atoms.get_potential_energy()
    near, far = from_atoms(atoms), from_atoms(Atoms("CO", [[0, 0, 0], [0, 0, 1.5]]))
    both = replace(
        near,
        positions=np.stack([far.positions, near.positions]),
        momenta=np.zeros((2, 2, 3)),
        charges=np.zeros((2, 2)),
    )
    wider = potential([6, 8], 1, nearest=[[1.3, 1.4], [1.4, 1.3]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearPairWarning)
        said, together = model(both).closest, Committee([model, wider])(both).closest
    np.testing.assert_allclose(said, [[1.0, -1.0, -1.0, 0.0], [1.05 / 1.2, 0.0, 1.0, 1.2]])
    np.testing.assert_allclose(together, [[1.0, -1.0, -1.0, 0.0], [1.05 / 1.4, 0.0, 1.0, 1.4]])


def test_the_wall_grows_with_the_forces_of_training() -> None:
    """And is there where all of them are small."""
    walls = [
        Repulsion([3], np.array([[2.0]]), force=force).tables()[3][0, 0]
        for force in (0.0, 1.0, 2.0)
    ]
    assert walls[0] > 15.0
    model = potential([3], 0, repulsion=True, nearest=[[2.3]])  # whose nuclei are hardly felt there
    ends = energies(model, dimers((3, 3), 2.3 * np.array([0.9, 0.8])))
    assert ends[1] - ends[0] > 2.3  # before a run is stopped
    assert walls[2] - walls[1] == pytest.approx(walls[1] - walls[0])
