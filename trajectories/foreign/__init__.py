"""Trajectories of other programs: whatever ASE or MDAnalysis opens is converted to a run's file,
which all analyses read."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from integrators.state import State
from systems.sources import atoms_files
from systems.sources.file_options import FileOptions
from systems.sources.template import to_text
from trajectories.foreign import by_ase, by_mdanalysis
from trajectories.foreign.h5md_species import atomic_numbers
from trajectories.foreign.source import SOME_VELOCITIES, Lacking, Source
from trajectories.foreign.unwrapping import NEAREST, Unwrapper
from trajectories.storage.atomic_write import replacing, temporary_path
from trajectories.storage.locks import Lock, check_not_in_use
from trajectories.storage.writer import H5MDWriter

__all__ = ["OURS", "import_trajectory", "is_ours"]

OURS = (".h5md", ".h5")  # what is taken for a run of ours, unless a topology goes with it
_NO_RUNS = {
    ".safetensors": "is a model, not a trajectory: mcegnn info tells what it is",
    ".checkpoint": "is a checkpoint; name the run beside it, or the training's folder",
    ".html": "is a page; name the run it was made of",
}


def is_ours(path: Path, topology: Path | None = None) -> bool:
    """Whether a file is taken for a run of mcegnn: by its name, unless it is an H5MD file whose
    species are elements."""
    return topology is None and path.suffix in OURS and atomic_numbers(path) is None


def import_trajectory(
    path: str | Path,
    out: str | Path,
    topology: str | Path | None = None,
    *,
    frame_interval: float | None = None,
    units: str = "",
    format: str = "",
    masses: Mapping[str, float] | None = None,
    overwrite: bool = False,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> None:
    """Convert a trajectory that ASE or MDAnalysis opens, with its topology if it needs one, to a
    run's file in metal units.

    ASE reads its own .traj, extended XYZ, LAMMPS dumps and data files, and what MDAnalysis has no
    reader for (XDATCAR, vasprun.xml, ...): energies, forces and stress come along where all frames
    have them, velocities where some have, and from a .traj that a run of ASE's dynamics wrote
    times, integrator and temperature. MDAnalysis reads all else. Elements and masses that the files
    lack are guessed. Atoms that were wrapped into a cell are followed across its faces by image
    flags where a file has them, else by the nearest image, unless the file is unwrapped already or
    steps are too long for that; "unwrapping" of "assumed" says which, and "cannot_follow" why atoms
    could not be followed.

    Options give what a file lacks or has wrong: ``frame_interval``, the time from one frame to the
    next in ASE's unit and ours; ``units``, a unit style of LAMMPS; ``format``, any of ASE's or
    MDAnalysis', with options ("lammps-data:atom_style=charge"); ``masses`` in u, by element or by
    name or type of atom.

    The run's provenance says under "missing" that there are no velocities, that some masses could
    not be guessed and are 1 u, or that there are no times and frames are 1 ps apart; under
    "assumed" what was decided where the file does not tell; under "notes" what else is to be known.
    ``told`` is called with the number of frames done and of all. An existing ``out`` stays until
    the whole is written.

    Raises FileNotFoundError if a file is missing, FileExistsError if ``out`` exists, unless
    ``overwrite``, `locks.FileInUseError` if another process writes it, and ValueError, in one
    sentence, if the files cannot be read or an option is not valid.
    """
    options = FileOptions(frame_interval, units, format, masses or {})
    path, out, topology = Path(path), Path(out), None if topology is None else Path(topology)
    if out.exists() and not overwrite:
        raise FileExistsError(17, "File exists", str(out))
    check_not_in_use(out)
    lacking: dict[str, str] = {}
    how, tried = NEAREST, {NEAREST}
    temporary = temporary_path(out)
    with Lock(out), replacing(out, temporary):
        while True:
            source = _opened(path, topology, options, lacking)
            source.notes.extend(filter(None, lacking.values()))
            try:
                unwrap = Unwrapper(source.n_frames, source.assumed.get("unwrapping", ""), how)
                _write(source, temporary, unwrap, told)
                if unwrap.better in tried:
                    break
                how = unwrap.better
                tried.add(how)
            except Lacking as error:  # what not all frames have is left out of all
                if error.what in lacking:
                    raise
                some = error.what == SOME_VELOCITIES
                lacking[error.what] = (
                    "" if some else f"left out, since frame {error.frame} has none: {error.what}"
                )


def _write(source: Source, out: Path, unwrap: Unwrapper, told: Callable[[int, int], None]) -> None:
    known = json.dumps(source.known) if source.known else ""
    provenance = {
        "imported": source.files,
        "missing": ", ".join(source.missing),
        "configuration": known,
    }
    states = (_followed(state, unwrap) for state in source.states)
    first = next(states)
    still = []
    with H5MDWriter(
        out,
        first.system,
        names=source.names,
        provenance={name: text for name, text in provenance.items() if text},
        n_frames=source.n_frames,
        overwrite=True,
    ) as writer:
        for k, state in enumerate(chain((first,), states)):
            writer.write(state)
            still += [] if np.isfinite(state.system.momenta).all() else [k]
            told(k + 1, source.n_frames)
        if still:
            source.notes.append(
                f"{len(still):,} of {k + 1:,} frames hold no velocities, the first of them"
                f" {still[0]}: what takes them is of the others"
            )
        if source.notes:
            writer.record({"notes": "\n".join(source.notes)})
        unwrap.check_recorded()
        source.assumed.update({"unwrapping": unwrap.words} if unwrap.words else {})
        if unwrap.warning:
            writer.record({"cannot_follow": unwrap.warning})
        if source.assumed:
            writer.record({"assumed": json.dumps(source.assumed)})
        if source.template is not None and (text := to_text(source.template)):
            writer.record({"template": text})


def _followed(state: State, unwrap: Unwrapper) -> State:
    system = state.system
    return replace(
        state, system=replace(system, positions=unwrap(system.positions, system.cell, system.pbc))
    )


def _opened(
    path: Path, topology: Path | None, options: FileOptions, without: Collection[str]
) -> Source:
    for file in filter(None, (topology, path)):
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        if file.suffix in _NO_RUNS:
            raise ValueError(f"{file} {_NO_RUNS[file.suffix]}")
        try:
            atoms_files.check_readable(file)
        except atoms_files.RefusedFileError as error:
            raise ValueError(f"{file}: {error}") from None
    if topology is None and by_ase.reads(path, options.format):
        return by_ase.opened(path, options, without)
    return by_mdanalysis.opened(path, topology, options, without)
