"""(Extended) XYZ files as ASE's atoms, whatever their atoms are called and in whichever order their
columns stand.

ASE's reader does the work; before it, names that are no elements give way to the elements they are
guessed to mean, and after it columns it does not know become velocities and masses. Frames of i-PI,
whose comment tells the cell and its units, are XYZ files too.
"""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from systems.sources.file_options import Reading, unit_size
from systems.sources.identities import AtomLabels, identify

ENDINGS = (".xyz", ".extxyz")
_SPECIES = (
    "species",
    "element",
    "elements",
    "symbol",
    "symbols",
    "names",
    "name",
    "type",
    "types",
    "atom_types",
)
_VELOCITIES = ("vel", "velo", "velocity", "velocities")
_MASSES = ("mass", "masses")
_SIZELESS = ("reduced", "astronomical")  # units of runs of ours, in which masses tell no elements
_IPI = re.compile(r"#\s*CELL[({](abcABC|H|GENH)[)}]:?\s*((?:[-+.\deE]+\s+)+)")
_IPI_UNITS = re.compile(r"\b(\w+)\{(\w+)\}")


def frames(path: str | Path, reading: Reading) -> Iterator[Any]:
    """The frames of a file, one by one. Raises EOFError if the file ends within a frame, and
    ValueError if it is no XYZ file."""
    for text in texts(path):
        if not text.endswith("\n"):
            reading.notes.append(
                "the last line of the file has no end: its last number may have lost digits"
            )
        yield atoms_of(text, reading)


def texts(path: str | Path) -> Iterator[str]:
    """The lines of each frame. Raises EOFError as `frames`."""
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path), "rt") as file:
        lines = iter(file)
        for line in lines:
            count = line.removeprefix("\ufeff").removeprefix(
                "\xef\xbb\xbf"
            )  # marks of the order of bytes
            if not count.strip():
                continue
            try:
                n = int(count)
            except ValueError:
                raise ValueError(
                    f"a frame begins with the number of its atoms, not with {count.strip()[:40]!r}"
                ) from None
            frame = [count, *(next(lines, "") for _ in range(n + 1))]
            if n and not frame[-1].strip():
                raise EOFError(
                    f"the file ends within it, after {sum(map(bool, frame))} of {len(frame)} lines"
                )
            yield "".join(frame)


def count(path: str | Path) -> int:
    """Whole frames of a file."""
    n = 0
    try:
        for _ in texts(path):
            n += 1
    except (EOFError, ValueError):
        pass
    return n


def atoms_of(text: str, reading: Reading) -> Any:
    """The ase.Atoms of the lines of a frame."""
    from ase.io.extxyz import read_xyz

    head, _, rest = text.partition("\n")
    lines = [head, *(rest.removesuffix("\n").split("\n"))]
    place, kinds = _columns(lines[1])
    names = [line.split(None, place + 1)[place] for line in lines[2:]] if place is not None else []
    names = (
        []
        if all(_is_symbol(name) for name in set(names))
        and place is not None
        and kinds[place] == ("species", "S")
        else names
    )
    if names and place is not None:  # ASE takes no names but those of elements
        lines[2:] = [_with(line, place, "X") for line in lines[2:]]
        lines[1] = _renamed(lines[1], kinds[place][0])
    ipi = _IPI.search(lines[1])
    comment = lines[1]
    lines[1] = "" if ipi else lines[1]
    atoms = next(read_xyz(StringIO("\n".join(lines) + "\n"), 0))
    if ipi:
        _ipi_cell(atoms, comment, ipi)
    style = _style(comment, reading) if ipi else reading.options.units
    _scale(atoms, style)
    reduced = style == "lj" or atoms.info.get("units") in _SIZELESS
    labels = AtomLabels(names or None, _told_masses(atoms, style), reduced=reduced)
    identify(atoms, reading, labels)
    _set_velocities(atoms, style, reading)
    return atoms


