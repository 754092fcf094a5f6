"""What ASE's readers give of a file: its frames one by one, and what the file says of the run that wrote it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.foreign.unwrapping import keep_images

_PACKED = (".gz", ".bz2", ".xz")
_OWN, _XYZ = (".traj",), (".xyz", ".extxyz")
_BETTER = (".cif", ".db")  # MDAnalysis claims to know them, and wants other packages or a topology


@dataclass
class Frames:
    """Frames, as they are read, and how many are to be expected. ``description`` is of a .traj that ASE's dynamics or optimizers wrote.

    ``elements`` is False where atoms are of types that no file tells the elements of. ``notes`` are for whoever looks at the run.
    """

    n: int
    frames: Iterator[Any]
    description: dict[str, Any] = field(default_factory=dict)
    elements: bool = True
    notes: list[str] = field(default_factory=list)


def reads(path: Path) -> bool:
    """Whether ASE is to read a file: what is ASE's own, and what MDAnalysis reads less of, or not at all, and ASE does."""
    ending = _ending(path)
    if ending in _XYZ:
        try:
            return next(_xyz(path, []), None) is not None
        except Exception:  # names that are no elements are for MDAnalysis
            return False
    return ending in (*_OWN, *_BETTER) or _is_dump(path) or _only_ase(path)


def frames_of(path: Path) -> Frames:
    """The frames of a file; whatever ASE raises where it cannot read them."""
    from ase.io import read

    if is_own(path):
        return _trajectory(path)
    if _ending(path) in _XYZ:
        notes: list[str] = []
        return Frames(_count(path), _xyz(path, notes), notes=notes)
    if _is_dump(path):
        return _dump(path)
    found = read(path, index=":")
    return Frames(len(found), iter(found))


def is_own(path: Path) -> bool:
    """Whether it is a .traj, the one that tells all of ASE's constraints."""
    return _ending(path) in _OWN


def _ending(path: Path) -> str:
    """In small letters, without that of a compression."""
    endings = [suffix.lower() for suffix in path.suffixes]
    while endings and endings[-1] in _PACKED:
        endings.pop()
    return endings[-1] if endings else ""


def _lines(path: Path) -> Iterator[str]:
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path), "rt") as file:
        yield from file


def _is_dump(path: Path) -> bool:
    """Whether it is a text dump of LAMMPS, which may have any name."""
    with open(path, "rb") as file:
        return file.read(5) == b"ITEM:"


def _dump(path: Path) -> Frames:
    columns = next(line for line in _lines(path) if line.startswith("ITEM: ATOMS")).split()
    n = sum(line.startswith("ITEM: TIMESTEP") for line in _lines(path))
    units = ["a LAMMPS dump does not tell its units: velocities are taken to be in Angstrom/ps"] if "vx" in columns else []
    return Frames(n, _dumped(path), elements="element" in columns, notes=units)


def _dumped(path: Path) -> Iterator[Any]:
    """Frame after frame of a LAMMPS dump, with image flags and unwrapped columns among the arrays."""
    from ase.io.lammpsrun import read_lammps_dump_text

    text: list[str] = []
    for line in chain(_lines(path), ["ITEM: TIMESTEP"]):
        if line.startswith("ITEM: TIMESTEP") and text:
            yield read_lammps_dump_text(StringIO("".join(text)), index=0)
            text = []
        text.append(keep_images(line) if line.startswith("ITEM: ATOMS") else line)


def _only_ase(path: Path) -> bool:
    from ase.io.formats import UnknownFileTypeError, filetype
    from MDAnalysis.core._get_readers import get_reader_for

    try:
        get_reader_for(str(path))
        return False
    except (TypeError, ValueError):
        pass
    try:
        return filetype(str(path), guess=False) is not None
    except (UnknownFileTypeError, OSError):
        return False


def _xyz(path: Path, notes: list[str]) -> Iterator[Any]:
    """Frame after frame; EOFError within one that the file does not hold the whole of."""
    from ase.io.extxyz import read_xyz

    for text in _texts(path):
        if not text.endswith("\n"):
            notes.append("the last line of the file has no end: its last number may have lost digits")
        yield next(read_xyz(StringIO(text), 0))


def _texts(path: Path) -> Iterator[str]:
    lines = _lines(path)
    for line in lines:
        if not line.strip():
            continue
        frame = [line, *(next(lines, "") for _ in range(int(line) + 1))]
        if not frame[-1].strip():
            raise EOFError(f"the file ends within it, after {sum(map(bool, frame))} of {len(frame)} lines")
        yield "".join(frame)


def _count(path: Path) -> int:
    """Whole frames of an XYZ file."""
    n = 0
    try:
        for _ in _texts(path):
            n += 1
    except (EOFError, ValueError):
        pass
    return n


def _trajectory(path: Path) -> Frames:
    from ase.io.formats import open_with_compression
    from ase.io.trajectory import TrajectoryReader

    packed = path.suffix.lower() in _PACKED
    reader = TrajectoryReader(open_with_compression(str(path), "rb") if packed else str(path))
    found = Frames(len(reader), iter(reader), dict(getattr(reader, "description", None) or {}))
    seam = _seam(reader)
    if seam and found.description:
        # its header is the first run's
        found.description = {}
        found.notes.append(f"the file holds several runs, the second from frame {seam} on: what moved the atoms, and when, is not told")
    return found


def _seam(reader: Any) -> int:
    """The frame with which another run begins: each of ASE's writes its start again. Zero where it is a single run."""
    before = None
    for k in range(len(reader)):
        x = np.asarray(reader.backend[k].positions)
        if before is not None and np.array_equal(x, before):
            return k
        before = x
    return 0


def number(value: Any) -> float:
    """A positive number that a file tells; zero for anything else."""
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float(value) if real and math.isfinite(value) and value > 0 else 0.0
