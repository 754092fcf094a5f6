"""The task of a property: one number of each molecule."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mcegnn.data.dataset import Dataset
from mcegnn.data.split import Split
from mcegnn.graph import Batch, collate, complete
from mcegnn.models.property import MoleculeProperty, centred
from mcegnn.training.options import TrainingOptions
from mcegnn.training.refinement import Refinement

_BLOCK = 200  # molecules predicted at once


class Inputs(NamedTuple):
    """Dataset side by side, as the model takes them, and what it should say [n_molecules], in its
    units."""

    kinds: Tensor
    x: Tensor
    batch: Batch
    target: Tensor


class Prepared:
    """Dataset as tensors, from which batches are cut without a loop over atoms."""

    def __init__(
        self, molecules: Dataset, model: MoleculeProperty, dtype: torch.dtype, device: torch.device
    ) -> None:
        kinds = model.kinds(molecules.species)
        target = (molecules[model.property] - model.base(kinds, molecules.starts)) / model.std
        parts = zip(molecules.starts[:-1], molecules.starts[1:], strict=True)
        x = np.concatenate([centred(molecules.positions[first:last]) for first, last in parts])
        self._starts, self._sizes, self._device = molecules.starts, molecules.sizes, device
        self._kinds = torch.from_numpy(kinds).to(device)
        self._x, self._target = (torch.from_numpy(array).to(device, dtype) for array in (x, target))

    def __len__(self) -> int:
        return len(self._sizes)

    def inputs(self, which: np.ndarray) -> Inputs:
        """These molecules side by side, each a complete graph."""
        sizes = self._sizes[which]
        first = np.cumsum(sizes) - sizes
        atoms = torch.from_numpy(
            np.repeat(self._starts[which] - first, sizes) + np.arange(sizes.sum())
        ).to(self._device)
        batch = collate([complete(n) for n in sizes.tolist()]).to(self._device)
        return Inputs(
            self._kinds[atoms],
            self._x[atoms],
            batch,
            self._target[torch.from_numpy(which).to(self._device)],
        )


class Properties:
    """Gradients of the mean absolute error of predicted properties, in units of the data's
    spread."""

    def __init__(self, options: TrainingOptions, split: Split, model: MoleculeProperty) -> None:
        if len(split.train) < options.batch:
            raise ValueError(
                f"{len(split.train)} molecules to train on are fewer than a batch of"
                f" {options.batch}; set batch to fewer"
            )
        weight = next(model.parameters())
        self.options, self._train = (
            options,
            Prepared(split.train, model, weight.dtype, weight.device),
        )
        self.warnings: list[str] = []
        self.refinement: Refinement | None = None

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """Any molecules, always as many."""
        return np.arange(len(self._train)), self.options.batch

    def lr(self, update: int) -> float | None:
        """The trainer's."""
        return None

    def accumulate(self, model: MoleculeProperty, which: np.ndarray, update: int) -> float:
        """Backward through the network, once."""
        kinds, x, batch, target = self._train.inputs(which)
        loss = model.with_penalty((model(kinds, x, batch) - target).abs().mean())
        loss.backward()
        return float(loss.detach())

    def errors(
        self, model: MoleculeProperty, molecules: Dataset
    ) -> tuple[np.ndarray, dict[str, float]]:
        """Each molecule's absolute error (eV), and their mean by the property's name."""
        found = abs(residuals(model, molecules))
        return found, {model.property: float(found.mean())}

    def state(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing."""


@torch.no_grad()
def residuals(
    model: MoleculeProperty,
    molecules: Dataset,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> np.ndarray:
    """Property of each molecule minus the predicted one, eV [n]; ``told`` is called with the number
    done."""
    weight = next(model.parameters())
    prepared = Prepared(molecules, model, weight.dtype, weight.device)
    # those of a size together: no scattering where all are the same
    order = np.argsort(molecules.sizes, kind="stable")
    found = np.empty(len(molecules))
    for first in range(0, len(molecules), _BLOCK):
        which = order[first : first + _BLOCK]
        kinds, x, batch, target = prepared.inputs(which)
        found[which] = (target - model(kinds, x, batch)).double().numpy(force=True)
        told(min(first + _BLOCK, len(molecules)), len(molecules))
    return found * model.std


def measures(model: MoleculeProperty, molecules: Dataset) -> dict[str, float]:
    """`measures_of` the predictions of the molecules."""
    return measures_of(residuals(model, molecules), model, molecules)


def measures_of(found: np.ndarray, model: MoleculeProperty, molecules: Dataset) -> dict[str, float]:
    """Mean and median absolute and root-mean-square errors (eV) of residuals, and the mean absolute
    error without the network."""
    bare = molecules[model.property] - model.base(model.kinds(molecules.species), molecules.starts)
    return {
        "mae": float(abs(found).mean()),
        "median": float(np.median(abs(found))),
        "rmse": float((found**2).mean() ** 0.5),
        "without_network": float(abs(bare).mean()),
    }
