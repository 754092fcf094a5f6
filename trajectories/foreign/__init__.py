"""Trajectories of other programs: whatever ASE or MDAnalysis opens becomes a run of ours, with which everything else then works."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from trajectories.foreign import by_ase, by_mdanalysis
from trajectories.foreign.source import Source
from trajectories.writer import H5MDWriter

__all__ = ["OURS", "import_trajectory"]

OURS = (".h5md", ".h5")  # what is taken for a run of ours, unless a topology goes with it
_NO_RUNS = {
    ".safetensors": "is a model, not a trajectory: mcegnn info tells what it is",
    ".checkpoint": "is a checkpoint; name the run beside it, or the training's folder",
    ".html": "is a page; name the run it was made of",
}


def import_trajectory(
    path: str | Path, out: str | Path, topology: str | Path | None = None, *, spacing: float | None = None, overwrite: bool = False,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> None:  # fmt: skip
    """Write a trajectory that ASE or MDAnalysis opens, with its topology where it takes one, as a run in metal units.

    ASE reads its own .traj, extended XYZ, and what MDAnalysis has no reader for (XDATCAR, vasprun.xml, ...): velocities, energies, forces
    and stress come along where they are there, and from a .traj that ASE's dynamics wrote times, integrator and temperature. MDAnalysis
    reads all else; elements and masses that the files lack it guesses. Atoms that were wrapped into a cell are followed across its faces,
    by no longer way than half a cell from one frame to the next.

    ``spacing`` is the time from one frame to the next, in the run's unit, for files that do not tell or tell wrongly.

    The run's provenance says under "missing" that there are no velocities, that some masses could not be guessed and are 1 u, or that
    there are no times and frames are 1 ps apart. ``told`` hears of frames done and in all. Raises FileNotFoundError where a file is
    missing, ValueError, in one sentence, where it cannot be read or spacing is not positive, and as `H5MDWriter`.
    """
    if spacing is not None and not (spacing > 0 and math.isfinite(spacing)):
        raise ValueError(f"the time from one frame to the next must be positive, not {spacing}")
    source = _opened(Path(path), None if topology is None else Path(topology))
    missing = [what for what in source.missing if what != "times" or spacing is None]
    known = json.dumps(source.known) if source.known else ""
    provenance = {"imported": source.files, "missing": ", ".join(missing), "configuration": known}
    provenance = {name: text for name, text in provenance.items() if text}
    states = iter(source.states)
    first = next(states)
    with H5MDWriter(
        out, first.system, names=source.names, provenance=provenance, n_frames=source.n_frames, overwrite=overwrite
    ) as writer:  # fmt: skip
        for k, state in enumerate(chain((first,), states)):
            writer.write(state if spacing is None else replace(state, time=k * spacing))
            told(k + 1, source.n_frames)


def _opened(path: Path, topology: Path | None) -> Source:
    for file in filter(None, (topology, path)):
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        if file.suffix in _NO_RUNS:
            raise ValueError(f"{file} {_NO_RUNS[file.suffix]}")
    return by_ase.opened(path) if topology is None and by_ase.reads(path) else by_mdanalysis.opened(path, topology)
