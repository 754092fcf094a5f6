"""Labelled structures: what files hold is what is read, splits and hashes, and what is refused and
how it is said."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.db import connect
from hypothesis import given
from hypothesis import strategies as st

from mcegnn.data.assembly import join_datasets
from mcegnn.data.dataset import Dataset
from mcegnn.data.label_targets import with_labels
from mcegnn.data.labelled import from_file, named, read
from mcegnn.data.rmd17 import rmd17
from mcegnn.data.split import random_split
from mcegnn.data.structures import to_score
from mcegnn.tasks.energies_forces import StructureOptions
from systems.sources.atoms import to_atoms
from systems.units import METAL

KCAL = 0.04336410390059322  # eV, of one kcal/mol as ASE has it
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


def labelled(atoms: Atoms, seed: int = 0, **more: Any) -> Atoms:
    """Atoms with labels of no meaning; a result that is None is taken away."""
    rng = np.random.default_rng(seed)
    results = {"energy": float(rng.normal()), "forces": rng.normal(size=(len(atoms), 3)), **more}
    atoms.calc = SinglePointCalculator(
        atoms, **{name: value for name, value in results.items() if value is not None}
    )
    return atoms


def several() -> list[Atoms]:
    """A molecule, a crystal with a stress, a single atom, a slab."""
    slab = bulk("Cu", cubic=True)
    slab.set_pbc((True, True, False))
    kinds = (molecule("CH3CH2OH"), bulk("NaCl", "rocksalt", 5.64), Atoms("He"), slab)
    return [
        labelled(atoms, k, stress=np.arange(6.0) if k == 1 else None)
        for k, atoms in enumerate(kinds)
    ]


def many(n: int = 30) -> Dataset:
    rng = np.random.default_rng(4)
    parts = [
        with_labels(
            Dataset(np.array([0, k]), np.arange(1, k + 1), rng.normal(size=(k, 3))),
            forces=rng.normal(size=(k, 3)),
            energy=rng.normal(size=1),
        )
        for k in rng.integers(1, 6, n)
    ]
    return join_datasets(parts)


def assert_same(a: Dataset, b: Dataset, atol: float = 0.0) -> None:
    for field in fields(Dataset):
        if field.name == "targets":  # they are compared below
            continue
        one, other = getattr(a, field.name), getattr(b, field.name)
        if not isinstance(one, np.ndarray):
            assert one == other, field.name
            continue
        assert one.dtype == other.dtype, field.name
        np.testing.assert_allclose(one, other, rtol=0, atol=atol, err_msg=field.name)
    assert list(a.targets) == list(b.targets) == ["energy", "forces", "stress"]
    for name, target in a.targets.items():
        assert target[1:] == b.targets[name][1:]
        assert a[name].dtype == b[name].dtype, name
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=atol, err_msg=name)


def assert_holds(found: Dataset, frames: list[Atoms], atol: float = 0.0) -> None:
    """The structures are those that ASE has."""
    assert len(found) == len(frames)
    for k, atoms in enumerate(frames):
        own = slice(found.starts[k], found.starts[k + 1])
        np.testing.assert_array_equal(found.species[own], atoms.numbers)
        np.testing.assert_array_equal(found.periodic[k], atoms.pbc)
        for ours, theirs in (
            (found.positions[own], atoms.positions),
            (found["forces"][own], atoms.get_forces(apply_constraint=False)),
            (found["energy"][k], atoms.get_potential_energy()),
            (found.cells[k], atoms.cell[:]),
            (
                found["stress"][k],
                atoms.get_stress(voigt=False)
                if "stress" in atoms.calc.results
                else np.full((3, 3), np.nan),
            ),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "name", ["set.xyz", "set.extxyz", "set.traj", "set.db", "set.json", "set@home.xyz"]
)
def test_a_file_holds_what_ase_wrote(tmp_path: Path, name: str) -> None:
    frames = several()
    if name.endswith((".db", ".json")):
        with connect(tmp_path / name) as database:
            for atoms in frames:
                database.write(atoms)
    elif "@" in name:
        ase.io.write(tmp_path / "set.xyz", frames)
        (tmp_path / "set.xyz").rename(tmp_path / name)
    else:
        ase.io.write(tmp_path / name, frames)
    found = from_file(tmp_path / name)
    assert_holds(found, frames, atol=1e-7 if "xyz" in name else 0.0)
    assert_holds(
        found.take(slice(None, None, -1)), frames[::-1], atol=1e-7 if "xyz" in name else 0.0
    )
    assert [
        field.name
        for field in fields(found)
        if getattr(getattr(found, field.name), "dtype", np.dtype(float)).kind == "i"
    ] == ["starts", "species"]


def test_what_label_writes_can_be_read(structures: Path, succeed: Callable[..., Any]) -> None:
    copper = (
        "copper.traj",
        "--calculator",
        "emt",
        "--steps",
        20,
        "--every",
        10,
        "--temperature",
        "300 K",
        "-o",
        "train.xyz",
    )
    succeed("label", *copper)
    frames = ase.io.read(structures / "train.xyz", ":")
    assert_holds(from_file(structures / "train.xyz"), frames)
    bulk_copper = labelled(bulk("Cu", cubic=True))
    bulk_copper.rattle(0.05, seed=1)
    ase.io.write(structures / "bulk.xyz", bulk_copper)
    succeed("label", "bulk.xyz", "--calculator", "emt", "-o", "stressed.xyz")
    found = from_file(structures / "stressed.xyz")
    assert abs(found["forces"]).max() > 0.1
    assert np.isfinite(found["stress"]).all()


def test_reference_labels_come_first_and_are_not_mixed(tmp_path: Path) -> None:
    """What a calculator of the file said is another method's, in structures that have no others
    too."""
    frames = several()[1:3]
    frames[0].info["REF_energy"] = -7.5
    frames[0].arrays["REF_forces"] = np.full((2, 3), 0.25)
    ase.io.write(tmp_path / "set.xyz", frames)
    with pytest.raises(
        ValueError,
        match=r"structure 1 of .*set\.xyz has no REF_ labels, which 1 of 2 structures have",
    ):
        from_file(tmp_path / "set.xyz")
    frames[1].info["REF_energy"] = -1.5  # a lone atom needs no forces
    ase.io.write(tmp_path / "set.xyz", frames)
    found, _, notes = read(tmp_path / "set.xyz")
    assert found["energy"].tolist() == [-7.5, -1.5]
    np.testing.assert_array_equal(found["forces"][:2], 0.25)
    assert np.isnan(found["stress"][0]).all()
    assert notes == (
        ("labels", "REF_energy, REF_forces; energy, forces, stress of another source are left out"),
    )
    del frames[0].arrays["REF_forces"]
    ase.io.write(tmp_path / "half.xyz", frames)
    with pytest.raises(
        ValueError,
        match=(
            r"structure 0 of .*half\.xyz has REF_energy but no REF_forces, .*set data\.labels=plain"
        ),
    ):
        from_file(tmp_path / "half.xyz")


@pytest.mark.parametrize("name", ["set.db", "set.json"])
def test_reference_labels_of_a_database(tmp_path: Path, name: str) -> None:
    with connect(tmp_path / name) as database:
        database.write(several()[1], REF_energy=-7.5, data={"REF_forces": np.full((2, 3), 0.25)})
    found = from_file(tmp_path / name)
    assert found["energy"][0] == -7.5
    np.testing.assert_array_equal(found["forces"], 0.25)


SYMMETRIC = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])


@pytest.mark.parametrize(
    "stress", [np.arange(1.0, 7.0), SYMMETRIC, SYMMETRIC.ravel()], ids=["voigt", "matrix", "nine"]
)
def test_forms_of_stress(tmp_path: Path, stress: np.ndarray) -> None:
    atoms = bulk("Cu")
    atoms.info.update(REF_energy=1.0, REF_stress=stress)
    atoms.arrays["REF_forces"] = np.zeros((1, 3))
    ase.io.write(tmp_path / "set.xyz", atoms)
    np.testing.assert_array_equal(from_file(tmp_path / "set.xyz")["stress"][0], SYMMETRIC)


def test_free_energy_where_there_is_no_other(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "free.traj", labelled(Atoms("He"), energy=None, free_energy=-3.0))
    assert from_file(tmp_path / "free.traj")["energy"] == [-3.0]
    ase.io.write(tmp_path / "both.traj", labelled(Atoms("He"), energy=-2.0, free_energy=-3.0))
    assert from_file(tmp_path / "both.traj")["energy"] == [-3.0]


def test_forces_of_held_atoms_are_labels_too(tmp_path: Path) -> None:
    atoms = labelled(molecule("H2O"))
    atoms.set_constraint(FixAtoms([0]))
    ase.io.write(tmp_path / "held.traj", atoms)
    np.testing.assert_array_equal(
        from_file(tmp_path / "held.traj")["forces"], atoms.calc.results["forces"]
    )


XYZ = '1\nProperties=species:S:1:pos:R:3:forces:R:3 energy={} pbc="F F F"\nH 0 0 0 {} 0 0\n'
TWO = (
    '2\nProperties=species:S:1:pos:R:3:forces:R:3 {} pbc="F F F"\nH 0 0 0 0 0 0\nH 0.9 0 0 0 0 0\n'
)
FILES: dict[str, tuple[str, str]] = {
    "empty.xyz": ("", r"empty\.xyz is empty"),
    "empty.db": ("", r"empty\.db is empty"),
    "text.xyz": ("once upon a time\n", "ASE cannot read structures from"),
    "junk.db": ("once upon a time\n" * 99, "ASE cannot read structures from"),
    "junk.json": ("{}", "ASE cannot read structures from"),
    "none.xyz": ("0\n\n", "structure 0 of .* has no atoms"),
    "cut.xyz": (
        XYZ.format(1, 1).replace("1\n", "2\n", 1),
        "ASE cannot read structures from .* ends within it, after 3 of 4 lines",
    ),
    "force.xyz": (
        XYZ.format(1, 1) + XYZ.format(1, "nan"),
        "structure 1 of .*: its forces must be finite",
    ),
    "energy.xyz": (XYZ.format("inf", 1), "structure 0 of .*: its energy must be finite"),
    "text-energy.xyz": (
        XYZ.format(1, 1).replace("energy=1", "REF_energy=high"),
        "structure 0 of .*: its energy should be one numbers, not .*high",
    ),
    "no-forces.xyz": (
        TWO.format("REF_energy=1"),
        "structure 0 of .* has REF_energy but no REF_forces, and its forces may be of another",
    ),
    "one-point.xyz": (
        TWO.format("energy=1").replace("0.9", "0.0"),
        "structure 0 of .* has its atoms 0 and 1 at one point",
    ),
    "no-energy.xyz": (
        XYZ.format(1, 1) + XYZ.format(1, 1).replace("energy", "dft"),
        "structure 1 of .* has no energy; .*REF_energy.*dft, ",
    ),
    "ghost.xyz": (
        XYZ.format(1, 1).replace("\nH", "\nX"),
        "structure 0 of .* has an atom of no element",
    ),
    "place.xyz": (
        XYZ.format(1, 1).replace("H 0", "H nan"),
        "structure 0 of .*: its positions must be finite",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_refused(tmp_path: Path, name: str) -> None:
    text, words = FILES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words) as told:
        from_file(tmp_path / name)
    assert name in str(told.value)
    assert "\n" not in str(told.value)
    assert (tmp_path / name).read_text() == text


def test_forces_of_a_wrong_shape(tmp_path: Path) -> None:
    with connect(tmp_path / "set.json") as database:
        database.write(Atoms("He2"), REF_energy=1.0, data={"REF_forces": [1.0, 2.0]})
    with pytest.raises(
        ValueError, match=r"structure 0 of .*: its forces should be 2 x 3 numbers, not"
    ):
        from_file(tmp_path / "set.json")


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    """ASE would have written its tables into it."""
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bills (amount REAL)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match="a database of something else"):
        from_file(path)
    assert path.read_bytes() == before


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for reader in (from_file, rmd17, named):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing"):
            reader(
                str(tmp_path / "nothing.npz") if reader is rmd17 else str(tmp_path / "nothing.xyz")
            )
        with pytest.raises(ValueError, match="is a folder"):
            reader(str(tmp_path))


def own_form(n: int = 8) -> dict[str, np.ndarray]:
    """Arrays in the form of rMD17, in kcal/mol."""
    rng = np.random.default_rng(5)
    return {
        "nuclear_charges": np.array([8, 1, 1], dtype=np.uint8),
        "coords": rng.normal(size=(n, 3, 3)),
        "energies": rng.normal(size=n),
        "forces": rng.normal(size=(n, 3, 3)),
        "old_indices": np.arange(n),
    }


def test_rmd17_in_its_own_form(tmp_path: Path) -> None:
    arrays = own_form()
    np.savez(tmp_path / "rmd17_water.npz", **arrays)
    found, test, _ = rmd17(tmp_path / "rmd17_water.npz")
    assert test is None
    assert units.kcal / units.mol == pytest.approx(KCAL, rel=1e-15)
    np.testing.assert_allclose(found["energy"], arrays["energies"] * KCAL, rtol=1e-14)
    np.testing.assert_allclose(
        found["forces"].reshape(8, 3, 3), arrays["forces"] * KCAL, rtol=1e-14
    )
    np.testing.assert_array_equal(found.positions.reshape(8, 3, 3), arrays["coords"])
    np.testing.assert_array_equal(found.species, [8, 1, 1] * 8)
    np.testing.assert_array_equal(found.starts, np.arange(9) * 3)
    assert not found.cells.any()
    assert not found.periodic.any()
    assert np.isnan(found["stress"]).all()


@pytest.mark.parametrize("folder", [".", "splits", "../splits"])
def test_indices_of_the_official_split(tmp_path: Path, folder: str) -> None:
    (tmp_path / "npz_data").mkdir()
    (tmp_path / "npz_data" / folder).mkdir(exist_ok=True)
    np.savez(tmp_path / "npz_data" / "rmd17_water.npz", **own_form())
    every = rmd17(tmp_path / "npz_data" / "rmd17_water.npz").structures
    for name, text in (("train", "6\n1\n3\n"), ("test", "0\n2\n7\n")):
        (tmp_path / "npz_data" / folder / f"index_{name}_01.csv").write_text(text)
    train, test, _ = rmd17(tmp_path / "npz_data" / "rmd17_water.npz")
    assert_same(train, every.take(np.array([6, 1, 3])))
    assert test is not None
    assert_same(test, every.take(np.array([0, 2, 7])))
    # whoever was trained with it or not: three of six, though one of these takes no part in a
    # training
    path = str(tmp_path / "npz_data" / "rmd17_water.npz")
    for trained in (
        None,
        StructureOptions(name=path, n_train=1, n_validation=1),
        StructureOptions(name="others.xyz"),
    ):
        part = to_score(path, trained, False)
        assert_same(part.samples, test)
        assert (part.name, part.whole) == ("test", 6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8\n", "the frames 0 to 7"),
        ("-1\n", "0 to 7"),
        ("3\n3\n", "each once"),
        ("", "each once"),
        ("a\n", "no list"),
        ("2\n", "share"),
    ],
)
def test_indices_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    np.savez(tmp_path / "water.npz", **own_form())
    (tmp_path / "index_train_01.csv").write_text(text)
    (tmp_path / "index_test_01.csv").write_text("2\n")
    with pytest.raises(ValueError, match=words):
        rmd17(tmp_path / "water.npz")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no energies": (
        {"energies": None},
        "no numbers energies; .*coords, energies, forces.*keys of this file are coords, forces",
    ),
    "one frame more": (
        {"forces": np.zeros((9, 3, 3))},
        r"forces has shape \(9, 3, 3\), not \(8, 3, 3\)",
    ),
    "other atoms": (
        {"nuclear_charges": np.array([1, 1])},
        r"coords has shape \(8, 3, 3\), not \(8, 2, 3\)",
    ),
    "energies of MD17": (
        {"energies": np.zeros((8, 1))},
        r"energies has shape \(8, 1\), not \(8,\)",
    ),
    "one energy": ({"energies": np.array(1.0)}, "has shape"),
    "not finite": (
        {"coords": np.where(np.arange(72).reshape(8, 3, 3) == 30, np.nan, 0.0)},
        "coords are not finite at index 3",
    ),
    "no element": ({"nuclear_charges": np.array([8, 1, 0])}, "atomic numbers, from 1 to 118"),
    "half an element": (
        {"nuclear_charges": np.array([8, 1, 1.5])},
        "atomic numbers, from 1 to 118",
    ),
    "objects": ({"forces": np.array([None, {}])}, "is damaged, or no npz file"),
    "texts": ({"energies": np.array(["a"] * 8)}, "no numbers energies"),
}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_are_refused(tmp_path: Path, case: str) -> None:
    change, words = BAD[case]
    np.savez(
        tmp_path / "bad.npz",
        **{key: array for key, array in {**own_form(), **change}.items() if array is not None},
    )
    with pytest.raises(ValueError, match=words) as told:
        named(str(tmp_path / "bad.npz"))
    assert "bad.npz" in str(told.value)
    assert "\n" not in str(told.value)


def test_damaged_files(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", **own_form())
    whole = (tmp_path / "whole.npz").read_bytes()
    spoilt = whole[:300] + bytes(100) + whole[400:]
    np.save(tmp_path / "one.npy", np.zeros(3))
    for contents in (
        b"",
        b"once upon a time",
        whole[: len(whole) // 2],
        spoilt,
        (tmp_path / "one.npy").read_bytes(),
    ):
        (tmp_path / "bad.npz").write_bytes(contents)
        with pytest.raises(
            ValueError, match=r"bad\.npz is damaged, or no npz file of numbers .* fetch it anew"
        ):
            rmd17(tmp_path / "bad.npz")


@pytest.mark.parametrize("name", MOLECULES)
def test_the_ten_molecules(data: Path, name: str) -> None:
    found, test, _ = named(f"rmd17:{name}")
    with np.load(data / "rmd17" / f"{name}.npz") as file:
        for part, structures in (("train", found), ("test", test)):
            assert structures is not None
            assert len(structures) == 1000
            np.testing.assert_array_equal(
                structures.positions.reshape(1000, -1, 3), file[f"positions_{part}"]
            )
            np.testing.assert_allclose(
                structures["energy"], file[f"energies_{part}"] * KCAL, rtol=1e-14
            )
            np.testing.assert_allclose(
                structures["forces"], file[f"forces_{part}"].reshape(-1, 3) * KCAL, rtol=1e-14
            )
            np.testing.assert_array_equal(
                structures.species[: structures.starts[1]], file["species"]
            )


def test_molybdenum(data: Path) -> None:
    path = data / "crystals" / "mlearn_Mo_training.xyz"
    found, test, _ = named(str(path))
    frames = ase.io.read(path, ":")
    assert test is None
    np.testing.assert_array_equal(found["energy"], [atoms.info["REF_energy"] for atoms in frames])
    np.testing.assert_array_equal(
        found["forces"], np.concatenate([atoms.arrays["REF_forces"] for atoms in frames])
    )
    np.testing.assert_array_equal(found.sizes, [len(atoms) for atoms in frames])


@pytest.mark.parametrize(
    "place", ["rmd17/water.npz", "rmd17_water.npz", "rmd17/npz_data/rmd17_water.npz"]
)
def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    np.savez(tmp_path / place, **own_form())
    monkeypatch.setenv("MCEGNN_DATA", str(tmp_path))
    found = named("rmd17:water").structures
    assert len(found) == 8
    assert_same(named(f"rmd17:{tmp_path / place}").structures, found)
    assert_same(named(str(tmp_path / place)).structures, found)
    with pytest.raises(
        FileNotFoundError, match=r"there is no molecule 'watr' .*did you mean rmd17:water"
    ):
        named("rmd17:watr")
    with pytest.raises(FileNotFoundError, match=r"there is no file water; .* rmd17:MOLECULE"):
        named("water")
    monkeypatch.setenv("MCEGNN_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(
        FileNotFoundError,
        match=r"there is no revised MD17 in .*elsewhere; fetch it from https://figshare",
    ):
        named("rmd17:water")
    monkeypatch.delenv("MCEGNN_DATA")
    with pytest.raises(
        FileNotFoundError, match=r"there is no revised MD17 here; .* set MCEGNN_DATA"
    ):
        named("rmd17:water")


def test_a_system_is_ases(tmp_path: Path) -> None:
    frames = several()
    ase.io.write(tmp_path / "set.traj", frames)
    found = from_file(tmp_path / "set.traj")
    for k, atoms in enumerate(frames):
        system = found.system(k)
        assert system.units is METAL
        assert (system.cell is None) == (not atoms.cell.any())
        assert system.pbc == tuple(atoms.pbc)
        again = to_atoms(system)
        assert str(again.symbols) == str(atoms.symbols)
        np.testing.assert_array_equal(again.positions, atoms.positions)
        np.testing.assert_array_equal(again.get_masses(), atoms.get_masses())
        np.testing.assert_array_equal(again.cell, atoms.cell)
    system.positions[:] = 0.0
    assert found.positions[found.starts[3] :].any()
    np.testing.assert_array_equal(found.system(-1).species, found.system(3).species)
    with pytest.raises(IndexError):
        found.system(4)


def test_composition_counts() -> None:
    found = many()
    counts = found.composition([5, 1, 2, 3, 4, 9])
    for k in range(len(found)):
        own = found.species[found.starts[k] : found.starts[k + 1]].tolist()
        assert counts[k].tolist() == [own.count(z) for z in (5, 1, 2, 3, 4, 9)]
    with pytest.raises(
        ValueError, match="the structures hold Li, Be; the elements known are H, He, B"
    ):
        found.composition([1, 2, 5])


@given(st.lists(st.integers(-30, 29), max_size=12))
def test_take_is_a_selection(which: list[int]) -> None:
    """Of structure after structure what is taken is what was there, in the order asked for."""
    found = many()
    some = found.take(np.array(which, dtype=int))
    assert len(some) == len(which)
    assert some.starts[0] == 0
    for k, one in enumerate(which):
        assert_same(some.take(slice(k, k + 1)), found.take(np.array([one])))
        own = slice(found.starts[one % 30], found.starts[one % 30 + 1])
        np.testing.assert_array_equal(
            some.positions[some.starts[k] : some.starts[k + 1]], found.positions[own]
        )
        np.testing.assert_array_equal(
            some["forces"][some.starts[k] : some.starts[k + 1]], found["forces"][own]
        )
        assert some["energy"][k] == found["energy"][one]


@given(st.integers(1, 29))
def test_joined_undoes_a_cut(cut: int) -> None:
    found = many()
    assert_same(join_datasets([found.take(slice(0, cut)), found.take(slice(cut, None))]), found)
    assert_same(found.take(np.arange(30) < cut), found.take(slice(0, cut)))


def test_nothing_to_join() -> None:
    with pytest.raises(ValueError, match="there is no dataset to join"):
        join_datasets([])


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 2**40))
def test_splits_share_nothing_and_lose_nothing(n_train: int, n_validation: int, seed: int) -> None:
    found = many()
    if n_train + n_validation > 30:
        with pytest.raises(ValueError, match="more than the 30 there are"):
            random_split(found, n_train, n_validation, seed)
        return
    parts = random_split(found, n_train, n_validation, seed)
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [
        n_train,
        n_validation,
        30 - n_train - n_validation,
    ]
    together = join_datasets([parts.train, parts.validation, parts.test])
    assert sorted(together["energy"]) == sorted(found["energy"])
    again = random_split(found, n_train, n_validation, seed)
    assert_same(again.train, parts.train)
    fewer = random_split(found, 1, n_validation, seed)
    assert_same(fewer.validation, parts.validation)
    assert_same(fewer.train, parts.train.take(slice(0, 1)))


def test_splits_are_random() -> None:
    found = many()
    assert (
        len({tuple(random_split(found, 10, 5, seed).train["energy"]) for seed in range(20)}) == 20
    )
    assert not np.array_equal(random_split(found, 30, 0, 0).train["energy"], found["energy"])


@pytest.mark.parametrize(
    ("n_train", "n_validation", "seed", "words"),
    [(0, 5, 0, "at least 1"), (3, -1, 0, "at least 1 and 0"), (3, 3, -1, "seed")],
)
def test_splits_that_are_refused(n_train: int, n_validation: int, seed: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        random_split(many(), n_train, n_validation, seed)


def test_digest_tells_structures_apart() -> None:
    found = many()
    told = found.fingerprint()
    assert told.startswith("30 structures, ")
    assert told == replace(found, positions=found.positions * (1 + 1e-12)).fingerprint()
    assert told == replace(found, cell=-found.cells).fingerprint()  # negative zeros
    changed = {}
    for name in ("positions", "cell", "species", "pbc"):
        array = getattr(found, name).copy()
        array.flat[-1] = array.flat[-1] + 1
        changed[name] = replace(found, **{name: array}).fingerprint()
    for name in found.targets:
        array = np.nan_to_num(found[name]).copy()
        array.flat[-1] = array.flat[-1] + 1
        changed[name] = found.with_values(**{name: array}).fingerprint()
    others = [
        *changed.values(),
        told,
        found.take(slice(0, 29)).fingerprint(),
        found.take(slice(None, None, -1)).fingerprint(),
    ]
    assert len(set(others)) == len(changed) + 3 == 10
    assert re.fullmatch("[0-9a-f]{16}", told.split(", ")[1])


def test_digest_of_many_is_quick_and_still_tells() -> None:
    big = join_datasets([many()] * 300)
    assert big.fingerprint() != big.with_values(forces=2 * big["forces"]).fingerprint()
