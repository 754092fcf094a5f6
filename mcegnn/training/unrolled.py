"""The loss of unrolled training, as gradients for the trainer."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from integrators.ensembles import integrator
from integrators.flows import Kick
from integrators.state import State
from mcegnn.data.dataset import Dataset
from mcegnn.losses import ERRORS, saturated
from mcegnn.models.force import LearnedForce
from mcegnn.training import scoring
from mcegnn.training.refinement import Refinement
from mcegnn.training.unrolling import positions_after, tensors
from trajectories.rollout import rollout

if TYPE_CHECKING:
    from mcegnn.tasks.unrolled import StageOptions

_RESOLVE_EVERY = 25  # updates after which samples are given their substeps anew


class Unrolled:
    """Objective of unrolled training: a learned force moves the particles through an integrator,
    and the loss is backpropagated through all its substeps.

    Coarse substeps are cheap but wrong where particles come close. So each sample is given the
    coarsest substeps that, under the law as it is now, end where the fine scheme ends, and left out
    while none does.
    """

    def __init__(self, train: Dataset, options: Any) -> None:
        self.options, self._train = options, train
        self.warnings: list[str] = []
        last = options.refinement
        self.refinement = Refinement(train, options, last) if last else None
        self._substeps = np.full(len(train), options.stages[0].substeps[0])
        start = train.ensemble()
        flight = start.positions + train.interval * start.velocities
        missed = ERRORS[options.error](flight, train.of_ensemble("positions"), start.positions)
        self._by_deflection = np.argsort(missed.mean(-1), kind="stable")
        self._ends = np.cumsum([stage.n_updates for stage in options.stages])

    def _stage(self, update: int) -> "tuple[StageOptions, int]":
        """The stage of an update, and how far into it that is."""
        k = int(np.searchsorted(self._ends, update, side="right"))
        return self.options.stages[k], update - (int(self._ends[k - 1]) if k else 0)

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """The stage's share of samples, those that free flight predicts best, and its number."""
        stage, _ = self._stage(update)
        return self._by_deflection[: max(1, round(stage.share * len(self._train)))], stage.batch

    def lr(self, update: int) -> float | None:
        """The stage's."""
        return self._stage(update)[0].lr

    def accumulate(self, model: LearnedForce, which: np.ndarray, update: int) -> float:
        """Backward through the integrator, one number of substeps after the other."""
        stage, into = self._stage(update)
        if into % _RESOLVE_EVERY == 0:
            self._substeps = (
                self._resolved(model, stage)
                if len(stage.substeps) > 1
                else np.full(len(self._train), stage.substeps[0])
            )
        loss = 0.0
        for n in stage.substeps:
            some = which[self._substeps[which] == n]
            if len(some):
                part = self._train.take(some)
                # the gradient of the force's limit is zero where it acts
                force, system = (
                    model if stage.clip else model.unclipped,
                    model.with_learned_masses(tensors(part.ensemble(), model.size)),
                )
                end = positions_after(
                    part.interval, system, force, self.options.integrator, n, self.options.lag
                )
                ends = (part.ensemble().positions, part.of_ensemble("positions"))
                start, true = (torch.as_tensor(x).to(end) for x in ends)
                errors = ERRORS[self.options.error](end, true, start)
                errors = (
                    errors
                    if self.options.saturate == "particles"
                    else errors.mean(-1, keepdim=True)
                )
                share = saturated(errors, stage.saturation).mean(-1).sum() / len(which)
                share.backward()
                loss += float(share.detach())
        return loss

    def _resolved(self, model: LearnedForce, stage: "StageOptions") -> np.ndarray:
        """The first of the stage's substeps that ends within its tolerance of the fine scheme, for
        each sample."""
        law = model.tabulated()
        fine = scoring.forecast(model, self._train, self.options)
        start = State(model.with_learned_masses(self._train.ensemble()))
        if self.options.lag:
            start = replace(Kick(law)(start, self.options.lag), evaluation=None)
        # the fine scheme resolves everything; what coarser ones do not would teach the law to make
        # up for their errors
        finest = stage.substeps[-1]
        found = np.full(len(self._train), finest if finest >= self.options.n_steps else 0)
        for n in [n for n in stage.substeps[::-1] if n < self.options.n_steps]:
            *_, end = rollout(
                integrator(self.options.integrator)(law), start, self._train.interval / n, n, n
            )
            found[((end.system.positions - fine) ** 2).mean((1, 2)) < stage.tolerance] = n
        return found

    def errors(self, model: Any, samples: Dataset) -> tuple[np.ndarray, dict[str, float]]:
        """The task's own."""
        return scoring.errors(model, samples, self.options), {}

    def state(self) -> dict[str, np.ndarray]:
        """Each sample's substeps."""
        return {"substeps": self._substeps}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take up the substeps."""
        self._substeps = state["substeps"]
