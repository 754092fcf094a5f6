"""`Objective`: the interface of what a trainer minimises."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from mcegnn.data.dataset import Dataset
    from mcegnn.training.refinement import Refinement


class Objective(Protocol):
    """What the trainer minimises: a loss with its gradients, batch by batch. ``warnings`` are for
    the caller to show and to clear; ``refinement`` takes over after gradient descent."""

    warnings: list[str]
    refinement: "Refinement | None"

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """The samples that may be in this update's batch, and how many of them are."""

    def lr(self, update: int) -> float | None:
        """The learning rate before warm-up and schedule, where it is the task's to say."""

    def accumulate(self, model: Any, which: np.ndarray, update: int) -> float:
        """Add the loss's gradients over these samples to the model's; returns the loss."""

    def errors(self, model: Any, dataset: "Dataset") -> tuple[np.ndarray, dict[str, float]]:
        """Each sample's error, of which the mean decides what is best, and means of what it is made
        of, by name."""

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that a resumed run needs beside the weights."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Restore such a state."""
