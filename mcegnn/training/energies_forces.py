"""The task of a potential: energies, forces and stresses of labelled structures."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcegnn.data.dataset import Dataset
from mcegnn.data.split import Split
from mcegnn.losses import energy_force_loss
from mcegnn.models.atomic import AtomicPotential
from mcegnn.training.compilation import Step, compiled
from mcegnn.training.prediction import deviations, predicted
from mcegnn.training.prepared import Batch, Prepared
from mcegnn.training.refinement import Refinement


class EnergiesForces:
    """Gradients of the loss between a potential's energies, forces and stresses and those of the
    structures.

    Compiled, a step is one function of weights and batch, of which derivatives are part; that takes
    about a minute once and a C++ compiler. Batches are then filled up to the same number of atoms;
    the few that have more go the plain way.
    """

    def __init__(self, options: Any, split: Split, model: AtomicPotential) -> None:
        if len(split.train) < options.batch:
            raise ValueError(
                f"{len(split.train)} structures to train on are fewer than a batch of"
                f" {options.batch}; set batch to fewer"
            )
        if not len(split.validation):
            raise ValueError("no structures are left to validate on; set data.n_validation")
        self.options = options
        weight = next(model.parameters())
        self._kind = (weight.dtype, weight.device)
        self._train = Prepared(split.train, model, *self._kind)
        self._others: dict[int, Prepared] = {}
        self._step = step_of(model, options)
        self._compiled: Step | None = None
        self._room = self._train.room(options.batch)
        self.warnings: list[str] = []
        self.refinement: Refinement | None = None

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """Any structures, always as many."""
        return np.arange(len(self._train)), self.options.batch

    def lr(self, update: int) -> float | None:
        """The trainer's."""
        return None

    def _compiles(self, model: AtomicPotential) -> bool:
        return bool(self.options.compiles and model.traceable)

    def accumulate(self, model: AtomicPotential, which: np.ndarray, update: int) -> float:
        """The gradients of a batch, added to those there are."""
        weights: list[Tensor] = list(model.parameters())
        batch = self._train.batch(which, self._room if self._compiles(model) else None)
        step = self._step
        if (
            self._compiles(model)
            and len(batch.owner) == self._room
            and len(which) == self.options.batch
        ):
            step = self._compiled = self._compiled or self._made(weights, batch)
        loss, *gradients = step(weights, batch)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient if weight.grad is None else weight.grad + gradient
        return float(loss)

    def _made(self, weights: list[Tensor], batch: Batch) -> Step:
        made, why = compiled(self._step, weights, batch)
        if why:
            self.warnings.append(f"training runs uncompiled, some three times slower: {why}")
        return made

    def errors(
        self, model: AtomicPotential, structures: Dataset
    ) -> tuple[np.ndarray, dict[str, float]]:
        """Each structure's error as the loss weighs it (eV / Angstrom), and mean absolute errors by
        what they are of."""
        key = id(structures)
        if key not in self._others:
            self._others[key] = Prepared(structures, model, *self._kind)
        found = deviations(model, self._others[key])
        task = self.options.task
        each = found["forces"] + task.energy_weight * found["energy per atom"]
        return each, {name: float(values.mean()) for name, values in found.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing."""


def step_of(model: AtomicPotential, options: Any) -> Step:
    """Loss and its gradients as a function of weights and batch alone."""
    names = [name for name, _ in model.network.named_parameters()]

    def step(weights: list[Tensor], batch: Batch) -> list[Tensor]:
        with torch.enable_grad():
            own = [weight.detach().requires_grad_(True) for weight in weights]
            found = predicted(model, batch, dict(zip(names, own, strict=True)), differentiable=True)
            loss = energy_force_loss(
                found, batch, batch.sizes, batch.real, model.scale, options.task.weights
            )
            loss = model.with_penalty(loss)
            # a canonicalizer may leave weights of its own unused
            gradients = torch.autograd.grad(loss, own, materialize_grads=True)
        return [loss.detach(), *(gradient.detach() for gradient in gradients)]

    return step
