"""Reading of files of atoms by ASE, structures or trajectories, for everything that reads them."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from systems.sources import dl_poly_files, extended_xyz, lammps_data, lammps_dumps, lammps_files
from systems.sources.file_options import Reading

_PACKED = (".gz", ".bz2", ".xz")
NOT_TEXT = "it is not text, as files of this kind are"  # of a file that cannot be decoded
_XYZ_FORMATS = ("extxyz", "xyz")


class RefusedFileError(ValueError):
    """A file that can be read and must not be taken as it is: one sentence without the file's
    name."""


def ending(path: Path) -> str:
    """In small letters, without that of a compression."""
    endings = [suffix.lower() for suffix in path.suffixes]
    while endings and endings[-1] in _PACKED:
        endings.pop()
    return endings[-1] if endings else ""


def check_readable(path: Path) -> None:
    """Raise RefusedFileError if no reader can take a file: an empty one, or mmCIF."""
    if path.is_file() and not path.stat().st_size:
        raise RefusedFileError("the file is empty")
    if ending(path) == ".mmcif" or (ending(path) == ".cif" and _is_mmcif(path)):
        raise RefusedFileError("it is mmCIF, which is not read; convert it to PDB first")


def _is_mmcif(path: Path) -> bool:
    """Whether items of a CIF are named as those of proteins are, with categories before a point."""
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path), "rb") as file:
        return (
            re.search(rb"^_(atom_site|entry|cell)\.", file.read(1 << 20), re.MULTILINE) is not None
        )


def frames(path: Path, reading: Reading) -> Iterator[Any]:
    """The frames of a file as ase.Atoms, one by one, in ASE's units; what is guessed goes into
    ``reading``.

    Raises ValueError, in one sentence, if a site is partially occupied or units are given that the
    format does not have, and whatever ASE does if it cannot read the file.
    """
    kind, more = kind_of(path, reading)
    yield from _frames(path, kind, more, reading)


def chosen(path: Path, index: str, reading: Reading) -> list[Any]:
    """The frames of an index in ASE's notation: "-1", "::10", of a database a selection. Raises
    IndexError if there is none, and as `frames`."""
    from ase.io import read

    kind, more = kind_of(path, reading)
    if kind in _XYZ_FORMATS:  # a frame is found without making atoms of those before it
        those = range(sum(1 for _ in extended_xyz.texts(path)))[_index(index)]
        wanted = [those] if isinstance(those, int) else list(those)
        made = {
            k: extended_xyz.atoms_of(text, reading)
            for k, text in enumerate(extended_xyz.texts(path))
            if k in set(wanted)
        }
        return [made[k] for k in wanted]
    if kind.startswith("lammps"):
        found = list(frames(path, reading))[_index(index)]
    else:
        _check_no_units(reading)
        found = read(path, index=index, format=kind or None, do_not_split_by_at_sign=True, **more)
    several = found if isinstance(found, list) else [found]
    for atoms in several if not kind.startswith("lammps") else ():
        _settled(path, atoms, reading)
    return several


def kind_of(path: Path, reading: Reading) -> tuple[str, dict[str, Any]]:
    """The format of a file as ASE calls it, as far as it is known beforehand ("" else), and options
    for its reader."""
    check_readable(path)
    if reading.options.format:
        reader, name, more = reading.options.reader
        if reader != "ase":
            raise RefusedFileError(
                f"{name} is a format of MDAnalysis, which reads trajectories; structures are read"
                " in ASE's formats"
            )
        return name, more
    if ending(path) in extended_xyz.ENDINGS:
        return "extxyz", {}
    if lammps_files.is_dump(path):
        return "lammps-dump-text", {}
    if lammps_files.is_data(path):
        return "lammps-data", {}
    return "", {}


def _frames(path: Path, kind: str, more: dict[str, Any], reading: Reading) -> Iterator[Any]:
    if kind in _XYZ_FORMATS:
        yield from extended_xyz.frames(path, reading)
    elif kind == "lammps-dump-text":
        yield from lammps_dumps.dump_frames(path, reading)
    elif kind == "lammps-data":
        yield lammps_data.data_atoms(path, reading, more)
    else:
        from ase.io import iread

        yield from settled(
            path,
            iread(path, index=":", format=kind or None, do_not_split_by_at_sign=True, **more),
            reading,
        )


def settled(path: Path, found: Iterable[Any], reading: Reading) -> Iterator[Any]:
    """What ASE's readers found in a file, with all that `frames` promises of it."""
    _check_no_units(reading)
    for atoms in found:
        yield _settled(path, atoms, reading)


