"""Trajectories of other programs: whatever ASE or MDAnalysis opens becomes a run of ours, with which everything else then works."""

import json
import math
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import chain
from pathlib import Path

from integrators.state import State
from trajectories.durable import refuse_live
from trajectories.foreign import by_ase, by_mdanalysis
from trajectories.foreign.source import Lacking, Source
from trajectories.foreign.unwrapping import Unwrapper
from trajectories.whole import replacing, temporary_of
from trajectories.writer import H5MDWriter

__all__ = ["OURS", "import_trajectory", "is_ours"]

OURS = (".h5md", ".h5")  # what is taken for a run of ours, unless a topology goes with it
_NO_RUNS = {
    ".safetensors": "is a model, not a trajectory: mcegnn info tells what it is",
    ".checkpoint": "is a checkpoint; name the run beside it, or the training's folder",
    ".html": "is a page; name the run it was made of",
}


def is_ours(path: Path, topology: Path | None = None) -> bool:
    """Whether a file is taken for a run of ours."""
    return topology is None and path.suffix in OURS


def import_trajectory(
    path: str | Path, out: str | Path, topology: str | Path | None = None, *, spacing: float | None = None, keep_times: bool = False,
    overwrite: bool = False, told: Callable[[int, int], None] = lambda done, n: None,
) -> None:  # fmt: skip
    """Write a trajectory that ASE or MDAnalysis opens, with its topology where it takes one, as a run in metal units.

    ASE reads its own .traj, extended XYZ, LAMMPS dumps, and what MDAnalysis has no reader for (XDATCAR, vasprun.xml, ...): velocities,
    energies, forces and stress come along where all frames have them, and from a .traj that a run of ASE's dynamics wrote times, integrator
    and temperature. MDAnalysis reads all else; elements and masses that the files lack it guesses. Atoms that were wrapped into a cell are
    followed across its faces by image flags where a file has them, else by the nearest image, unless the file is unwrapped already or steps
    are too long for that; "unwrapping" of "assumed" says which, and "cannot_follow" why atoms could not be
    followed. ``spacing`` is the time from one frame to the
    next, in ASE's unit and ours, for files that tell no times; for others it is refused, unless they are to ``keep_times``.

    The run's provenance says under "missing" that there are no velocities, that some masses could not be guessed and are 1 u, or that
    there are no times and frames are 1 ps apart; under "spacing" that it was used; under "notes" what else is to be known. ``told``
    hears of frames done and in all. What ``out`` was stays until the whole is written.

    Raises FileNotFoundError where a file is missing, FileExistsError where ``out`` is there, unless ``overwrite``, `durable.Live` where
    another process writes it, and ValueError, in one sentence, where the files cannot be read or spacing is not positive.
    """
    if spacing is not None and not (spacing > 0 and math.isfinite(spacing)):
        raise ValueError(f"the time from one frame to the next must be positive, not {spacing}")
    path, out, topology = Path(path), Path(out), None if topology is None else Path(topology)
    if out.exists() and not overwrite:
        raise FileExistsError(17, "File exists", str(out))
    refuse_live(out)
    lacking: dict[str, str] = {}
    as_is = False
    temporary = temporary_of(out)
    with replacing(out, temporary):
        while True:
            source = _opened(path, topology, lacking)
            if spacing is not None and not keep_times and "times" not in source.missing and source.n_frames > 1:
                raise ValueError(f"{path} tells its times; leave out the time from one frame to the next")
            source.notes.extend(lacking.values())
            try:
                unwrap = Unwrapper(source.n_frames, source.assumed.get("unwrapping", ""), as_is=as_is)
                _write(source, temporary, spacing, unwrap, told)
                if as_is or not unwrap.leaves:
                    break
                as_is = True
            except Lacking as error:  # what not all frames have is left out of all
                if error.what in lacking:
                    raise
                lacking[error.what] = f"left out, since frame {error.frame} has none: {error.what}"


def _write(source: Source, out: Path, spacing: float | None, unwrap: Unwrapper, told: Callable[[int, int], None]) -> None:
    spaced = spacing if "times" in source.missing else None
    missing = [what for what in source.missing if what != "times" or spaced is None]
    known = json.dumps(source.known) if source.known else ""
    provenance = {"imported": source.files, "missing": ", ".join(missing), "configuration": known, "spacing": str(spaced or "")}
    states = (_followed(state, unwrap) for state in source.states)
    first = next(states)
    with H5MDWriter(
        out, first.system, names=source.names, provenance={name: text for name, text in provenance.items() if text},
        n_frames=source.n_frames, overwrite=True,
    ) as writer:  # fmt: skip
        for k, state in enumerate(chain((first,), states)):
            writer.write(state if spaced is None else replace(state, time=k * spaced))
            told(k + 1, source.n_frames)
        if source.notes:
            writer.record({"notes": "\n".join(source.notes)})
        unwrap.check_recorded()
        source.assumed["unwrapping"] = unwrap.words
        if unwrap.warning:
            writer.record({"cannot_follow": unwrap.warning})
        if source.assumed:
            writer.record({"assumed": json.dumps(source.assumed)})


def _followed(state: State, unwrap: Unwrapper) -> State:
    system = state.system
    return replace(state, system=replace(system, positions=unwrap(system.positions, system.cell, system.pbc)))


def _opened(path: Path, topology: Path | None, without: Collection[str]) -> Source:
    for file in filter(None, (topology, path)):
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        if file.suffix in _NO_RUNS:
            raise ValueError(f"{file} {_NO_RUNS[file.suffix]}")
    return by_ase.opened(path, without) if topology is None and by_ase.reads(path) else by_mdanalysis.opened(path, topology)
