"""LAMMPS' files: which are text dumps and which data files, and what both have in common."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from systems.sources.file_options import Reading
from systems.sources.identities import AtomLabels, identify

_BEGINNING = 8192  # bytes in which a data file tells its box


def is_dump(path: Path) -> bool:
    """Whether it is a text dump of LAMMPS, which may have any name."""
    return _beginning(path).startswith(b"ITEM:")


def is_data(path: Path) -> bool:
    """Whether it is a data file of LAMMPS, which may have any name."""
    return (
        re.search(rb"\bxlo[ \t]+xhi\b|^[^\n]*\bavec\b", _beginning(path), re.MULTILINE) is not None
    )


def _beginning(path: Path) -> bytes:
    from ase.io.formats import open_with_compression

    try:
        with open_with_compression(str(path), "rb") as file:
            return bytes(file.read(_BEGINNING))
    except (OSError, EOFError, ValueError):  # of what is not compressed as its name says
        return b""


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a text file, which may be compressed."""
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path), "rt") as file:
        yield from file


def say_contradicted(told: str, reading: Reading) -> None:
    """Say of a file that tells other units than the user."""
    given = reading.options.units
    if given and told and given != told:
        reading.assumed["units"] = f"{given}, as the user gave them; the file says {told}"


def read_as(style: str) -> str:
    """ASE knows no units without sizes."""
    return "metal" if style == "lj" else style


def set_identities(atoms: Any, reading: Reading, labels: AtomLabels) -> None:
    """Set elements and masses; velocities stay, whatever the masses."""
    velocities = atoms.get_velocities() if atoms.has("momenta") else None
    identify(atoms, reading, labels)
    if velocities is not None:
        atoms.set_velocities(velocities)
