"""Labelled structures by name or from files: revised MD17's npz, and whatever ASE reads that has
energies and forces."""

from pathlib import Path
from typing import Any

import numpy as np

from mcegnn.data.assembly import join_datasets
from mcegnn.data.dataset import Dataset
from mcegnn.data.label_checks import check_apart, numbers
from mcegnn.data.label_rules import AS_THEY_ARE, Notes, Reading
from mcegnn.data.label_targets import Labelled, with_labels
from mcegnn.data.labels import labels_of
from mcegnn.data.rmd17 import check_readable, molecule_file, rmd17
from systems.sources.atoms_files import RefusedFileError
from systems.sources.atoms_files import frames as frames_of
from systems.sources.file_options import Reading as FileReading

_DATABASES = (".db", ".json")
_ISOLATED = ("isolatedatom", "isolated", "singleatom", "atom")


def named(name: str, reading: Reading = AS_THEY_ARE) -> Labelled:
    """Read the data of ``rmd17:MOLECULE`` (in $MCEGNN_DATA/rmd17 or $MCEGNN_DATA), of
    ``rmd17:FILE``, of an .npz file of revised MD17, or of any other file that ASE reads.

    Raises FileNotFoundError, with the nearest name, if there is none, and ValueError as `rmd17` and
    `read`.
    """
    path = file_of(name)
    return rmd17(path) if _is_rmd17(name) or path.suffix == ".npz" else read(path, reading)


def file_of(name: str) -> Path:
    """The file that `named` reads. Raises FileNotFoundError, with the nearest name, if there is
    none."""
    rest = name.partition(":")[2]
    path = (
        Path(name)
        if not _is_rmd17(name)
        else Path(rest)
        if Path(rest).is_file()
        else molecule_file(rest)
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


def from_file(path: str | Path) -> Dataset:
    """Read all structures of a file, as `read` does."""
    return read(path).structures


def read(path: str | Path, reading: Reading = AS_THEY_ARE) -> Labelled:
    """Read all labelled structures of a file that ASE opens: extended XYZ, a database (.db, .json),
    .traj or others; in eV and Angstrom.

    Labels are REF_energy, REF_forces and REF_stress if there are any (in a database: among
    key-value pairs and data), else the results of a calculator: free_energy if energy differs from
    it, forces, and stress or virial(s), the same for all structures, or what ``reading`` names.
    Stress is [3, 3], nine numbers or Voigt's six, and only known where a structure is periodic in
    all directions. Raises FileNotFoundError if there is no file, and ValueError if ASE cannot read
    it, a label is missing or a number is not finite.
    """
    path = Path(path)
    check_readable(path)
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
        _check_atoms(atoms, f"structure {k} of {path}")
        _freed(atoms)
    found = labels_of(frames, str(path), reading)
    parts = [
        _structure(frames[k], labels, f"structure {k} of {path}")
        for k, labels in zip(found.frames, found.labels, strict=True)
    ]
    return Labelled(join_datasets(parts), notes=(*notes, *found.notes))


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
        _check_own_database(path)
    found = []
    for row in connect(path).select():
        atoms = row.toatoms()
        atoms.info.update({**row.key_value_pairs, **row.data})
        found.append(atoms)
    return found, ()


def _check_own_database(path: Path) -> None:
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
    check_apart(x, cell, pbc, where)
    species = atoms.numbers.astype(np.int64)
    return with_labels(
        Dataset(np.array([0, len(x)]), species, x, cell=cell[None], pbc=pbc[None]),
        energy=np.array([energy]),
        forces=forces,
        stress=stress[None],
    )


def _check_atoms(atoms: Any, where: str) -> None:
    if len(atoms) == 0:
        raise ValueError(f"{where} has no atoms; take it out")
    if not (atoms.numbers > 0).all():
        raise ValueError(f"{where} has an atom of no element; name the elements of all atoms")


def _freed(atoms: Any) -> None:
    """Remove the box of an isolated atom that is marked as such."""
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
