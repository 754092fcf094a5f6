"""Trajectories that MDAnalysis reads."""

import gc
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integrators.state import State
from systems.sources.atoms_files import RefusedFileError
from systems.sources.file_options import FileOptions, Reading
from systems.sources.lammps_files import flag_columns, is_dump
from systems.system import System
from systems.units import METAL
from trajectories.foreign.cells import Cells
from trajectories.foreign.h5md_species import atomic_numbers, left_unread
from trajectories.foreign.mdanalysis_files import clock_of, identities_of, sizes_of, without_offsets
from trajectories.foreign.source import SOME_VELOCITIES, Lacking, Source, said, virtual_sites
from trajectories.foreign.unwrapping import recorded_positions

_TOPOLOGY = "formats without atoms' names need --topology FILE (PDB, GRO, PSF, ...)"
_NO_TOPOLOGY = (
    "minimally inferred",
    "number of atoms",
)  # of what MDAnalysis says where a reader needs a topology to begin


def opened(
    path: Path, topology: Path | None, options: FileOptions, without: Collection[str] = ()
) -> Source:
    """A trajectory, with its topology where it takes one, read as ``options`` say; ValueError, in
    one sentence, where it cannot be.

    ``without`` may hold `SOME_VELOCITIES`. Frames without times are 1 ps apart, masses that could
    not be guessed are 1 u.
    """
    sources, reading = [p for p in (topology, path) if p is not None], Reading(options)
    numbers = atomic_numbers(path) if topology is None else None
    left_open = ExitStack()  # until the last frame is read
    with _in_words(path, topology, options=options), ExitStack() as failed:
        failed.push(left_open)
        u, heard = _universe(
            [left_open.enter_context(without_offsets(p)) for p in sources], options, numbers
        )
        left_open.callback(u.trajectory.close)
        atoms = u.atoms
        if not atoms.n_atoms or not len(u.trajectory):
            raise ValueError("it holds no atoms or no frames")
        clock = clock_of(u, reading)
        length, velocity = sizes_of(u, reading)
        fixed = identities_of(u, reading)
        failed.pop_all()
    incomplete = any("Not all velocities were present" in text for text in heard)
    if numbers is not None and (unread := left_unread(path)):
        reading.notes.append(f"of the H5MD file are not read: {', '.join(unread)}")
    if incomplete:
        reading.notes.append("left out, since not all atoms have them: velocities")
    moving = (bool(u.trajectory.ts.has_velocities) and not incomplete) or SOME_VELOCITIES in without
    names = [str(name) for name in atoms.names] if hasattr(atoms, "names") else []
    with _in_words(path, topology):
        cells = Cells(u.trajectory)
        periodic = cells.periodic(u.trajectory.ts)
    if cells.assumed:
        reading.assumed["orientation"] = cells.assumed
    ts = u.trajectory.ts
    if periodic and (unwrapping := recorded_positions(ts.positions, cells(ts), _images(u))[1]):
        reading.assumed["unwrapping"] = unwrapping
    lacks = {
        "velocities": not moving,
        "masses": bool(reading.massless),
        "times": not clock.told and len(u.trajectory) > 1,
    }
    known = virtual_sites(fixed["masses"], reading)

    def states() -> Iterator[State]:
        with left_open:
            for k in range(len(u.trajectory)):
                with _in_words(path, topology, k):
                    ts = u.trajectory[k]
                    if ts.has_velocities and not moving and not incomplete:
                        raise Lacking(SOME_VELOCITIES, k)
                    if periodic != cells.periodic(ts):
                        raise ValueError(
                            f"the cell of frame {k if periodic else 0} has no volume, and other"
                            " frames have cells"
                        )
                    state = State(
                        _system(u, fixed, cells if periodic else None, moving, length, velocity),
                        clock.at(ts, k),
                        k,
                    )
                yield state

    missing = [what for what, is_so in lacks.items() if is_so]
    files = ", ".join(map(str, sources))
    return Source(
        files, names, len(u.trajectory), states(), missing, known, reading.notes, reading.assumed
    )


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


def _universe(
    sources: list[Path], options: FileOptions, numbers: np.ndarray | None
) -> tuple[Any, list[str]]:
    """The universe of a topology and a trajectory, or of a file that tells atomic ``numbers``, of
    which nothing is guessed yet; and what its readers warned of."""
    import MDAnalysis

    more: dict[str, Any] = {}
    if options.format:
        reader, name, more = options.reader
        if reader != "mdanalysis":
            raise RefusedFileError(f"{name} is a format of ASE, which takes no topology")
        more = {**more, "format": name}
        if len(sources) == 1 and name in MDAnalysis._PARSERS:
            more["topology_format"] = name
    if numbers is not None:
        return _of_species(sources[0], numbers), []
    if len(sources) > 1 and is_dump(sources[-1]):
        more = {"format": "LAMMPSDUMP", "additional_columns": flag_columns(sources[-1]), **more}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        u = _made(sources, more)
    return u, [str(one.message) for one in heard]


def _of_species(path: Path, numbers: np.ndarray) -> Any:
    """The universe of an H5MD file, which needs no topology where it tells atomic numbers."""
    import MDAnalysis
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[z] for z in numbers]
    u = MDAnalysis.Universe.empty(len(numbers), trajectory=False)
    for attribute in ("names", "types", "elements"):
        u.add_TopologyAttr(attribute, symbols)
    u.load_new(str(path), format="H5MD")
    return u


def _made(sources: list[Path], more: dict[str, Any]) -> Any:
    """A universe; a reader that fails half made is dropped at once, for it complains on standard
    error when it is."""
    import MDAnalysis

    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        try:
            return MDAnalysis.Universe(*map(str, sources), to_guess=(), **more)
        except Exception as error:
            failure = said(
                str(error).rpartition("Error: ")[2]
            )  # of the parser's, without its path and class
        gc.collect()
        raise ValueError(failure)
    finally:
        sys.unraisablehook = hook


def _images(u: Any) -> dict[str, Any]:
    """Image flags of a frame: columns of a LAMMPS dump, or an element of H5MD, which MDAnalysis
    leaves where it is."""
    ts, group = u.trajectory.ts, getattr(u.trajectory, "_particle_group", {})
    return {**ts.data, "image": group["image/value"][ts.frame]} if "image" in group else ts.data


def _system(
    u: Any, fixed: dict[str, Any], cells: Cells | None, moving: bool, length: float, velocity: float
) -> System:
    """The system of a frame; velocities are not a number where only other frames have some."""
    ts = u.trajectory.ts
    lattice, x = None if cells is None else cells(ts), np.asarray(ts.positions, dtype=float)
    if lattice is not None:
        x, _ = recorded_positions(x, lattice, _images(u))
    x = x * length
    v = (
        np.asarray(ts.velocities, dtype=float) * velocity
        if moving and ts.has_velocities
        else np.zeros_like(x)
    )
    system = System.create(x, velocities=v, **fixed, units=METAL)
    if moving and not ts.has_velocities:
        system = replace(system, momenta=np.full_like(x, np.nan))
    return system if lattice is None else replace(system, cell=lattice * length, pbc=(True,) * 3)
