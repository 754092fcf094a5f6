"""From options to a run that labels structures: those of a file, or those along dynamics."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcegnn.runs.atoms_options import atoms_run, check_forces
from mcegnn.runs.label import LabelRun, check_label_files
from mcegnn.runs.label_sources import AlongDynamics, OfFile
from mcegnn.runs.times import Times
from mcegnn.simulation import AtomsRun
from systems.sources.file_options import FileOptions

_FORCES = ("calculator", "potential")
_OF_FILES = ("units", "format", "masses")
_EVERY = 10  # steps from one structure to the next, where they divide the run


def label_run(
    file: str, path: Path, times: Times, options: Mapping[str, Any], *, overwrite: bool = False
) -> tuple[LabelRun, list[str]]:
    """Return the run of these options, and warnings; ``options`` are named as on the command line,
    None where they were not given.

    Raises ValueError, RuntimeError or OSError, in one sentence, if it cannot begin.
    """
    check_label_files(file, path, overwrite)
    check_forces(file, options)
    if times.steps is not None:
        config, warnings = _dynamics(file, times, options)
        return LabelRun(AlongDynamics(config), path, overwrite=overwrite), warnings
    given = {**options, "every": times.every, "dt": times.dt}
    for name, value in given.items():
        if value is not None and name not in (*_FORCES, *_OF_FILES):
            raise ValueError(
                f"--{name} is of dynamics: add --steps N, or leave it out to label the structures"
                f" of {file} as they are"
            )
    said = FileOptions.parse(**{name: options[name] for name in _OF_FILES})
    forces = {name: options[name] or "" for name in _FORCES}
    return LabelRun(OfFile(file, **forces, options=said), path, overwrite=overwrite), []


def _dynamics(file: str, times: Times, options: Mapping[str, Any]) -> tuple[AtomsRun, list[str]]:
    """The rollout along which structures are labelled, every ten steps where that divides them."""
    assert times.steps is not None
    if times.every is None and times.steps % _EVERY == 0:
        times = replace(times, every=_EVERY)
    chosen = {**options, "ensemble": options["ensemble"] or "nvt"}
    given = {name: value for name, value in chosen.items() if value is not None}
    return atoms_run(file, None, times, given)
