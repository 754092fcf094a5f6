"""Labelled structures by name or from files: revised MD17's npz, and whatever ASE reads that has
energies and forces.

Revised MD17 (Christensen and von Lilienfeld 2020) has 100,000 frames of each of ten molecules, in
kcal/mol and Angstrom. Its authors ask to train on 1,000 of them at most: they come from one
trajectory, so more of them are like those of the test.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcegnn.data.dataset import Dataset, Target
from mcegnn.data.labels import AS_THEY_ARE, Notes, Reading, labels_of, numbers, refuse_one_point
from systems.sources.atoms_files import RefusedFileError
from systems.sources.atoms_files import frames as frames_of
from systems.sources.file_options import Reading as FileReading

SOURCE = "https://figshare.com/articles/dataset/Revised_MD17_dataset_rMD17_/12672038"
_OWN = ("nuclear_charges", "coords", "energies", "forces")
_DATABASES = (".db", ".json")
_ISOLATED = ("isolatedatom", "isolated", "singleatom", "atom")


class Labelled(NamedTuple):
    """Structures to train on and, where the data set has an official split, those to test on; and
    what there is to say of their labels."""

    structures: Dataset
    test: Dataset | None = None
    notes: Notes = ()


def labelled(
    starts: np.ndarray,
    species: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray | None = None,
    pbc: np.ndarray | None = None,
    *,
    energy: np.ndarray,
    forces: np.ndarray,
    stress: np.ndarray | None = None,
) -> Dataset:
    """Structures with the targets energy [n] (eV), forces [n_atoms, 3] (eV/Angstrom) and stress
    [n, 3, 3] (eV/Angstrom^3), the latter two NaN where unknown."""
    n = len(starts) - 1
    cell = np.zeros((n, 3, 3)) if cell is None else cell
    pbc = np.zeros((n, 3), dtype=bool) if pbc is None else pbc
    stress = np.full((n, 3, 3), np.nan) if stress is None else stress
    targets = {
        "energy": Target(energy, "eV"),
        "forces": Target(forces, "eV/Angstrom", "vector"),
        "stress": Target(stress, "eV/Angstrom^3"),
    }
    return Dataset(starts, species, positions, targets, cell, pbc)


def named(name: str, reading: Reading = AS_THEY_ARE) -> Labelled:
    """The data of ``rmd17:MOLECULE`` (in $MCEGNN_DATA/rmd17 or $MCEGNN_DATA), of ``rmd17:FILE``, of
    an .npz file of revised MD17, or of any other file that ASE reads.

    FileNotFoundError, with the nearest name, where there is none; ValueError as of `rmd17` and
    `read`.
    """
    path = file_of(name)
    return rmd17(path) if _is_rmd17(name) or path.suffix == ".npz" else read(path, reading)


def file_of(name: str) -> Path:
    """The file that `named` reads. FileNotFoundError, with the nearest name, where there is
    none."""
    rest = name.partition(":")[2]
    path = (
        Path(name)
        if not _is_rmd17(name)
        else Path(rest)
        if Path(rest).is_file()
        else _molecule(rest)
    )
    if not path.exists():
        raise FileNotFoundError(
            f"there is no file {name}; name a file of labelled structures, or rmd17:MOLECULE such"
            " as rmd17:ethanol"
        )
    return path


def _is_rmd17(name: str) -> bool:
    """Whether a molecule of revised MD17 is meant, or a file of one, and not a file of such a
    name."""
    kind, _, rest = name.partition(":")
    return bool(kind == "rmd17" and rest and not Path(name).exists())


def _molecule(name: str) -> Path:
    """The file of a molecule in the folders of $MCEGNN_DATA, the archive's own among them."""
    from mcegnn.names import nearest

    given = os.environ.get("MCEGNN_DATA")
    folders = (
        [Path(given) / part for part in ("rmd17", "rmd17/npz_data", "npz_data", "")]
        if given
        else []
    )
    found = {
        path.stem.removeprefix("rmd17_"): path
        for folder in reversed(folders)
        for path in sorted(folder.glob("*.npz"))
    }
    if name in found:
        return found[name]
    if found:
        raise FileNotFoundError(
            f"there is no molecule {name!r} in {given}; did you mean rmd17:{nearest(name, found)}?"
        )
    where = f"in {given}" if given else "here"
    raise FileNotFoundError(
        f"there is no revised MD17 {where}; fetch it from {SOURCE} and set MCEGNN_DATA to the"
        " folder it is in"
    )


