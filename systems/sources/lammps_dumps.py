"""LAMMPS' text dumps as ASE's atoms, in the units that they tell, that users name, or that are
assumed and said."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from systems.sources.file_options import Reading, unit_size, unit_styles
from systems.sources.identities import AtomLabels
from systems.sources.lammps_files import lines_of, read_as, say_contradicted, set_identities

_FLAGS, _UNWRAPPED = ("ix", "iy", "iz"), ("xu", "yu", "zu")


def flag_columns(path: Path) -> list[str]:
    """Columns of image flags that the first frame of a dump has."""
    header = next((line for line in lines_of(path) if line.startswith("ITEM: ATOMS")), "").split()
    return [name for name in _FLAGS if name in header]


def dump_texts(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Of each frame what it says before its atoms (TIME, UNITS), and its text as ASE reads it;
    Raises EOFError if the file ends within one."""
    lines = lines_of(path)
    told: dict[str, str] = {}
    text: list[str] = []
    for line in lines:
        item = line.removeprefix("ITEM:").strip() if line.startswith("ITEM:") else ""
        if item in ("UNITS", "TIME"):
            told[item] = next(lines, "").strip()
            continue
        text.append(line)
        if item.startswith("ATOMS"):
            n = _n_atoms(text)
            rows = [next(lines, "") for _ in range(n)]
            if n and not rows[-1].strip():
                raise EOFError(
                    f"the file ends within it, after {sum(map(bool, rows))} of {n} atoms"
                )
            yield told, "".join([*text, *rows])
            told, text = {}, []
    if text and any(line.strip() for line in text):
        raise EOFError("the file ends before its atoms")


def _n_atoms(text: list[str]) -> int:
    where = next(
        (k for k, line in enumerate(text) if line.startswith("ITEM: NUMBER OF ATOMS")), len(text)
    )
    count = text[where + 1].strip() if where + 1 < len(text) else ""
    if not count.isdigit():
        raise ValueError(f"a frame tells no number of atoms, but {count[:40]!r}")
    return int(count)


def count_dump(path: Path) -> int:
    """Frames that begin in a dump."""
    return sum(line.startswith("ITEM: TIMESTEP") for line in lines_of(path))


def dump_frames(path: Path, reading: Reading) -> Iterator[Any]:
    """The frames of a dump; its time, where it tells one, is ``atoms.info["time"]``, in ASE's unit.
    ASE's energy of zero is left out."""
    from ase.io.lammpsrun import read_lammps_dump_text

    for told, text in dump_texts(path):
        style = _style(told.get("UNITS", ""), reading)
        head = next(line for line in text.splitlines() if line.startswith("ITEM: ATOMS"))
        columns = head.split()[2:]
        _say_units(columns, reading)
        atoms = read_lammps_dump_text(
            StringIO(_prepared(text, columns)), index=0, units=read_as(style)
        )
        for name in _UNWRAPPED if "x" in columns or "xs" in columns else ():
            if f"f_{name}" in atoms.arrays:
                atoms.arrays[f"f_{name}"] *= unit_size("distance", style)
        if style == "lj" and atoms.has("momenta"):
            atoms.arrays["momenta"] /= unit_size("velocity", "metal")
        if atoms.calc is not None:
            atoms.calc.results.pop("energy", None)
            atoms.calc.atoms = atoms.copy()
        if "TIME" in told:
            atoms.info["time"] = float(told["TIME"]) * unit_size("time", style)
        table = _columns(text, columns, ("element", "mass"))
        set_identities(atoms, reading, _labels(atoms, table, style))
        yield atoms


def _style(told: str, reading: Reading) -> str:
    """The unit style of a dump: the user's, the file's own, which only the first frame has, or
    metal."""
    if told and told not in unit_styles():
        raise ValueError(f"it tells units {told!r}, which are none of LAMMPS'")
    say_contradicted(told, reading)
    reading.units = reading.options.units or told or reading.units
    return reading.units or "metal"


def _say_units(columns: list[str], reading: Reading) -> None:
    if not reading.units:
        what = "lengths" + ", velocities" * ("vx" in columns) + ", forces" * ("fx" in columns)
        reading.assumed["units"] = (
            f"{what} are taken to be in LAMMPS' metal units (Angstrom, Angstrom/ps, eV/Angstrom),"
            " which the dump does not tell; --units tells others"
        )


def _prepared(text: str, columns: list[str]) -> str:
    """The text as ASE reads it: names of atoms that are no elements as X, image flags and unwrapped
    columns by names it keeps."""
    start = text.index("\n", text.index("ITEM: ATOMS")) + 1
    head, body = text[:start], text[start:]
    if {"x", "xs"} & set(columns):
        kept = {name: f"i_{name}" for name in _FLAGS} | {name: f"f_{name}" for name in _UNWRAPPED}
        before, _, _ = head.rpartition("ITEM: ATOMS")
        head = (
            before + " ".join(["ITEM: ATOMS", *(kept.get(name, name) for name in columns)]) + "\n"
        )
    if not {"element", "mass", "type"} & set(columns):
        return head.rstrip() + " type\n" + "".join(f"{row} 0\n" for row in body.splitlines())
    if "element" in columns:
        place = columns.index("element")
        rows = [row.split() for row in body.splitlines()]
        if not {row[place] for row in rows} <= _symbols():
            return head + "".join(
                " ".join([*row[:place], "X", *row[place + 1 :]]) + "\n" for row in rows
            )
    return head + body


def _symbols() -> set[str]:
    from ase.data import atomic_numbers

    return set(atomic_numbers)


def _columns(text: str, columns: list[str], wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Columns, of those that are there, in the order of ids, as ASE sorts atoms."""
    places = {name: columns.index(name) for name in (*wanted, "id") if name in columns}
    if not places.keys() & set(wanted):
        return {}
    start = text.index("\n", text.index("ITEM: ATOMS")) + 1
    rows = [row.split() for row in text[start:].splitlines()]
    found = {name: np.array([row[place] for row in rows]) for name, place in places.items()}
    order = np.argsort(found.pop("id").astype(int)) if "id" in found else np.arange(len(rows))
    return {name: values[order] for name, values in found.items()}


def _labels(atoms: Any, table: dict[str, np.ndarray], style: str) -> AtomLabels:
    """Elements and masses: of a column ``element``, else of a column ``mass`` or those that the
    user gave by type."""
    typed = "type" in atoms.arrays
    types = [str(one) for one in atoms.arrays["type"].tolist()] if typed else [""] * len(atoms)
    told = table["mass"].astype(float) * unit_size("mass", style) if "mass" in table else None
    names = table["element"].tolist() if "element" in table else types
    return AtomLabels(names, told, types, reduced=style == "lj")
