"""`Frozen`: an objective that leaves the network inside a canonicalizer as it is."""

from typing import Any

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.tasks.objective import Objective
from mcegnn.training.refinement import Refinement


class Frozen:
    """The gradients of another objective, without those of the model's ``inner_network``."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.warnings = objective.warnings
        self.refinement: Refinement | None = None

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """Those of the objective."""
        return self._objective.batch(update)

    def lr(self, update: int) -> float | None:
        """That of the objective."""
        return self._objective.lr(update)

    def accumulate(self, model: Any, which: np.ndarray, update: int) -> float:
        """Gradients of the canonicalizer alone: an optimizer does nothing without any."""
        model.inner_network.eval()  # or running means and the like would change
        loss = self._objective.accumulate(model, which, update)
        for weight in model.inner_network.parameters():
            weight.grad = None
        return loss

    def errors(self, model: Any, dataset: Dataset) -> tuple[np.ndarray, dict[str, float]]:
        """Those of the objective."""
        return self._objective.errors(model, dataset)

    def state(self) -> dict[str, np.ndarray]:
        """That of the objective."""
        return self._objective.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Restore that of the objective."""
        self._objective.restore(state)
