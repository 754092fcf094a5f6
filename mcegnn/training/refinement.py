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
        last = {
            name: parameter.detach() for name, parameter in model.exponent[-1].named_parameters()
        }
        masses = () if model.masses is None else (model.masses.detach()[1:],)
        system, true, scales = (
            tensors(self._samples.ensemble(), model.size),
            *self._true_and_scales(model.size),
        )

        def parts(parameters: Tensor) -> tuple[dict[str, Tensor], Tensor]:
            """The last layer's and, if they are learned, the masses."""
            *layer, light = parameters.split(
                [*(p.numel() for p in last.values()), len(masses[0]) if masses else 0]
            )
            return {
                name: p.view_as(old) for p, (name, old) in zip(layer, last.items(), strict=True)
            }, light

        def residuals(parameters: Tensor) -> Tensor:
            layer, light = parts(parameters)

            def force(system: System) -> Evaluation:
                law = model.law_to_first_order(layer)
                return Evaluation(
                    None, model.forces(system.positions, getattr(system, model.coupling), law)
                )

            if masses:
                system_now = model.with_learned_masses(
                    system, torch.cat([light.new_ones(1), light])
                )
            else:
                system_now = system
            o = self.options
            end = positions_after(
                self._samples.interval, system_now, force, o.integrator, o.substeps, self._task.lag
            )
            return ((end - true) / scales).flatten()

        if self._at is not None:
            self._at = self._at.to(model.size)  # a resumed run brings it on the CPU
        else:
            self._at = torch.cat([p.flatten() for p in (*last.values(), *masses)])
        self._at, error, self.damping = least_squares.step(residuals, self._at, self.damping)
        layer, light = parts(self._at)
        with torch.no_grad():
            for name, parameter in model.exponent[-1].named_parameters():
                parameter.copy_(layer[name])
            model.log_masses.copy_(light.clamp(min=_LIGHTEST).log())
        return error

    def _true_and_scales(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Where the particles should be, and what distances from there are divided by."""
        true, scales = (
            torch.as_tensor(np.array(part)).to(like)
            for part in (self._samples.of_ensemble("positions"), self._scales)
        )
        return true, scales

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs beside the weights."""
        damping = torch.tensor(self.damping, dtype=torch.float64)
        return {"damping": damping} if self._at is None else {"damping": damping, "at": self._at}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up such a state."""
        self.damping, self._at = float(state["damping"]), state.get("at")
