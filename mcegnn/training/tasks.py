"""Tasks: what a model is asked to do with samples, as gradients for the trainer."""

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from integrators.ensembles import integrator
from integrators.flows import Kick
from integrators.state import State
from mcegnn.datasets.split import Samples
from mcegnn.graph import complete
from mcegnn.losses import ERRORS, saturated
from mcegnn.models.dynamics import DirectDynamics
from mcegnn.models.force import LearnedForce
from mcegnn.training import scoring
from mcegnn.training.energies_forces import EnergiesForces
from mcegnn.training.options import StageOptions, TaskOptions, TrainingOptions
from mcegnn.training.properties import Properties
from mcegnn.training.unrolling import positions_after, tensors
from trajectories.rollout import rollout

_RESOLVE_EVERY = 25  # updates after which samples are given their substeps anew


class Task(Protocol):
    """What the trainer needs: the gradients of a batch. ``warnings`` are for whoever runs it to
    show, and to clear."""

    warnings: list[str]

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """The samples that may be in this update's batch, and how many of them are."""

    def lr(self, update: int) -> float | None:
        """The learning rate before warm-up and schedule, where it is the task's to say."""

    def accumulate(self, model: Any, which: np.ndarray, update: int) -> float:
        """Add the loss's gradients over these samples to the model's; returns the loss."""

    def errors(self, model: Any, samples: Any) -> tuple[np.ndarray, dict[str, float]]:
        """Each sample's error, of which the mean decides what is best, and means of what it is made
        of, by name."""

    def state(self) -> dict[str, np.ndarray]:
        """What a resumed run needs beside the weights."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take up such a state."""


def make(options: TrainingOptions, split: Any, model: Any) -> Task:
    """The task of these options. ValueError where the model is not made for data like these."""
    if options.task.kind in ("energy-forces", "property"):
        _refuse_strange(split, model)
    if options.task.kind == "energy-forces":
        return EnergiesForces(options, split, model)
    if options.task.kind == "property":
        return Properties(options, split, model)
    scoring.refuse_unfit(model, split.train)
    return (
        OneShot(split.train, options.task, options.batch)
        if options.task.kind == "one-shot"
        else Unrolled(split.train, options.task)
    )


def _refuse_strange(split: Any, model: Any) -> None:
    """ValueError now, and not at the first validation or at the end, where these parts of the data
    hold elements unknown to the model."""
    for part in ("validation", "test"):
        try:
            model.kinds(getattr(split, part).species)
        except ValueError as error:
            raise ValueError(
                f"{error}; samples of the {part} hold what it never saw: take them out, or set"
                " another data.seed"
            ) from None


class OneShot:
    """The model says where the particles are after the interval; the loss is the error, and that of
    velocities in the same units."""

    def __init__(self, train: Samples, options: TaskOptions, batch: int) -> None:
        self.options, self._train, self._batch = options, train, batch
        self.warnings: list[str] = []
        self._tensors: dict[tuple[torch.dtype, torch.device], tuple[Tensor, ...]] = {}

    def batch(self, update: int) -> tuple[np.ndarray, int]:
        """Any samples, always as many."""
        return np.arange(len(self._train)), self._batch

    def lr(self, update: int) -> float | None:
        """The trainer's."""
        return None

    def accumulate(self, model: DirectDynamics, which: np.ndarray, update: int) -> float:
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
        loss.backward()
        return float(loss.detach())

    @staticmethod
    def _nodes_first(model: DirectDynamics, samples: Samples, weight: Tensor) -> tuple[Tensor, ...]:
        arrays = (
            samples.before.positions,
            samples.before.velocities,
            model.labels(samples.before),
            samples.after.positions,
            samples.after.velocities,
        )
        return tuple(
            torch.as_tensor(np.ascontiguousarray(np.swapaxes(a, 0, 1))).to(weight) for a in arrays
        )

    def errors(self, model: Any, samples: Samples) -> tuple[np.ndarray, dict[str, float]]:
        """The task's own."""
        return scoring.errors(model, samples, self.options), {}

    def state(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing."""


class Unrolled:
    """A learned force moves the particles through an integrator of ours, and the loss is
    backpropagated through all its substeps.

    Coarse substeps are cheap but wrong where particles come close. So each sample is given the
    coarsest substeps that, under the law as it is now, end where the fine scheme ends, and left out
    while none does.
    """

    def __init__(self, train: Samples, options: TaskOptions) -> None:
        self.options, self._train = options, train
        self.warnings: list[str] = []
        self._substeps = np.full(len(train), options.stages[0].substeps[0])
        flight = train.before.positions + train.interval * train.before.velocities
        missed = ERRORS[options.error](flight, train.after.positions, train.before.positions).mean(
            -1
        )
        self._by_deflection = np.argsort(missed, kind="stable")
        self._ends = np.cumsum([stage.n_updates for stage in options.stages])

    def _stage(self, update: int) -> tuple[StageOptions, int]:
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
                    model.dressed(tensors(part.before, model.size)),
                )
                end = positions_after(
                    part.interval, system, force, self.options.integrator, n, self.options.lag
                )
                start, true = (
                    torch.as_tensor(s.positions).to(end) for s in (part.before, part.after)
                )
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

    def _resolved(self, model: LearnedForce, stage: StageOptions) -> np.ndarray:
        """The first of the stage's substeps that ends within its tolerance of the fine scheme, for
        each sample."""
        law = model.tabulated()
        fine = scoring.forecast(model, self._train, self.options).positions
        start = State(model.dressed(self._train.before))
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

    def errors(self, model: Any, samples: Samples) -> tuple[np.ndarray, dict[str, float]]:
        """The task's own."""
        return scoring.errors(model, samples, self.options), {}

    def state(self) -> dict[str, np.ndarray]:
        """Each sample's substeps."""
        return {"substeps": self._substeps}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take up the substeps."""
        self._substeps = state["substeps"]
