"""The training loop: a `Trainer` takes updates, validates, keeps the best weights, and can be
stopped and resumed bitwise reproducibly."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mcegnn.models.store import Stored
from mcegnn.names import TRAINED
from mcegnn.tasks.registry import task as task_of
from mcegnn.training.averages import follow
from mcegnn.training.checkpoint import over, stalled
from mcegnn.training.options import TrainingOptions
from mcegnn.training.refinement import Refinement
from trajectories.storage.tensor_file import write_tensors


@dataclass(frozen=True)
class Progress:
    """Progress at a validation: updates done, mean loss since the last, mean and median validation
    error, the best mean.

    ``starting`` are those of the ``seconds`` that went into the first update, of each start where
    it was resumed: then compilers work. ``parts`` are means of what an error is made of, such as
    that of forces, where it is made of several.
    """

    update: int
    loss: float
    error: float
    median: float
    best: float
    lr: float
    seconds: float
    starting: float
    parts: Mapping[str, float] = field(default_factory=dict)


class NotFinite(RuntimeError):
    """The loss or a gradient is NaN or infinite; the weights before it are kept."""


class Trainer:
    """Trains a model on a split; ``model`` are the weights that learn, ``average`` those that are
    validated, ``best`` the best of these."""

    def __init__(self, stored: Stored, split: Any, options: TrainingOptions) -> None:
        self.options, self.split, self.trained = options, split, stored.trained
        dtype, device = getattr(torch, options.precision), torch.device(options.device)
        self.model: Any = stored.model.to(device, dtype).train().requires_grad_(True)
        self.average: Any = copy.deepcopy(self.model).eval()
        self.best: Any = copy.deepcopy(self.average)
        self.task = task_of(options.task.kind).objective(options, split, self.model)
        self.refinement = self.task.refinement
        self._moments: dict[str, torch.Tensor] = {}
        self.update, self.best_error, self.since_best = 0, math.inf, 0
        self.seconds = self.starting = 0.0

    @cached_property
    def optimizer(self) -> torch.optim.AdamW:
        """The optimizer, made at the first update: torch loads its compilers for it, which takes a
        second."""
        made = torch.optim.AdamW(
            self.model.parameters(),
            self.options.lr,
            betas=self.options.task.betas,
            fused=True,
            weight_decay=self.options.weight_decay,
        )
        if self._moments:
            state = made.state_dict()
            for key, value in self._moments.items():
                k, moment = key.split(".")
                state["state"].setdefault(int(k), {})[moment] = value
            made.load_state_dict(state)
        return made

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train to the end, yielding after each validation, or to the update after which
        ``stopped`` says so. Raises `NotFinite`."""
        losses: list[float] = []
        started = began = time.monotonic()
        first = True
        while not self._over and not stopped():
            if (
                self.refinement
                and stalled(self.options, self.since_best)
                and self.update < self.options.n_gradient
            ):
                self.update = self.options.n_gradient
            refinement = self.refinement if self.update >= self.options.n_gradient else None
            losses.append(self._refine(refinement) if refinement else self._step())
            if first:
                self.starting, first = self.starting + time.monotonic() - started, False
            ends = (self.options.n_gradient, self.options.total)
            if refinement or self.update % self.options.validate_every == 0 or self.update in ends:
                errors, parts = self.task.errors(self.average, self.split.validation)
                self.since_best += 1
                if errors.mean() < self.best_error:
                    self.best_error, self.since_best = float(errors.mean()), 0
                    self.best.load_state_dict(self.average.state_dict())
                now = time.monotonic()
                self.seconds, began = self.seconds + now - began, now
                yield Progress(
                    self.update,
                    float(np.mean(losses)),
                    float(errors.mean()),
                    float(np.median(errors)),
                    self.best_error,
                    0.0 if refinement else self._lr(self.update - 1),
                    self.seconds,
                    self.starting,
                    parts,
                )
                losses.clear()

    def _step(self) -> float:
        """One update of the weights and of their average."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr(self.update)
        self.optimizer.zero_grad()
        self.model.begin_update(self.options.seed, self.update)
        loss = self.task.accumulate(self.model, self._batch(), self.update)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NotFinite(
                f"the loss is {loss:g} and its gradient {norm:g} at update {self.update + 1}; use a"
                " smaller lr"
            )
        self.optimizer.step()
        self.update += 1
        decay = (
            min(self.options.ema, self.update / (self.update + 9.0)) if self.options.ema else 0.0
        )
        follow(self.average, self.model, decay)
        return loss

    def _refine(self, refinement: Refinement) -> float:
        """One step of least squares, from the best weights on; nothing is averaged any more."""
        if self.update == self.options.n_gradient:
            self.model.load_state_dict(self.best.state_dict())
        loss = refinement.step(self.model)
        if not math.isfinite(loss):
            raise NotFinite(
                f"the error is {loss:g} at update {self.update + 1}, where the refinement began"
            )
        self.average.load_state_dict(self.model.state_dict())
        self.update += 1
        return loss

    @property
    def _over(self) -> bool:
        """Whether nothing is left to do."""
        converged = self.refinement is not None and self.refinement.converged
        return over(self.options, self.update, self.since_best, converged=converged)

    def _lr(self, update: int) -> float:
        """Warm-up, then the schedule."""
        warm = min(1.0, (update + 1) / max(1, self.options.warmup))
        share = update / self.options.n_gradient
        return (
            (self.task.lr(update) or self.options.lr)
            * warm
            * (
                0.5 * (1.0 + math.cos(math.pi * share))
                if self.options.schedule == "cosine"
                else 1.0
            )
        )

    def _batch(self) -> np.ndarray:
        """The update's samples: each epoch is a permutation of its own, known from seed and epoch
        alone."""
        samples, size = self.task.batch(self.update)
        size = min(size, len(samples))
        epoch, at = divmod(self.update, len(samples) // size)
        order = np.random.Generator(
            np.random.Philox(key=np.array([self.options.seed, epoch], dtype=np.uint64))
        ).permutation(samples)
        return np.asarray(order[at * size : (at + 1) * size])

    def save(self, path: Path, record: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint, with all that a resume needs and the record of the run,
        atomically."""
        tensors = {
            f"{name}.{key}": value
            for name in ("model", "average", "best")
            for key, value in getattr(self, name).state_dict().items()
        }
        for k, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{k}.{key}": value for key, value in moments.items()}
        tensors |= {
            f"task.{key}": torch.as_tensor(value) for key, value in self.task.state().items()
        }
        if self.refinement:
            tensors |= {
                f"refinement.{key}": value for key, value in self.refinement.state().items()
            }
        header = {
            "options": self.options.model_dump(),
            "update": self.update,
            "best_error": self.best_error,
            "since_best": self.since_best,
            "seconds": self.seconds,
            "starting": self.starting,
            "record": dict(record or {}),
        }
        arrays = {key: value.detach().cpu().numpy() for key, value in tensors.items()}
        write_tensors(
            path,
            header,
            arrays | {TRAINED + name: numbers for name, numbers in self.trained.items()},
        )

    def restore(self, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
        """Restore the trainer as it was when `save` was called."""

        def part(name: str) -> dict[str, torch.Tensor]:
            return {
                key.removeprefix(f"{name}."): torch.from_numpy(a)
                for key, a in arrays.items()
                if key.startswith(f"{name}.")
            }

        for name in ("model", "average", "best"):
            getattr(self, name).load_state_dict(part(name))
        self._moments = part("optimizer")
        self.__dict__.pop("optimizer", None)  # one with other moments, where there is one already
        self.task.restore({key: value.numpy() for key, value in part("task").items()})
        if self.refinement:
            self.refinement.restore(part("refinement"))
        self.update, self.best_error, self.since_best = (
            header["update"],
            header["best_error"],
            header["since_best"],
        )
        self.seconds, self.starting = (
            header["seconds"],
            header.get("starting", 0.0),
        )  # which older ones do not have
