"""What is said of labelled structures before training: known numbers, spoilt data that are found,
and silence where data are right."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mcegnn.data.assembly import join_datasets
from mcegnn.data.consistency import unit_warnings
from mcegnn.data.dataset import Dataset
from mcegnn.data.label_targets import with_labels
from mcegnn.data.labelled import named
from mcegnn.data.statistics import nearest_distances, outliers, reference_energies, summary

MOLECULES = [
    "aspirin",
    "azobenzene",
    "benzene",
    "ethanol",
    "malonaldehyde",
    "naphthalene",
    "paracetamol",
    "salicylic",
    "toluene",
    "uracil",
]
KCAL = 23.0605
HARTREE, BOHR = 27.2114, 0.529177


def of_atoms(frames: list[Atoms]) -> Dataset:
    """Structures of ASE's atoms, without labels."""
    parts = [
        with_labels(
            Dataset(
                np.array([0, len(atoms)]),
                atoms.numbers,
                atoms.positions,
                cell=np.array(atoms.cell)[None],
                pbc=atoms.pbc[None],
            ),
            energy=np.zeros(1),
            forces=np.zeros((len(atoms), 3)),
        )
        for atoms in frames
    ]
    return join_datasets(parts)


def springs(n: int = 60, amplitude: float = 0.05, turned: bool = True) -> Dataset:
    """Water of springs between all atoms, shaken: exact energies and forces, each molecule turned
    and shifted at random."""
    rng = np.random.default_rng(6)
    atoms = molecule("H2O")
    x = atoms.positions + amplitude * rng.normal(size=(n, 3, 3))
    if turned:
        x = np.einsum("kij,kaj->kai", Rotation.random(n, rng=rng).as_matrix(), x) + rng.normal(
            size=(n, 1, 3)
        )
    i, j = np.triu_indices(3, 1)
    offset = x[:, j] - x[:, i]
    length = np.linalg.norm(offset, axis=-1)
    stretch = length - np.linalg.norm(atoms.positions[j] - atoms.positions[i], axis=-1)
    pull = 30.0 * (stretch / length)[..., None] * offset
    forces = np.zeros_like(x)
    for k in range(3):
        forces[:, i[k]] += pull[:, k]
        forces[:, j[k]] -= pull[:, k]
    return with_labels(
        Dataset(np.arange(n + 1) * 3, np.tile(atoms.numbers, n), x.reshape(-1, 3)),
        energy=15.0 * (stretch**2).sum(-1) - 470.0,
        forces=forces.reshape(-1, 3),
    )


def copper(n: int = 40) -> Dataset:
    """Copper's cells, shaken about one place each, by EMT; each is shifted and wrapped back."""
    rng, frames = np.random.default_rng(7), []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        atoms.positions += 0.05 * rng.normal(size=(32, 3)) + rng.normal(size=3)
        atoms.wrap()
        frames.append(atoms)
    labels = []
    for atoms in frames:
        atoms.calc = EMT()
        labels.append((atoms.get_potential_energy(), atoms.get_forces()))
    return of_atoms(frames).with_values(
        energy=np.array([e for e, _ in labels]),
        forces=np.concatenate([f for _, f in labels]),
    )