def rmd17(path: str | Path) -> Labelled:
    """A molecule of revised MD17, in eV and Angstrom: its own npz (nuclear_charges [n_atoms],
    coords and forces [n, n_atoms, 3], energies [n], in kcal/mol), or one of its first split
    (species, and ``positions_``, ``energies_`` and ``forces_`` of train and of test).

    Where index_train_01.csv and index_test_01.csv lie beside the former, or in a folder ``splits``
    there or one up, they tell training and test structures. FileNotFoundError where there is no
    file; ValueError where it is damaged, or its arrays are not those.
    """
    path = Path(path)
    arrays = _arrays(path)
    if "species" in arrays and "positions_train" in arrays:
        keys = [
            ("species", f"positions_{part}", f"energies_{part}", f"forces_{part}")
            for part in ("train", "test")
        ]
        return Labelled(_frames(path, arrays, keys[0]), _frames(path, arrays, keys[1]))
    every = _frames(path, arrays, _OWN)
    for folder in (path.parent, path.parent / "splits", path.parent.parent / "splits"):
        indices = [folder / f"index_{part}_01.csv" for part in ("train", "test")]
        if all(index.is_file() for index in indices):
            train, test = (_indices(index, len(every)) for index in indices)
            if np.isin(train, test).any():
                raise ValueError(
                    f"{indices[0]} and {indices[1].name} share frames; fetch both files anew"
                )
            return Labelled(every.take(train), every.take(test))
    return Labelled(every)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The numbers of an npz file by name; objects, which could run code, are not loaded."""
    _refuse_unreadable(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: array for key, array in file.items() if array.dtype.kind in "iuf"}
    except (
        Exception
    ) as error:  # those of zip, zlib and NumPy, and a plain array, which is no context
        raise ValueError(
            f"{path} is damaged, or no npz file of numbers ({type(error).__name__}); fetch it anew"
            f" from {SOURCE}"
        ) from None


def _frames(path: Path, arrays: dict[str, np.ndarray], keys: tuple[str, ...]) -> Dataset:
    """Structures of the arrays with these keys: species [n_atoms], positions [n, n_atoms, 3],
    energies [n], forces as positions."""
    from ase.units import kcal, mol

    missing = [key for key in keys if key not in arrays]
    if missing:
        there = ", ".join(sorted(arrays)) or "none"
        raise ValueError(
            f"{path} has no numbers {missing[0]}; revised MD17 has {', '.join(keys)}, and the keys"
            f" of this file are {there}"
        )
    species, positions, energies, forces = (arrays[key] for key in keys)
    shape = (*energies.shape[:1], *species.shape[:1], 3)
    for key, expected in zip(keys, (shape[1:2], shape, shape[:1], shape), strict=True):
        if arrays[key].shape != expected or 0 in expected:
            raise ValueError(
                f"{path}: {key} has shape {arrays[key].shape}, not {expected}; fetch the file anew"
                f" from {SOURCE}"
            )
        if not np.isfinite(arrays[key]).all():
            k = int(np.argwhere(~np.isfinite(arrays[key]))[0, 0])
            raise ValueError(f"{path}: {key} are not finite at index {k}; take out what is there")
    if not (np.isin(species, range(1, 119))).all():
        raise ValueError(
            f"{path}: {keys[0]} are atomic numbers, from 1 to 118, not {species.min()} to"
            f" {species.max()}"
        )
    x, e, f = (part.astype(float) for part in (positions, energies, forces))
    n, n_atoms = x.shape[:2]
    return labelled(
        np.arange(n + 1) * n_atoms,
        np.tile(species.astype(np.int64), n),
        x.reshape(-1, 3),
        energy=e * (kcal / mol),
        forces=(f * (kcal / mol)).reshape(-1, 3),
    )


def _indices(path: Path, n: int) -> np.ndarray:
    """The numbers of frames in a csv file, int64; ValueError where one is none of n frames, or is
    there twice."""
    try:
        found = np.array(path.read_text().replace(",", " ").split(), dtype=float)
    except ValueError:
        raise ValueError(
            f"{path} is no list of frames' numbers; fetch it anew from {SOURCE}"
        ) from None
    if not np.isin(found, range(n)).all() or len(np.unique(found)) != len(found) or not len(found):
        raise ValueError(
            f"{path} must name some of the frames 0 to {n - 1}, each once; fetch it anew, or take"
            " it away"
        )
    return found.astype(np.int64)


def from_file(path: str | Path) -> Dataset:
    """All structures of a file, as `read` reads them."""
    return read(path).structures


def read(path: str | Path, reading: Reading = AS_THEY_ARE) -> Labelled:
    """All structures of a file of ASE's: extended XYZ, a database (.db, .json), .traj or others; eV
    and Angstrom.

    Labels are REF_energy, REF_forces and REF_stress where there are any (in a database: among
    key-value pairs and data), else what a calculator said: free_energy where energy differs from
    it, forces, and stress or virial(s), of all structures the same, or what ``reading`` says.
    Stress is [3, 3], nine numbers or Voigt's six, and only known where a structure is periodic in
    all directions. FileNotFoundError where there is no file; ValueError where ASE makes nothing of
    it, a label is missing or a number is not finite.
    """
    path = Path(path)
    _refuse_unreadable(path)
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty; name a file of labelled structures")
    try:
        frames, notes = _of_database(path) if path.suffix in _DATABASES else _of_file(path)
    except RefusedFileError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # each of ASE's readers fails in its own way
        said = " ".join(str(error).split()) or "it makes nothing of its contents"
        raise ValueError(
            f"ASE cannot read structures from {path}: {said} ({type(error).__name__})"
        ) from None
    if not frames:
        raise ValueError(f"there are no structures in {path}; name a file of labelled structures")
    for k, atoms in enumerate(frames):
        _refuse_no_atoms(atoms, f"structure {k} of {path}")
        _freed(atoms)
    found = labels_of(frames, str(path), reading)
    parts = [
        _structure(frames[k], labels, f"structure {k} of {path}")
        for k, labels in zip(found.frames, found.labels, strict=True)
    ]
    return Labelled(Dataset.joined(parts), notes=(*notes, *found.notes))


def _refuse_unreadable(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file of structures in it")
    open(path, "rb").close()  # a file that may not be read says so itself


def _of_file(path: Path) -> tuple[list[Any], Notes]:
    """The atoms of any other file, read as structures to be simulated are, and what was assumed of
    them."""
    read_as = FileReading()
    found = list(frames_of(path, read_as))
    return found, tuple((f"assumed {what}", words) for what, words in read_as.assumed.items())


def _of_database(path: Path) -> tuple[list[Any], Notes]:
    """The atoms of an ASE database, with its key-value pairs and data as their info."""
    from ase.db import connect

    if path.suffix == ".db":
        _refuse_foreign(path)
    found = []
    for row in connect(path).select():
        atoms = row.toatoms()
        atoms.info.update({**row.key_value_pairs, **row.data})
        found.append(atoms)
    return found, ()


def _refuse_foreign(path: Path) -> None:
    """ASE would write its tables into any other SQLite database that it is asked to read."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
        if not file.execute("SELECT COUNT(*) FROM sqlite_master WHERE name='systems'").fetchone()[
            0
        ]:
            raise ValueError("it is a database of something else")


