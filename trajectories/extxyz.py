"""Lossless extended XYZ: ASE reads back all of an ``ase.Atoms`` with every digit.

ASE's own writer keeps eight decimals, which are none of a planet's momentum, and writes texts that
it reads back as numbers.
"""

import json
import re
from typing import Any, TextIO

import numpy as np

from systems.sources.template import is_result

_KINDS = {"f": "R", "i": "I", "u": "I", "b": "L", "U": "S"}
_COLUMNS = (
    "species",
    "pos",
    "z",
    "symbols",
    "numbers",
    "positions",
    "move_mask",
    "charge",
)  # what ASE takes for something else
_KEYS = ("lattice", "properties", "pbc")
_PLAIN = re.compile(r"[^\s\"'{}\[\]\\=]+")
_SHEAR = ((2, 1), (2, 0), (1, 0))  # Voigt's yz, xz, xy


class ExtendedXYZ:
    """Frames written to an open text file, one after the other; ``left_out`` names what the format
    has no place for."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._texts: dict[
            str, tuple[Any, str | None]
        ] = {}  # of info, which is often the same in all frames
        self.left_out: set[str] = set()

    def write(self, atoms: Any) -> None:
        """Write a frame with its info, arrays, FixAtoms, and the energy, forces and stress of its
        calculator."""
        columns = [
            ("species", "S", np.array(atoms.get_chemical_symbols())[:, None]),
            ("pos", "R", atoms.positions),
        ]
        columns += self._columns(atoms)
        pairs = self._pairs(atoms.info)
        results = getattr(atoms.calc, "results", {})
        if "forces" in results:
            columns.append(("forces", "R", np.asarray(results["forces"])))
        if "energy" in results:
            pairs.append(f"energy={float(results['energy'])!r}")
        if "stress" in results:
            pairs.append(f'stress="{_numbers(_matrix(results["stress"]))}"')
        lattice = [f'Lattice="{_numbers(atoms.cell[:])}"'] if atoms.cell.rank == 3 else []
        properties = ":".join(f"{name}:{kind}:{values.shape[1]}" for name, kind, values in columns)
        pbc = " ".join("T" if periodic else "F" for periodic in atoms.pbc)
        self._file.write(
            f"{len(atoms)}\n{' '.join([*lattice, f'Properties={properties}', *pairs])}"
            f' pbc="{pbc}"\n'
        )
        texts = [column for _, kind, values in columns for column in _text(kind, values)]
        self._file.writelines(" ".join(row) + "\n" for row in zip(*texts, strict=True))

    def _columns(self, atoms: Any) -> list[tuple[str, str, np.ndarray]]:
        from ase.constraints import FixAtoms

        found = []
        for name, array in atoms.arrays.items():
            if name in ("numbers", "positions"):
                continue
            if array.dtype == object and all(isinstance(word, str) for word in array.flat):
                array = array.astype(str)
            sound = (
                re.fullmatch(r"[^\s:\"'{}\[\]\\=]+", name)
                and name.lower() not in _COLUMNS
                and not is_result(name)
            )
            if not (sound and array.dtype.kind in _KINDS and array.ndim <= 2 and array.size):
                self.left_out.add(name)
                continue
            found.append((name, _KINDS[array.dtype.kind], array.reshape(len(atoms), -1)))
        held = np.zeros(len(atoms), dtype=bool)
        for constraint in atoms.constraints:
            if isinstance(constraint, FixAtoms):
                held[constraint.index] = True
            else:
                self.left_out.add(f"the constraint {type(constraint).__name__}")
        return [*found, ("move_mask", "L", ~held[:, None])] if held.any() else found

    def _pairs(self, info: dict[Any, Any]) -> list[str]:
        found = []
        for key, value in info.items():
            known = self._texts.get(key)
            if known is None or known[0] is not value:
                known = self._texts[key] = value, _pair(key, value)
            if known[1] is None:
                self.left_out.add(str(key))
            else:
                found.append(known[1])
        return found


def _pair(key: Any, value: Any) -> str | None:
    """``key=value`` as ASE reads it: plainly, else as JSON; None where neither gives it back."""
    from ase.io.extxyz import key_val_str_to_dict

    if not isinstance(key, str) or not key or key.lower() in _KEYS or is_result(key):
        return None
    for text in (_plainly(value), _as_json(value)):
        if text is None or "\n" in text or "\r" in text or "\n" in key or "\r" in key:
            continue
        pair = f"{_quoted(key)}={_quoted(text)}"
        try:
            read = key_val_str_to_dict(pair)
        except Exception:  # of a reader that meets what it does not expect
            continue
        if list(read) == [key] and _same(read[key], value):
            return pair
    return None


def _plainly(value: Any) -> str | None:
    """Of a text, a number, a truth value, or an array of one axis."""
    if isinstance(value, str):
        return value
    if not isinstance(value, bool | int | float | np.generic | np.ndarray):
        return None
    array = np.asarray(value)
    if array.ndim > 1 or array.dtype.kind not in "iufb" or not array.size:
        return None
    return " ".join(_word(number) for number in array.ravel().tolist())


def _as_json(value: Any) -> str | None:
    try:
        return "_JSON " + json.dumps(value, default=lambda other: other.tolist())
    except (TypeError, ValueError, AttributeError):
        return None


def _same(read: Any, value: Any) -> bool:
    """Whether what was read is the value; lists may have become arrays."""
    if isinstance(value, dict):
        return (
            isinstance(read, dict)
            and read.keys() == value.keys()
            and all(_same(read[key], value[key]) for key in value)
        )
    if isinstance(value, list | tuple):
        if not isinstance(read, list | np.ndarray) or len(read) != len(value):
            return False
        return all(_same(one, other) for one, other in zip(read, value, strict=True))
    if value is None or isinstance(value, str):
        return type(read) is type(value) and bool(read == value)
    one, other = np.asarray(read), np.asarray(value)
    number = one.dtype.kind in "iuf" and other.dtype.kind in "iuf"
    alike = one.shape == other.shape and (number or one.dtype == other.dtype == np.bool_)
    return alike and bool(np.array_equal(one, other, equal_nan=number))


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _word(number: Any) -> str:
    return ("T" if number else "F") if isinstance(number, bool) else repr(number)


def _numbers(matrix: Any) -> str:
    return " ".join(repr(float(number)) for number in np.ravel(matrix))


def _matrix(stress: Any) -> np.ndarray:
    """[3, 3] of itself or of Voigt's six; it is symmetric, so the order in which ASE takes its rows
    is of no account."""
    if np.shape(stress) != (6,):
        return np.reshape(stress, (3, 3))
    full = np.diag(stress[:3])
    for number, (row, column) in zip(stress[3:], _SHEAR, strict=True):
        full[row, column] = full[column, row] = number
    return full


def _text(kind: str, values: np.ndarray) -> list[list[str]]:
    """Each column's words, row by row."""
    if kind == "S":
        # a blank would begin another column
        return [["_".join(str(word).split()) or "_" for word in column] for column in values.T]
    return [[_word(number) for number in column] for column in values.T.tolist()]
