"""From options to a trainer with its data, and the record for the model's file."""

from dataclasses import replace
from typing import Any

import torch

from mcegnn.data.fingerprints_0_1 import same_data
from mcegnn.data.trained import difference
from mcegnn.models.store import Stored
from mcegnn.tasks.registry import task
from mcegnn.training.checkpoint import TrainingCheckpoint
from mcegnn.training.options import TrainingOptions
from mcegnn.training.trainer import Trainer


def build_trainer(
    options: TrainingOptions,
    start: Stored | None = None,
    threads: int | None = None,
    saved: TrainingCheckpoint | None = None,
) -> tuple[Trainer, dict[str, Any]]:
    """Build a trainer with its data, and the record for the model's file; ``start`` is the model
    that it begins from, ``saved`` the training that is resumed.

    Raises ValueError if options, data and model do not belong together, or the data are not those
    of the training that is resumed.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if options.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"device {options.device!r} is not available; use device=cpu")
    torch.manual_seed(options.seed)
    problem = task(options.task.kind)
    options = problem.completed(options, start)
    split = problem.split(options, start, saved)
    for name, (unit, per) in problem.targets(options, split.train.units).items():
        split.train.check_target(name, unit, per)
    stored = problem.model(options, split, start)
    stored = replace(stored, trained=problem.trained(options, split, start, saved))
    # with all hyper-parameters, those by default and those that the data decided among them
    model = options.model.model_copy(update={"hyperparameters": stored.hyperparameters})
    options = options.model_copy(update={"model": model})
    trainer = Trainer(stored, split, options)
    if saved is not None:
        _check_same_data(saved, trainer)
        trainer.restore(saved.arrays, saved.header)
    return trainer, {"options": options.model_dump(), **problem.record(split)}


def _check_same_data(saved: TrainingCheckpoint, trainer: Trainer) -> None:
    """Raise ValueError if the data have changed since a training began, whose split would then be
    another one."""
    train = trainer.split.train
    if saved.trained:
        changed = difference(saved.trained, trainer.trained)
    else:
        was = saved.header["record"].get("data")
        same = was is None or same_data(was, train)
        changed = "" if same else f"they were {was}, and are {train.fingerprint()}"
    if changed:
        name = trainer.options.data.name
        raise ValueError(
            f"the data of {name} are not those this training began with: {changed}; give them back,"
            " or train anew"
        )
