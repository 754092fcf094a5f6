"""Trajectories that MDAnalysis reads."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integrators.state import State
from systems.system import System
from systems.units import METAL
from trajectories.foreign.cells import Cells
from trajectories.foreign.source import Source, said

_TOPOLOGY = "formats without atoms' names need --topology FILE (PDB, GRO, PSF, ...)"


def opened(path: Path, topology: Path | None) -> Source:
    """A trajectory, with its topology where it takes one; ValueError, in one sentence, where they cannot be read.

    Wrapped atoms are followed by MDAnalysis' NoJump. Frames without times are 1 ps apart, masses that could not be guessed are 1 u.
    """
    sources = [p for p in (topology, path) if p is not None]
    with _in_words(path, topology):
        u, timed = _universe(sources)
        atoms = u.atoms
        if not atoms.n_atoms or not len(u.trajectory):
            raise ValueError(f"{path} holds no atoms or no frames")
        periodic = u.trajectory.ts.dimensions is not None and bool(np.all(u.trajectory.ts.dimensions[:3] > 0))
        moving = bool(u.trajectory.ts.has_velocities)
        if periodic:
            from MDAnalysis.transformations.nojump import NoJump

            u.trajectory.add_transformations(NoJump(check_continuity=False))
    names = [str(name) for name in atoms.names] if hasattr(atoms, "names") else []
    if not hasattr(atoms, "masses"):
        raise ValueError(f"{path} holds no names of atoms; {_TOPOLOGY}")
    masses = np.asarray(atoms.masses, dtype=float)
    fixed = {"masses": np.where(masses > 0, masses, 1.0), "species": _species(atoms), "charges": getattr(atoms, "charges", 0.0)}
    with _in_words(path, topology):
        cells = Cells(u.trajectory)
    assumed = {"orientation": cells.assumed} if cells.assumed else {}
    lacks = {"velocities": not moving, "masses": not (masses > 0).all(), "times": not timed and len(u.trajectory) > 1}

    def states() -> Iterator[State]:
        picoseconds = METAL.convert(1.0, "ps")
        for k in range(len(u.trajectory)):
            with _in_words(path, topology):
                ts = u.trajectory[k]
                state = State(_system(u, fixed, cells if periodic else None, picoseconds), float(ts.time) * picoseconds, k)
            yield state

    missing = [what for what, is_so in lacks.items() if is_so]
    return Source(", ".join(map(str, sources)), names, len(u.trajectory), states(), missing, assumed=assumed)


@contextmanager
def _in_words(path: str | Path, topology: str | Path | None) -> Iterator[None]:
    """What MDAnalysis raises for a file it cannot read is of many kinds, and long."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except Exception as error:
        hint = "" if topology is not None else f"; {_TOPOLOGY}"
        raise ValueError(f"MDAnalysis cannot read {path}{hint} ({said(error)})") from None


def _universe(sources: list[Path]) -> tuple[Any, bool]:
    """The universe, and whether its files tell times."""
    import MDAnalysis

    u = MDAnalysis.Universe(*map(str, sources), to_guess=("masses",))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        timed = (
            u.trajectory.ts.time is not None
            and u.trajectory.format != "LAMMPSDUMP"
            and not any("no dt information" in str(one.message) for one in told)
        )
    if not hasattr(u.atoms, "elements"):
        try:
            u.guess_TopologyAttrs(to_guess=["elements"])
        except Exception:
            return u, timed  # beads of a coarse model have none
    return u, timed


def _species(atoms: Any) -> np.ndarray:
    """Atomic numbers; 0 of what is no element."""
    from ase.data import atomic_numbers

    if not hasattr(atoms, "elements"):
        return np.zeros(atoms.n_atoms, dtype=np.int64)
    return np.array([atomic_numbers.get(str(symbol).capitalize(), 0) for symbol in atoms.elements], dtype=np.int64)


def _system(u: Any, fixed: dict[str, Any], cells: Cells | None, picoseconds: float) -> System:
    """The frame that is being looked at."""
    ts = u.trajectory.ts
    x = np.asarray(ts.positions, dtype=float)
    velocities = np.asarray(ts.velocities, dtype=float) / picoseconds if ts.has_velocities else np.zeros_like(x)
    cell = None if cells is None else cells(ts)
    return replace(System.create(x, velocities=velocities, **fixed, units=METAL), cell=cell, pbc=(cell is not None,) * 3)
