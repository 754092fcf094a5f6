"""Trajectories that ASE reads: its own, extended XYZ, and those of programs that MDAnalysis does not know."""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integrators.state import State
from systems.cell import complete
from systems.molecules import from_atoms
from systems.system import Evaluation
from systems.units import BY_NAME, METAL
from trajectories.foreign.source import Source

_OWN, _XYZ, _BETTER = (".traj",), (".xyz", ".extxyz"), (".cif",)  # of what MDAnalysis knows, what ASE reads with less
_CONSTANT_ENERGY = ("VelocityVerlet",)  # what conserves energy of ASE's dynamics; their names are in the file
_INSIDE = 1e-6  # in parts of a cell: files round their numbers


def reads(path: Path) -> bool:
    """Whether ASE is to read a file: what is ASE's own, and what MDAnalysis does not know and ASE does."""
    if path.suffix in (*_OWN, *_BETTER):
        return True
    if path.suffix in _XYZ:
        # names that are no elements are for MDAnalysis
        with warnings.catch_warnings(action="ignore"):
            try:
                return _first_xyz(path) is not None
            except Exception:
                return False
    from MDAnalysis.core._get_readers import get_reader_for

    try:
        get_reader_for(str(path))
    except (TypeError, ValueError):
        from ase.io.formats import UnknownFileTypeError, filetype

        try:
            return filetype(str(path), guess=False) is not None
        except (UnknownFileTypeError, OSError):
            return False
    return False


def opened(path: Path) -> Source:
    """A file of structures of the same atoms, one after the other; ValueError, in one sentence, where it cannot be read."""
    with _in_words(path):
        n_frames, frames, description = _frames(path)
        first = next(frames, None)
        if first is None or not len(first):
            raise ValueError("it holds no atoms or no frames")
    every = _every(description)
    timed = every > 0 or _tells_time(first) or n_frames == 1
    lacks = {"velocities": not first.has("momenta"), "masses": not first.numbers.all() and not first.has("masses"), "times": not timed}
    return Source(
        str(path), [str(name) for name in first.arrays.get("names", ())], n_frames, _states(path, first, frames, every),
        [what for what, is_so in lacks.items() if is_so], _known(first, description),
    )  # fmt: skip


def _first_xyz(path: Path) -> Any:
    from ase.io import read

    return read(path, index=0, format="extxyz")


def _frames(path: Path) -> tuple[int, Iterator[Any], dict[str, Any]]:
    """How many there are, they themselves, and what a .traj says of what wrote it."""
    if path.suffix in _OWN:
        from ase.io.trajectory import TrajectoryReader

        reader = TrajectoryReader(str(path))
        return len(reader), iter(reader), dict(getattr(reader, "description", None) or {})
    from ase.io import iread, read

    if path.suffix in _XYZ:
        return _count(path), iread(path, index=":", format="extxyz"), {}
    found = read(path, index=":")
    return len(found), iter(found), {}


def _count(path: Path) -> int:
    """Frames of an XYZ file."""
    n = 0
    with open(path, encoding="utf-8", errors="replace") as file:
        while (line := file.readline()).strip():
            for _ in range(int(line) + 1):
                file.readline()
            n += 1
    return n


def _every(description: dict[str, Any]) -> float:
    """The time from one frame to the next, in ASE's unit and ours, where its dynamics wrote the file; zero where that is not known."""
    if description.get("type") != "molecular-dynamics":
        return 0.0
    return float(description.get("timestep", 0.0)) * float(description.get("interval", 0))


def _tells_time(atoms: Any) -> bool:
    """Whether a frame was written by `trajectories.convert`; the unit of another program's "time" is anybody's guess."""
    return "time" in atoms.info and atoms.info.get("units") in BY_NAME


def _known(first: Any, description: dict[str, Any]) -> dict[str, Any]:
    """What the first frame and the file's header tell of the run."""
    from ase.constraints import FixAtoms

    held = [c.index for c in first.constraints if isinstance(c, FixAtoms)]
    known: dict[str, Any] = {"frozen": sorted({int(k) for index in held for k in np.atleast_1d(index)})} if held else {}
    if description or first.constraints:
        known["n_degrees"] = int(first.get_number_of_degrees_of_freedom())
    if optimizer := description.get("optimizer"):
        known["dynamics"] = f"{optimizer} of ASE, an optimisation"
    elif kind := description.get("md-type"):
        known["dynamics"] = f"{kind} of ASE"
        known["conserves_energy"] = kind in _CONSTANT_ENERGY
        if description.get("temperature_K"):
            known["temperature"] = [float(description["temperature_K"])]
    return known


def _states(path: Path, first: Any, frames: Iterator[Any], every: float) -> Iterator[State]:
    follow, k, atoms = _Follower(), 0, first
    evaluated = _evaluation(first) is not None
    while atoms is not None:
        with _in_words(path):
            if not np.array_equal(atoms.numbers, first.numbers):
                raise ValueError(f"frame {k} is of other atoms than the first: this is a set of structures, not a trajectory")
            units = BY_NAME.get(atoms.info.get("units", ""), METAL)
            system = replace(from_atoms(atoms), units=units, positions=follow(atoms))
            time = float(atoms.info["time"]) if _tells_time(atoms) else k * (every or METAL.convert(1.0, "ps"))
            evaluation = _evaluation(atoms) if evaluated else None
            if evaluated and evaluation is None:
                raise ValueError(f"frame {k} holds no energy and forces, and the first does")
        yield State(system, time, int(atoms.info.get("step", k)), evaluation)
        with _in_words(path):
            atoms, k = next(frames, None), k + 1


def _evaluation(atoms: Any) -> Evaluation | None:
    """Energy, forces and stress of a frame; None without forces. A stress is no pressure without the motion that goes with it."""
    from ase.stress import voigt_6_to_full_3x3_stress

    found = getattr(atoms.calc, "results", {})
    if "forces" not in found or "energy" not in found:
        return None
    stress = np.asarray(found["stress"], dtype=float) if "stress" in found and all(atoms.pbc) and atoms.has("momenta") else None
    if stress is not None and stress.shape == (6,):
        stress = voigt_6_to_full_3x3_stress(stress)
    return Evaluation(np.float64(found["energy"]), np.asarray(found["forces"], dtype=float), stress)


class _Follower:
    """Positions of one frame after the other. Where two frames lie wholly inside of their cells, they were wrapped into them, and atoms are
    followed across the faces; ASE's dynamics do not wrap."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._turns: Any = 0.0

    def __call__(self, atoms: Any) -> np.ndarray:
        x, cell = np.asarray(atoms.get_positions(), dtype=float), np.array(atoms.cell, dtype=float)
        if not any(atoms.pbc):
            return x
        inside = x @ np.linalg.inv(complete(cell))
        whole = bool(((inside > -_INSIDE) & (inside < 1.0 + _INSIDE) | ~np.asarray(atoms.pbc)).all())
        if whole and self._before is not None:
            self._turns = self._turns - np.where(atoms.pbc, np.rint(inside - self._before), 0.0)
        self._before = inside if whole else None
        return x + self._turns @ cell if np.any(self._turns) else x


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Each of ASE's readers fails in its own way."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except Exception as error:
        said = textwrap.shorten(" ".join(str(error).split()), 160, placeholder=" ...") or type(error).__name__
        raise ValueError(f"{path} cannot be read as a trajectory: {said}") from None
