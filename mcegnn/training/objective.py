"""The objective of trainers: the mean of a task's loss over batches, and a check for all
objectives."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mcegnn.training.options import TrainingOptions
from mcegnn.training.refinement import Refinement

if TYPE_CHECKING:
    from mcegnn.data.dataset import Dataset
    from mcegnn.data.split import Split
    from mcegnn.tasks.task import Task


class MeanLoss:
    """`Task.loss` of batches of any systems, always as many."""

    def __init__(self, task: "Task", options: TrainingOptions, train: "Dataset") -> None:
        self._task, self._options, self._train = task, options, train
        self.warnings: list[str] = []
        self.refinement: Refinement | None = None

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """Any systems."""
        return np.arange(len(self._train)), self._options.batch

    def lr(self, update: int) -> float | None:
        """The trainer's."""
        return None

    def accumulate(self, model: Any, which: np.ndarray, update: int) -> float:
        """Backward through the loss, once."""
        loss = self._task.loss(model, self._train.take(which), self._options)
        loss.backward()
        return float(loss.detach())

    def errors(self, model: Any, dataset: "Dataset") -> tuple[np.ndarray, dict[str, float]]:
        """The task's own."""
        return self._task.errors(model, dataset, self._options)

    def state(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing."""


def check_species(split: "Split", model: Any) -> None:
    """Raise ValueError if these parts of the data hold elements unknown to the model, before
    training instead of at the first validation."""
    for part in ("validation", "test"):
        try:
            model.kinds(getattr(split, part).species)
        except ValueError as error:
            raise ValueError(
                f"{error}; samples of the {part} hold such atoms: take them out, or set"
                " another data.seed"
            ) from None