@given(st.integers(0, 2**32 - 1))
def test_reference_energies_are_found_again(seed: int) -> None:
    """Of energies that are sums of atoms', exactly; of what is beyond them, what is at right angles
    to the composition is left."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 9, 20)
    parts = [
        with_labels(
            Dataset(np.array([0, k]), rng.choice([1, 6, 8], k), rng.normal(size=(k, 3))),
            forces=rng.normal(size=(k, 3)),
            energy=np.zeros(1),
        )
        for k in sizes
    ]
    found, species, true = join_datasets(parts), np.array([8, 1, 6]), rng.normal(size=3) * 100
    counts = found.composition(species)
    np.testing.assert_allclose(
        reference_energies(found.with_values(energy=counts @ true), species), true, atol=1e-9
    )
    noise = rng.normal(size=20)
    left = (
        counts @ true
        + noise
        - counts @ reference_energies(found.with_values(energy=counts @ true + noise), species)
    )
    np.testing.assert_allclose(counts.T @ left, 0.0, atol=1e-9)


def test_reference_energies_of_one_composition_are_the_shortest() -> None:
    found = springs()
    energies = reference_energies(found, np.array([1, 8]))
    # along the composition (2, 1), so that both have their share
    np.testing.assert_allclose(
        energies, found["energy"].mean() * np.array([2.0, 1.0]) / 5.0, rtol=1e-12
    )


def test_nearest_distances_are_ases() -> None:
    slab, chain = bulk("Cu", cubic=True), Atoms("C", cell=[1.3, 0, 0], pbc=(True, False, False))
    slab.set_pbc((True, True, False))
    skewed = Atoms(
        "NaCl",
        scaled_positions=[[0.05, 0.1, 0.9], [0.9, 0.95, 0.15]],
        cell=[[4, 0, 0], [3, 4, 0], [2, 3, 5]],
        pbc=True,
    )
    frames = [
        molecule("CH3CH2OH"),
        bulk("Cu"),
        slab,
        chain,
        skewed,
        molecule("H2"),
        bulk("Cu", cubic=True) * (6, 6, 6),
    ]
    frames[-1].set_pbc(False)  # many atoms in free space
    frames[-1].rattle(0.1, seed=1)
    expected = [neighbor_list("d", atoms, 4.0).min() for atoms in frames]
    np.testing.assert_allclose(
        nearest_distances(of_atoms([*frames, Atoms("He")])), [*expected, np.inf], rtol=1e-12
    )


def test_a_cell_without_volume_is_named() -> None:
    with pytest.raises(ValueError, match="structure 1: the cell has no volume"):
        nearest_distances(
            of_atoms([bulk("Cu"), Atoms("Cu", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True)])
        )


def test_summary_of_known_numbers() -> None:
    mixed = of_atoms([molecule("H2O"), Atoms("H"), bulk("Cu", "fcc", 4.0)])
    forces = np.zeros((5, 3))
    forces[0] = [0.0, 3.0, 4.0]
    stresses = mixed["stress"].copy()
    stresses[2] = 0.0
    rows = dict(summary(mixed.with_values(forces=forces, stress=stresses)))
    assert rows == {
        "structures": "3",
        "atoms per structure": "1 to 3",
        "atoms of elements": "H 3, O 1, Cu 1",
        "periodic": "1 of 3",
        "energy less that of its atoms": "0 eV/atom mean, 0 to 0",
        "forces": "1.291 eV/Angstrom rms, 5 the largest",
        "nearest atoms": "0.969 Angstrom",
        "stress": "1 of 3",
    }
    rows = dict(summary(of_atoms([Atoms("He")])))
    assert rows["nearest atoms"] == "single atoms only"
    assert rows["stress"] == rows["periodic"] == "no"
    pair = of_atoms([molecule("H2O")] * 2).with_values(energy=np.array([-9.0, -12.0]))
    assert dict(summary(pair))["energy less that of its atoms"] == "0.5 eV/atom mean, -0.5 to 0.5"


def test_summary_of_ethanol(data: Path) -> None:
    rows = dict(summary(named("rmd17:ethanol").structures))
    assert rows["atoms of elements"] == "H 6,000, C 2,000, O 1,000"
    assert rows["forces"].startswith("1.195 eV")
    assert rows["atoms per structure"] == "9"


@pytest.mark.parametrize(
    "name",
    [
        *(f"rmd17:{name}" for name in MOLECULES),
        "crystals/mlearn_Mo_training.xyz",
        "crystals/mlearn_Mo_test.xyz",
    ],
)
def test_nothing_is_said_of_published_data(data: Path, name: str) -> None:
    found = named(name if ":" in name else str(data / name))
    for structures in (found.structures, *([found.test] if found.test is not None else [])):
        assert outliers(structures) == []
        for n in (len(structures), 60):
            assert unit_warnings(structures.take(slice(0, n))) == []


# factors of energies and of forces, and what is said
SPOILT: dict[str, tuple[float, float, str]] = {
    "energies kcal/mol": (KCAL, 1.0, "the energies were in kcal/mol"),
    "energies Hartree": (1 / HARTREE, 1.0, "the energies were in Hartree"),
    "forces kcal/mol": (1.0, KCAL, "the forces were in kcal/mol/Angstrom"),
    "forces atomic": (1.0, BOHR / HARTREE, "the forces were in Hartree/Bohr"),
    "both atomic": (1 / HARTREE, BOHR / HARTREE, "all in Hartree and Bohr"),
    "gradients": (1.0, -1.0, "gradients rather than forces"),
    "energies upside down": (-1.0, 1.0, "gradients rather than forces"),
    "gradients kcal/mol": (1.0, -KCAL, "the forces were in kcal/mol/Angstrom"),
    "forces 100": (1.0, 100.0, "0.01 times the work"),
    "forces 0.01": (1.0, 0.01, "100 times the work"),
    "energies 100": (100.0, 1.0, "100 times the work"),
    "energies 0.01": (0.01, 1.0, "0.01 times the work"),
    "seven": (7.0, 1.0, "7 times the work of the forces; convert both to eV and Angstrom"),
}


@pytest.mark.parametrize("case", SPOILT)
@pytest.mark.parametrize("kind", [springs, copper])
def test_wrong_units_are_found(case: str, kind: Any) -> None:
    of_energies, of_forces, words = SPOILT[case]
    right = kind()
    assert unit_warnings(right) == []
    told = " ".join(
        unit_warnings(
            right.with_values(
                energy=of_energies * right["energy"], forces=of_forces * right["forces"]
            )
        )
    )
    if "times" in words:  # the factor is known to some per cent
        factor = float(told.split("change by ")[1].split()[0])
        assert factor == pytest.approx(float(words.split()[0]), rel=0.05)
    else:
        assert words in told


@pytest.mark.parametrize(
    "name", [*(f"rmd17:{name}" for name in MOLECULES), "crystals/mlearn_Mo_training.xyz"]
)
def test_spoilt_published_data_are_found(data: Path, name: str) -> None:
    right = named(name if ":" in name else str(data / name)).structures.take(slice(0, 300))
    for factor in (KCAL, 1 / KCAL, -1.0, 100.0, 0.01):
        assert "energies" in unit_warnings(right.with_values(forces=factor * right["forces"]))[-1]
        assert "energies" in unit_warnings(right.with_values(energy=factor * right["energy"]))[-1]
    shuffled = np.random.default_rng(1).permutation(right["energy"])
    assert "do not follow the forces" in unit_warnings(right.with_values(energy=shuffled))[-1]
    # a part of it in kcal/mol
    forces = right["forces"].copy()
    forces[: right.starts[5]] *= KCAL
    told = outliers(right.with_values(forces=forces))
    assert told
    assert all("in other units?" in line and int(line.split()[1][:-1]) < 5 for line in told)


def test_energies_of_other_structures_are_found() -> None:
    for right in (springs(200), copper(60)):
        rolled = right.with_values(energy=np.roll(right["energy"], 1))
        assert "energies do not follow the forces" in " ".join(unit_warnings(rolled))
    same = springs().with_values(energy=np.full(60, -470.0))
    assert "energies of near structures are the same" in unit_warnings(same)[-1]


def test_a_few_wrong_labels_change_no_verdict() -> None:
    right = springs()
    energies = right["energy"].copy()
    energies[:3] += 1000.0
    assert unit_warnings(right.with_values(energy=energies)) == []


def test_everything_in_kcal_is_found_by_its_forces(data: Path) -> None:
    right = named("rmd17:aspirin").structures
    told = unit_warnings(
        right.with_values(energy=KCAL * right["energy"], forces=KCAL * right["forces"])
    )
    assert len(told) == 1
    assert "29" in told[0] or "28.6" in told[0]
    assert "kcal/mol" in told[0]


def test_no_forces_at_all() -> None:
    told = unit_warnings(springs().with_values(forces=np.zeros((180, 3))))
    assert told == [
        "forces of 0 eV/Angstrom rms are nearly zero; convert them if in other units, or add"
        " structures off equilibrium"
    ]


def test_nothing_is_said_where_nothing_can_be_compared() -> None:
    """Few structures, structures far from one another, copies, and structures of different atoms,
    orders or cells."""
    wrong = springs().with_values(energy=KCAL * springs()["energy"])
    assert unit_warnings(wrong) != []
    assert unit_warnings(wrong.take(slice(0, 8))) == []
    apart = springs(40, amplitude=1.5)
    assert (
        unit_warnings(
            apart.with_values(energy=KCAL * apart["energy"], forces=0.1 * apart["forces"])
        )
        == []
    )
    copies = wrong.take(np.zeros(60, dtype=int))
    assert unit_warnings(copies) == []
    alone = replace(wrong, species=np.arange(180) % 90 + 1)
    assert (
        unit_warnings(replace(alone, species=np.random.default_rng(0).integers(1, 119, 180))) == []
    )
    cells = copper()
    stretched = replace(
        cells.with_values(energy=KCAL * cells["energy"]),
        cell=cells.cells * np.linspace(1.0, 1.5, 40)[:, None, None],
    )
    assert unit_warnings(stretched) == []


def test_outliers_are_named() -> None:
    right = springs(100)
    assert outliers(right) == []
    energies, forces = right["energy"].copy(), right["forces"].copy()
    positions = right.positions.copy()
    energies[17] = np.median(energies) + 5.0
    forces[3 * 40 : 3 * 41] *= 1000.0
    positions[3 * 66 + 1] = positions[3 * 66] + [0.3, 0.0, 0.0]
    told = outliers(replace(right.with_values(energy=energies, forces=forces), positions=positions))
    assert [line.split(":")[0] for line in told] == ["structure 17", "structure 40", "structure 66"]
    assert "its energy is 1.67 eV/atom off" in told[0]
    assert "in other units?" in told[1]
    assert "two atoms are 0.300 Angstrom apart" in told[2]


def test_many_outliers_are_counted() -> None:
    right = springs(100)
    energies = right["energy"].copy()
    energies[:30] += 10.0
    told = outliers(right.with_values(energy=energies))
    assert len(told) == 11
    assert told[-1] == "and 20 more"
    assert told[0].startswith("structure 0:")


def test_one_bad_energy_does_not_hide_or_blame_others() -> None:
    """Of several compositions a fit leans towards what is far off."""
    water, hydrogen = springs(40, turned=False), of_atoms([molecule("H2")] * 3)
    mixed = join_datasets([water, hydrogen.with_values(energy=np.array([-30.0, -30.01, 1e5]))])
    assert [line.split(":")[0] for line in outliers(mixed)] == ["structure 42"]


def test_single_atoms_are_no_outliers() -> None:
    """They are not bound, as the others are, and many sets have them for reference."""
    alone = of_atoms([Atoms("H"), Atoms("O")]).with_values(energy=np.array([-13.6, -430.0]))
    assert outliers(join_datasets([alone, springs()])) == []
    assert outliers(alone) == []
