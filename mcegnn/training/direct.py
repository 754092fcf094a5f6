"""The loss of direct prediction, as gradients for the trainer."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcegnn.data.dataset import Dataset
from mcegnn.graph import complete
from mcegnn.losses import ERRORS, saturated
from mcegnn.models.one_step import OneStep
from mcegnn.training import scoring
from mcegnn.training.refinement import Refinement


class Direct:
    """Objective of direct prediction: the loss is the error of the positions after the interval,
    and that of velocities in the same units."""

    def __init__(self, train: Dataset, options: Any, batch: int) -> None:
        self.options, self._train, self._batch = options, train, batch
        self.warnings: list[str] = []
        self.refinement: Refinement | None = None
        self._tensors: dict[tuple[torch.dtype, torch.device], tuple[Tensor, ...]] = {}

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """Any samples, always as many."""
        return np.arange(len(self._train)), self._batch

    def lr(self, update: int) -> float | None:
        """The trainer's."""
        return None

    def accumulate(self, model: OneStep, which: np.ndarray, update: int) -> float:
        """Backward through the network, once."""
        weight = next(model.parameters())
        key = (weight.dtype, weight.device)
        if key not in self._tensors:
            self._tensors[key] = self._nodes_first(model, self._train, weight)
        x, v, label, true_x, true_v = (part[:, which] for part in self._tensors[key])
        graph = complete(len(x)).to(weight.device)
        predicted_x, predicted_v = model.predict(x, v, label, graph)
        ends = (part.transpose(0, 1) for part in (predicted_x, true_x, x))
        loss = ERRORS[self.options.error](*ends).mean()
        if self.options.velocity_weight:
            # in units of the interval's displacement, and saturated: a close encounter's velocity
            # is anything
            wrong = (predicted_v - true_v).square().mean(-1) * model.interval**2 / model.length**2
            loss = loss + self.options.velocity_weight * saturated(wrong, 1.0).mean()
        loss = model.with_penalty(loss)
        loss.backward()
        return float(loss.detach())

    @staticmethod
    def _nodes_first(model: OneStep, samples: Dataset, weight: Tensor) -> tuple[Tensor, ...]:
        before = samples.ensemble()
        arrays = (
            before.positions,
            before.velocities,
            model.labels(before),
            samples.of_ensemble("positions"),
            samples.of_ensemble("velocities"),
        )
        return tuple(
            torch.as_tensor(np.ascontiguousarray(np.swapaxes(a, 0, 1))).to(weight) for a in arrays
        )

    def errors(self, model: Any, samples: Dataset) -> tuple[np.ndarray, dict[str, float]]:
        """The task's own."""
        return scoring.errors(model, samples, self.options), {}

    def state(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing."""
