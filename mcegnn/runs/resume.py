"""Where a rollout begins or is resumed: read back from its file and its checkpoint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from integrators.state import State
from mcegnn.runs.provenance import changed_conditions
from mcegnn.simulation import Configuration, configuration_from
from systems.system import System
from trajectories.storage import checkpoint
from trajectories.storage.h5md import H5MDReader


@dataclass(frozen=True, eq=False)
class Position:
    """A rollout's ``state``, with ``n_frames`` frames in its file.

    ``lost`` are systems of an ensemble that diverged before, and the steps at which they did;
    ``frame`` is the last frame's system where the state is beyond it, ``first`` the run's first
    state, None where it is this one. ``new`` says that there is no file yet, ``overwrite`` that
    what has its name, if anything, is to be overwritten.
    """

    state: State
    n_frames: int = 0
    lost: Mapping[int, int] = field(default_factory=dict)
    frame: System | None = None
    first: State | None = None
    new: bool = False
    overwrite: bool = False


@dataclass(frozen=True, eq=False)
class SavedRollout:
    """A stopped rollout, and warnings about resuming it."""

    configuration: Configuration
    position: Position
    warnings: tuple[str, ...] = ()


def saved_rollout(path: Path) -> SavedRollout:
    """Read the rollout of a file and its checkpoint.

    Raises FileNotFoundError, OSError or ValueError, in one sentence, if the file or its checkpoint
    is missing or damaged, or if they do not belong together.
    """
    if checkpoint.path_of(path).is_file():
        saved = checkpoint.load(path)
        if not saved.state.step:
            # stopped before its file was there: what has its name now, if anything, was to be
            # overwritten
            position = Position(saved.state, new=True, overwrite=True)
            return SavedRollout(configuration_from(saved.configuration), position)
        if not path.exists():
            raise FileNotFoundError(
                f"there is no file {path}, of which its checkpoint holds {saved.n_frames} frames;"
                " put it back"
            )
    with H5MDReader(path) as reader:
        held, provenance = len(reader), reader.provenance
        saved = checkpoint.load(path)
        configuration = configuration_from(saved.configuration)
        began_as = configuration_from(json.loads(provenance.get("configuration", "{}")))
        if not began_as.same_run(configuration):
            raise ValueError(
                f"the checkpoint of {path} is another run's: their configurations differ"
            )
        if saved.n_frames > held:
            raise ValueError(
                f"{path} holds {held} frames but its checkpoint stands for {saved.n_frames}; they"
                " do not belong together"
            )
        first = reader[0] if held else None
    changed = changed_conditions(provenance)
    warning = f"the bits of this run may differ from here on: {', '.join(changed)}"
    position = Position(saved.state, saved.n_frames, saved.lost, saved.frame, first)
    return SavedRollout(configuration, position, (warning,) if changed else ())
