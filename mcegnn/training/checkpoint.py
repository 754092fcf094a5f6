"""Checkpoints of trainings: all that a resume needs. Read without torch, so that a folder's state
is known at once."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcegnn.names import TRAINED
from mcegnn.training.options import TrainingOptions, parse_recorded
from trajectories.storage.tensor_file import read_tensors


class TrainingCheckpoint(NamedTuple):
    """What `Trainer.save` wrote and `Trainer.restore` takes: weights and moments by name, and a
    header of plain values."""

    arrays: dict[str, np.ndarray]
    header: dict[str, Any]

    @property
    def options(self) -> TrainingOptions:
        """Options of the training. Raises ValueError if they are not valid."""
        return parse_recorded(self.header["options"])

    @property
    def trained(self) -> dict[str, np.ndarray]:
        """Numbers that identify its training data, by name; none in older checkpoints."""
        return {
            name.removeprefix(TRAINED): array
            for name, array in self.arrays.items()
            if name.startswith(TRAINED)
        }

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        damping = self.arrays.get("refinement.damping", np.zeros(()))
        return over(
            self.options,
            self.header["update"],
            self.header["since_best"],
            converged=not np.isfinite(damping).all(),
        )


def over(options: TrainingOptions, update: int, since_best: int, *, converged: bool) -> bool:
    """Whether a training ends after an update: it was the last, or validations no longer improve
    or, if there is a refinement, that has ``converged``."""
    ended = converged if options.task.n_final else stalled(options, since_best)
    return update >= options.total or ended


def stalled(options: TrainingOptions, since_best: int) -> bool:
    """Whether ``patience`` validations have passed without a new best: gradient descent ends, and a
    refinement begins."""
    return bool(options.patience and since_best >= options.patience)


def checkpoint(path: Path) -> TrainingCheckpoint:
    """Read a checkpoint. Raises FileNotFoundError if there is none, and ValueError if it is
    damaged."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path} to go on from")
    try:
        header, arrays = read_tensors(path)
        for name in ("options", "update", "best_error", "since_best", "seconds", "record"):
            header[name]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a checkpoint of a training, or a damaged one ({error})"
        ) from None
    return TrainingCheckpoint(arrays, header)
