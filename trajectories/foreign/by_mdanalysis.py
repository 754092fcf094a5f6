"""Trajectories that MDAnalysis reads."""

import warnings
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from integrators.state import State
from systems.sources.atoms_files import RefusedFileError
from systems.sources.file_options import FileOptions, Reading
from systems.system import System
from systems.units import METAL
from trajectories.foreign.cells import Cells
from trajectories.foreign.h5md_species import atomic_numbers, left_unread
from trajectories.foreign.mdanalysis_files import (
    Clock,
    clock_of,
    identities_of,
    sizes_of,
    without_offsets,
)
from trajectories.foreign.mdanalysis_universe import universe_of
from trajectories.foreign.source import SOME_VELOCITIES, Lacking, Source, said, virtual_sites
from trajectories.foreign.unwrapping import recorded_positions

_TOPOLOGY = "formats without atoms' names need --topology FILE (PDB, GRO, PSF, ...)"
# of what MDAnalysis says where a reader needs a topology to begin
_NO_TOPOLOGY = ("minimally inferred", "number of atoms")


def opened(
    path: Path, topology: Path | None, options: FileOptions, without: Collection[str] = ()
) -> Source:
    """Open a trajectory, with its topology if it needs one, read as ``options`` say. Raises
    ValueError, in one sentence, if it cannot be read.

    ``without`` may hold `SOME_VELOCITIES`. Frames without times are 1 ps apart, masses that could
    not be guessed are 1 u.
    """
    sources, reading = [p for p in (topology, path) if p is not None], Reading(options)
    numbers = atomic_numbers(path) if topology is None else None
    left_open = ExitStack()  # until the last frame is read
    with _in_words(path, topology, options=options), ExitStack() as failed:
        failed.push(left_open)
        opened_by = [left_open.enter_context(without_offsets(p)) for p in sources]
        u, heard = universe_of(opened_by, options, numbers)
        left_open.callback(u.trajectory.close)
        if not u.atoms.n_atoms or not len(u.trajectory):
            raise ValueError("it holds no atoms or no frames")
        clock = clock_of(u, reading)
        sizes = sizes_of(u, reading)
        fixed = identities_of(u, reading)
        failed.pop_all()
    incomplete = any("Not all velocities were present" in text for text in heard)
    if numbers is not None and (unread := left_unread(path)):
        reading.notes.append(f"of the H5MD file are not read: {', '.join(unread)}")
    if incomplete:
        reading.notes.append("left out, since not all atoms have them: velocities")
    moving = (bool(u.trajectory.ts.has_velocities) and not incomplete) or SOME_VELOCITIES in without
    with _in_words(path, topology):
        cells, periodic = _cells(u, reading)
    frames = _Frames(u, clock, sizes, fixed, cells, periodic, moving, incomplete)
    missing = {
        "velocities": not moving,
        "masses": bool(reading.massless),
        "times": not clock.told and len(u.trajectory) > 1,
    }
    return Source(
        ", ".join(map(str, sources)),
        [str(name) for name in u.atoms.names] if hasattr(u.atoms, "names") else [],
        len(u.trajectory),
        _states(path, topology, frames, left_open),
        [what for what, is_so in missing.items() if is_so],
        virtual_sites(fixed["masses"], reading),
        reading.notes,
        reading.assumed,
    )


def _cells(u: Any, reading: Reading) -> tuple[Cells, bool]:
    """What gives each frame its cell, and whether the first has one; assumptions about cells and
    positions are recorded."""
    cells, ts = Cells(u.trajectory), u.trajectory.ts
    periodic = cells.periodic(ts)
    if cells.assumed:
        reading.assumed["orientation"] = cells.assumed
    if periodic and (unwrapping := recorded_positions(ts.positions, cells(ts), _images(u))[1]):
        reading.assumed["unwrapping"] = unwrapping
    return cells, periodic


@dataclass(frozen=True, eq=False)
class _Frames:
    """Frames of a universe, and how they are read: ``sizes`` are what lengths and velocities are
    multiplied by, ``fixed`` is what all frames share; ``moving`` where they have velocities,
    ``incomplete`` where not all atoms do."""

    u: Any
    clock: Clock
    sizes: tuple[float, float]
    fixed: dict[str, Any]
    cells: Cells
    periodic: bool
    moving: bool
    incomplete: bool

    def state(self, k: int) -> State:
        """Frame k. Raises `Lacking` if it has velocities that the first has not, and ValueError if
        it alone has a cell, or none."""
        ts = self.u.trajectory[k]
        if ts.has_velocities and not self.moving and not self.incomplete:
            raise Lacking(SOME_VELOCITIES, k)
        if self.periodic != self.cells.periodic(ts):
            raise ValueError(
                f"the cell of frame {k if self.periodic else 0} has no volume, and other frames"
                " have cells"
            )
        return State(self._system(ts), self.clock.at(ts, k), k)

    def _system(self, ts: Any) -> System:
        """The system of a frame; velocities are not a number where only other frames have some."""
        length, velocity = self.sizes
        lattice = self.cells(ts) if self.periodic else None
        x = np.asarray(ts.positions, dtype=float)
        if lattice is not None:
            x, _ = recorded_positions(x, lattice, _images(self.u))
        x = x * length
        v = np.zeros_like(x)
        if self.moving and ts.has_velocities:
            v = np.asarray(ts.velocities, dtype=float) * velocity
        system = System.create(x, velocities=v, **self.fixed, units=METAL)
        if self.moving and not ts.has_velocities:
            system = replace(system, momenta=np.full_like(x, np.nan))
        if lattice is None:
            return system
        return replace(system, cell=lattice * length, pbc=(True,) * 3)


def _states(
    path: Path, topology: Path | None, frames: _Frames, left_open: ExitStack
) -> Iterator[State]:
    """All frames, one after the other; the files are closed at the end."""
    with left_open:
        for k in range(len(frames.u.trajectory)):
            with _in_words(path, topology, k):
                state = frames.state(k)
            yield state


@contextmanager
def _in_words(
    path: Path, topology: Path | None, frame: int | None = None, options: FileOptions | None = None
) -> Iterator[None]:
    """What MDAnalysis raises for a file it cannot read is of many kinds, and long."""
    import MDAnalysis  # noqa: F401  # it sets filters of warnings when it is imported

    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except Lacking:
        raise
    except RefusedFileError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:
        where = f"frame {frame} of {path}" if frame is not None else str(path)
        if topology is None and options is not None:
            where += _hint(path, options, str(error))
        raise ValueError(f"MDAnalysis cannot read {where} ({said(error)})") from None


def _hint(path: Path, options: FileOptions, error: str) -> str:
    """What may be wrong with a file that comes without a topology."""
    from MDAnalysis.core._get_readers import get_reader_for

    if "install" in error:  # of a package
        return ""
    try:
        reader = get_reader_for(str(path), options.reader[1] if options.format else None)
    except (TypeError, ValueError):
        return ", whose name does not tell its kind: --format tells it"
    kind = options.reader[1] if options.format else str(np.atleast_1d(reader.format)[0])
    return (
        f"; {_TOPOLOGY}"
        if any(words in error for words in _NO_TOPOLOGY)
        else f", which is no {kind} file, or a damaged one"
    )


def _images(u: Any) -> dict[str, Any]:
    """Image flags of a frame: columns of a LAMMPS dump, or an element of H5MD, which MDAnalysis
    leaves where it is."""
    ts, group = u.trajectory.ts, getattr(u.trajectory, "_particle_group", {})
    return {**ts.data, "image": group["image/value"][ts.frame]} if "image" in group else ts.data
