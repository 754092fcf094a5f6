"""Files read by ASE: their frames one by one, and what they hold about the run that wrote them."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from systems.sources import atoms_files, extended_xyz, lammps_dumps, lammps_files
from systems.sources.atoms_files import ending
from systems.sources.file_options import FileOptions, Reading

_PACKED = (".gz", ".bz2", ".xz")
_OWN = ".traj"
_BETTER = (".cif", ".db")  # MDAnalysis claims to know them, and wants other packages or a topology


@dataclass
class Frames:
    """Frames, as they are read, and how many are to be expected. ``description`` is of a .traj that
    ASE's dynamics or optimizers wrote."""

    n: int
    frames: Iterator[Any]
    description: dict[str, Any] = field(default_factory=dict)


def reads(path: Path, format: str = "") -> bool:
    """Whether ASE is to read a file: what is ASE's own, and what MDAnalysis reads less of, or not
    at all, and ASE does."""
    if format:
        return Reading(FileOptions(format=format)).options.reader[0] == "ase"
    if ending(path) in extended_xyz.ENDINGS or ending(path) in (_OWN, *_BETTER):
        return True
    return lammps_files.is_dump(path) or lammps_files.is_data(path) or _only_ase(path)


def frames_of(path: Path, reading: Reading) -> Frames:
    """The frames of a file, read as ``reading`` says. Raises whatever ASE does if it cannot read
    them."""
    kind, _ = atoms_files.kind_of(path, reading)
    if is_own(path) and kind in ("", "traj"):
        return _trajectory(path, reading)
    if kind in ("extxyz", "xyz"):
        return Frames(extended_xyz.count(path), atoms_files.frames(path, reading))
    if kind == "lammps-dump-text":
        return Frames(lammps_dumps.count_dump(path), atoms_files.frames(path, reading))
    found = list(_whole(path, reading))
    return Frames(len(found), iter(found))


def _whole(path: Path, reading: Reading) -> Iterator[Any]:
    """The frames of a file; of a trajectory of VASP's that ends within a frame those before it."""
    coding = {"encoding": "utf-8", "errors": "surrogateescape"}  # what is copied is not understood
    text = path.read_text(**coding) if "XDATCAR" in path.name else ""
    cut = _whole_xdatcar(text)
    if len(cut) == len(text):
        yield from atoms_files.frames(path, reading)
        return
    with tempfile.TemporaryDirectory(prefix="mcegnn-") as folder:
        (Path(folder) / path.name).write_text(cut, **coding)
        found = list(atoms_files.frames(Path(folder) / path.name, reading))
    reading.notes.append(f"frame {len(found)} cannot be read: the file ends within it")
    yield from found


def _whole_xdatcar(text: str) -> str:
    """The frames of a trajectory of VASP's of which all lines are there; all of the text where none
    is."""
    lines = text.splitlines(keepends=True)
    starts = [k for k, line in enumerate(lines) if line.startswith("Direct configuration")]
    counts = lines[starts[0] - 1].split() if starts and starts[0] else []
    n = sum(int(count) for count in counts if count.isdigit())
    ends = [
        start + 1 + n
        for start in starts
        if start + 1 + n <= len(lines) and lines[start + n].endswith("\n")
    ]
    whole = bool(ends) and not any(line.strip() for line in lines[ends[-1] :])
    return text if whole or not ends else "".join(lines[: ends[-1]])


def is_own(path: Path) -> bool:
    """Whether it is a .traj, the one that tells all of ASE's constraints."""
    return ending(path) == _OWN


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


def _trajectory(path: Path, reading: Reading) -> Frames:
    from ase.io.formats import open_with_compression
    from ase.io.trajectory import TrajectoryReader

    packed = path.suffix.lower() in _PACKED
    reader = TrajectoryReader(open_with_compression(str(path), "rb") if packed else str(path))
    found = Frames(
        len(reader),
        atoms_files.settled(path, reader, reading),
        dict(getattr(reader, "description", None) or {}),
    )
    seam = _seam(reader)
    if seam and found.description:
        # its header is the first run's
        found.description = {}
        reading.notes.append(
            f"the file holds several runs, the second from frame {seam} on: what moved the atoms,"
            " and when, is not told"
        )
    return found


def _seam(reader: Any) -> int:
    """The frame with which another run begins: each of ASE's writes its start again. Zero where it
    is a single run."""
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