def _check_no_units(reading: Reading) -> None:
    if reading.options.units:
        raise RefusedFileError(
            "its format has its own units; --units goes with LAMMPS' files, extended XYZ and DCD"
        )


def _settled(path: Path, atoms: Any, reading: Reading) -> Any:
    """What ASE read, once its sites are known to be whole, with the masses that the user gave, and
    elements by more than letters."""
    from systems.sources.identities import AtomLabels, identify

    check_occupancies(atoms)
    if dl_poly_files.LABELS in atoms.arrays:
        return dl_poly_files.settle(atoms, reading)
    names = _guessed_names(path, atoms)
    if not names and not reading.options.masses:
        reading.massless |= (
            {"X"} if (atoms.numbers == 0).any() and not atoms.has("masses") else set()
        )
        return atoms
    velocities = atoms.get_velocities() if atoms.has("momenta") else None
    if names:
        residues, numbers = atoms.arrays["residuenames"], atoms.arrays.get("residuenumbers")
        labels = AtomLabels(names, residues=residues, residue_numbers=numbers)
    else:
        labels = AtomLabels(masses=atoms.get_masses())
    identify(atoms, reading, labels)
    if velocities is not None:
        atoms.set_velocities(velocities)
    return atoms


def _guessed_names(path: Path, atoms: Any) -> list[str]:
    """Names of atoms in files that tell no elements, which ASE guesses by their letters alone."""
    if not {"atomtypes", "residuenames"} <= atoms.arrays.keys() or not (
        ending(path) == ".gro" or _is_bare_pdb(path)
    ):
        return []
    return [str(name).strip() for name in atoms.arrays["atomtypes"]]


def _is_bare_pdb(path: Path) -> bool:
    """Whether it is a PDB file without the column of elements."""
    from ase.io.formats import open_with_compression

    if ending(path) not in (".pdb", ".ent"):
        return False
    with open_with_compression(str(path), "rt") as file:
        first = next((line for line in file if line.startswith(("ATOM", "HETATM"))), "")
    return not first[76:78].strip()


def check_occupancies(atoms: Any) -> None:
    """Raise ValueError, naming the first site, if several elements share a site of ``atoms`` or one
    has it in part."""
    shared = atoms.info.get("occupancy")
    if not isinstance(shared, dict):
        return
    for kind, parts in shared.items():
        if isinstance(parts, dict) and (
            len(parts) > 1 or any(abs(float(part) - 1.0) > 1e-3 for part in parts.values())
        ):
            said = " and ".join(f"{float(part):g} {symbol}" for symbol, part in parts.items())
            raise RefusedFileError(
                f"the site {_site(atoms, kind)} is occupied in part ({said}), and atoms are whole;"
                " take an ordered structure of it"
            )


def _site(atoms: Any, kind: Any) -> str:
    kinds = atoms.arrays.get("spacegroup_kinds")
    where = [k for k in range(len(atoms)) if kinds is not None and str(kinds[k]) == str(kind)]
    place = atoms.get_scaled_positions()[where[0]] if where else ()
    return f"at ({', '.join(f'{x:.4g}' for x in place)})" if where else str(kind)


def _index(text: str) -> int | slice:
    """The number of a frame, or a slice of them. Raises ValueError if it is neither."""
    if not re.fullmatch(r"-?\d+|(-?\d*):(-?\d*)(:-?\d*)?", text):
        raise ValueError(f"{text!r} is no number of a structure")
    parts = [int(part) if part else None for part in text.split(":")]
    return slice(*parts) if len(parts) > 1 else int(text)
