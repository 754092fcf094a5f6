"""The end of an unrolled training: the law's last layer and the masses by least squares, on the
same samples at every step."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcegnn.data.dataset import Dataset
from mcegnn.losses import SCALES
from mcegnn.models.force import LearnedForce
from mcegnn.training import least_squares
from mcegnn.training.unrolling import positions_after, tensors
from systems.system import Evaluation, System

_LIGHTEST = 1e-12  # of the first mass


class _Parameters:
    """Parameters of the refinement: the last layer of a model and, if they are learned, its masses
    but the first; as one vector."""

    def __init__(self, model: LearnedForce) -> None:
        layer = model.exponent[-1].named_parameters()
        self.layer = {name: parameter.detach() for name, parameter in layer}
        self.masses = None if model.masses is None else model.masses.detach()[1:]

    @property
    def values(self) -> Tensor:
        """As the model has them."""
        masses = () if self.masses is None else (self.masses,)
        return torch.cat([p.flatten() for p in (*self.layer.values(), *masses)])

    def split(self, values: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The last layer's parameters by name, and the masses (none where they are not learned)."""
        n_masses = 0 if self.masses is None else len(self.masses)
        *layer, light = values.split([*(p.numel() for p in self.layer.values()), n_masses])
        named = zip(layer, self.layer.items(), strict=True)
        return {name: p.view_as(old) for p, (name, old) in named}, light

    def write(self, model: LearnedForce, values: Tensor) -> None:
        """Give the model these parameters; masses above zero."""
        layer, light = self.split(values)
        with torch.no_grad():
            for name, parameter in model.exponent[-1].named_parameters():
                parameter.copy_(layer[name])
            model.log_masses.copy_(light.clamp(min=_LIGHTEST).log())


class Refinement:
    """Steps of least squares after the stages, which find what is hardly felt: the pull of a
    distant planet on the others.

    Masses enter as they are, not as the logarithms the model keeps: accelerations are linear in
    them, and a mass that was much too large may be below zero for some steps until it comes back.
    The model is given what is above zero.
    """

    def __init__(self, train: Dataset, options: Any, refinement: Any) -> None:
        self.options, self._task = refinement, options
        self.damping = refinement.damping
        self._at: Tensor | None = None
        some = np.linspace(0, len(train) - 1, min(refinement.batch, len(train))).astype(int)
        self._samples = train.take(some)
        before, after = self._samples.ensemble().positions, self._samples.of_ensemble("positions")
        scales = SCALES[options.error](after, before) * math.sqrt(len(some) * before.shape[-2])
        self._scales = np.broadcast_to(scales, before.shape)

    @property
    def converged(self) -> bool:
        """Whether no step is better any more."""
        return not math.isfinite(self.damping)

    def step(self, model: LearnedForce) -> float:
        """Move the model's last layer and masses; returns the task's error, a mean over samples and
        particles."""
        parameters = _Parameters(model)
        samples, options = self._samples, self.options
        start = tensors(samples.ensemble(), model.size)
        true, scales = self._true_and_scales(model.size)

        def residuals(values: Tensor) -> Tensor:
            layer, light = parameters.split(values)

            def force(system: System) -> Evaluation:
                law = model.law_to_first_order(layer)
                coupling = getattr(system, model.coupling)
                return Evaluation(None, model.forces(system.positions, coupling, law))

            system_now = start
            if parameters.masses is not None:
                masses = torch.cat([light.new_ones(1), light])
                system_now = model.with_learned_masses(start, masses)
            end = positions_after(
                samples.interval,
                system_now,
                force,
                options.integrator,
                options.substeps,
                self._task.lag,
            )
            return ((end - true) / scales).flatten()

        if self._at is not None:
            self._at = self._at.to(model.size)  # a resumed run brings it on the CPU
        else:
            self._at = parameters.values
        self._at, error, self.damping = least_squares.step(residuals, self._at, self.damping)
        parameters.write(model, self._at)
        return error

    def _true_and_scales(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """True positions, and the scales that errors are divided by."""
        true, scales = (
            torch.as_tensor(np.array(part)).to(like)
            for part in (self._samples.of_ensemble("positions"), self._scales)
        )
        return true, scales

    def state(self) -> dict[str, Tensor]:
        """Arrays that a resumed run needs beside the weights."""
        damping = torch.tensor(self.damping, dtype=torch.float64)
        return {"damping": damping} if self._at is None else {"damping": damping, "at": self._at}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore such a state."""
        self.damping, self._at = float(state["damping"]), state.get("at")