def _structure(atoms: Any, labels: tuple[float, np.ndarray, np.ndarray], where: str) -> Dataset:
    """One structure with its labels; ``where`` begins the sentence of what is wrong with it."""
    energy, forces, stress = labels
    x, cell, pbc = atoms.get_positions(), np.array(atoms.cell, dtype=float), np.array(atoms.pbc)
    for name, part in (("positions", x), ("cell", cell)):
        numbers(part, part.shape, f"{where}: its {name}")
    refuse_one_point(x, cell, pbc, where)
    species = atoms.numbers.astype(np.int64)
    return labelled(
        np.array([0, len(x)]),
        species,
        x,
        cell[None],
        pbc[None],
        energy=np.array([energy]),
        forces=forces,
        stress=stress[None],
    )


def _refuse_no_atoms(atoms: Any, where: str) -> None:
    if len(atoms) == 0:
        raise ValueError(f"{where} has no atoms; take it out")
    if not (atoms.numbers > 0).all():
        raise ValueError(f"{where} has an atom of no element; name the elements of all atoms")


def _freed(atoms: Any) -> None:
    """Atoms that are told to be an isolated one, without the box that it was calculated in."""
    said = (
        str(atoms.info.get("config_type", ""))
        .lower()
        .replace("_", "")
        .replace("-", "")
        .replace(" ", "")
    )
    if len(atoms) == 1 and said in _ISOLATED:
        atoms.set_cell(None)
        atoms.set_pbc(False)