def _columns(comment: str) -> tuple[int | None, list[tuple[str, str]]]:
    """The column with names of atoms, None where there is none; the name of each column, and its
    type."""
    match = re.search(r"\bProperties=[\"']?([^\s\"']+)", comment)
    fields = (match[1] if match else "species:S:1:pos:R:3").split(":")
    kinds = [
        (name, kind)
        for name, kind, n in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
        for _ in range(int(n) if n.isdigit() else 1)
    ]
    places = {name: k for k, (name, _) in reversed(list(enumerate(kinds)))}
    if match and not {"pos", "positions"} & places.keys():
        raise ValueError(f"its Properties name no positions (pos:R:3), but {', '.join(places)}")
    if "Z" in places or "numbers" in places:
        return None, kinds
    return next((places[name] for name in _SPECIES if name in places), None), kinds


def _renamed(comment: str, name: str) -> str:
    """The column of names as ASE calls it."""
    return (
        comment
        if name == "species"
        else re.sub(rf"([=:\"']){re.escape(name)}:[SI]:1", r"\1species:S:1", comment, count=1)
    )


def _with(line: str, place: int, word: str) -> str:
    words = line.split()
    words[place] = word
    return " ".join(words)


def _is_symbol(name: str) -> bool:
    """Whether it is an element's, letter by letter: what ASE makes of CA is a guess."""
    from ase.data import atomic_numbers

    return name in atomic_numbers


def _told_masses(atoms: Any, style: str) -> np.ndarray | None:
    """Masses of a column ``mass`` or ``masses``."""
    told = [atoms.arrays.pop(name) for name in _MASSES if name in atoms.arrays]
    given = [
        one for one in told if np.ndim(one) == 1 and one.dtype.kind in "if" and (one >= 0).all()
    ]
    return (
        np.asarray(given[0], dtype=float) * (unit_size("mass", style) if style else 1.0)
        if given
        else None
    )


def _set_velocities(atoms: Any, style: str, reading: Reading) -> None:
    """Velocities of a column that ASE knows not; their unit is Angstrom/fs unless the options
    tell."""
    for name in _VELOCITIES:
        values = atoms.arrays.get(name)
        if values is None or np.shape(values) != (len(atoms), 3):
            continue
        del atoms.arrays[name]
        if not atoms.has("momenta"):
            if not style:
                reading.assumed["units"] = (
                    f"velocities of the column {name} are taken to be in Angstrom/fs, which the"
                    " file does not tell; --units tells others (metal: Angstrom/ps, electron: bohr"
                    " per atomic unit of time)"
                )
            atoms.set_velocities(values * unit_size("velocity", style or "real"))


def _scale(atoms: Any, style: str) -> None:
    """Turn lengths, energies, forces and momenta of a unit style of LAMMPS into ASE's."""
    if not style:
        return
    length, energy = unit_size("distance", style), unit_size("energy", style)
    force = unit_size("force", style)
    atoms.set_cell(atoms.cell[:] * length)
    atoms.positions *= length
    if atoms.has("momenta"):
        atoms.arrays["momenta"] *= unit_size("mass", style) * unit_size("velocity", style)
    sizes = {
        "energy": energy,
        "free_energy": energy,
        "energies": energy,
        "forces": force,
        "stress": energy / length**3,
    }
    if atoms.calc is not None:
        atoms.calc.atoms = atoms.copy()
        for name, size in sizes.items():
            if name in atoms.calc.results:
                atoms.calc.results[name] = np.asarray(atoms.calc.results[name]) * size


def _ipi_cell(atoms: Any, comment: str, match: re.Match[str]) -> None:
    from ase.geometry import cellpar_to_cell

    numbers = np.array(match[2].split(), dtype=float)
    if {"velocities", "momenta", "forces"} & {name for name, _ in _IPI_UNITS.findall(comment)}:
        raise ValueError(
            "i-PI wrote other things than positions into it; name the file of positions"
        )
    atoms.set_cell(
        cellpar_to_cell(numbers[:6]) if match[1] == "abcABC" else numbers[:9].reshape(3, 3).T
    )
    atoms.set_pbc(True)
    atoms.info.clear()


def _style(comment: str, reading: Reading) -> str:
    """The unit style of a frame of i-PI, which tells it in braces."""
    if reading.options.units:
        return reading.options.units
    told = dict(_IPI_UNITS.findall(comment)).get("positions", "")
    if told not in ("angstrom", "atomic_unit"):
        reading.assumed["units"] = (
            "i-PI's atomic units, which the file does not tell; --units tells others (metal:"
            " Angstrom)"
        )
    return "metal" if told == "angstrom" else "electron"
