"""From options to a trainer with its data, and what the model's file will say of it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from mcegnn.cli.info import nearest_rows
from mcegnn.cli.messages import table

if TYPE_CHECKING:
    from mcegnn.models.store import Stored
    from mcegnn.training.checkpoint import Checkpoint
    from mcegnn.training.options import TrainingOptions
    from mcegnn.training.trainer import Trainer


def refuse_no_data(options: "TrainingOptions") -> None:
    """ValueError or FileNotFoundError where the data are not there: at once, before torch is
    loaded, which takes seconds."""
    from mcegnn.datasets import labelled, named

    if options.task.kind == "energy-forces":
        labelled.file_of(options.data.name)
    elif options.task.kind != "property":
        named.refuse_unknown(options.data.name)


def made(
    options: "TrainingOptions",
    start: "Stored | None",
    threads: int | None,
    saved: "Checkpoint | None" = None,
) -> tuple["Trainer", dict[str, Any]]:
    """A trainer with its data, and what the model's file will say of it; ``start`` is the model
    that it begins from, ``saved`` the training that it goes on with.

    Raises ValueError where options, data and model do not belong together, or the data are not
    those of the training that goes on.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    if options.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"device {options.device!r} is not there; use device=cpu")
    torch.manual_seed(options.seed)
    if options.task.kind == "energy-forces":
        trainer, record = _potential_trainer(options, start, saved)
    elif options.task.kind == "property":
        trainer, record = _property_trainer(options, start)
    else:
        trainer, record = _dynamics_trainer(options, start)
    if saved is not None:
        _refuse_other_data(saved, trainer, record)
        trainer.restore(saved.arrays, saved.header)
    return trainer, record


def _refuse_other_data(saved: "Checkpoint", trainer: "Trainer", record: dict[str, Any]) -> None:
    """ValueError where the data have changed since a training began, whose split would then be
    another one."""
    from mcegnn.training.trained import difference

    if saved.trained:
        changed = difference(saved.trained, trainer.trained)
    else:
        was, now = saved.header["record"].get("data", record["data"]), record["data"]
        changed = "" if was == now else f"they were {was}, and are {now}"
    if changed:
        name = trainer.options.data.name
        raise ValueError(
            f"the data of {name} are not those this training began with: {changed}; give them back,"
            " or train anew"
        )


def _dynamics_trainer(
    options: "TrainingOptions", start: "Stored | None"
) -> tuple["Trainer", dict[str, Any]]:
    """The same for a model of dynamics or a learned force."""
    from mcegnn.datasets.named import digest, split
    from mcegnn.models.store import Stored
    from mcegnn.training.trainer import Trainer

    stored = Stored.make(options.model.kind, options.model.hyperparameters)
    if start is not None:
        if start.kind != stored.kind or start.hyperparameters != stored.hyperparameters:
            given, wanted = (f"{one.kind} {one.hyperparameters}" for one in (start, stored))
            raise ValueError(f"the model to start from is another model: {given}, not {wanted}")
        stored.model.load_state_dict(start.model.state_dict())
    samples = split(options.data.name, options.data.n_train, options.data.without)
    options = _with_decided(options, stored)
    record = {"options": options.model_dump(), "data": digest(samples.train)}
    return Trainer(stored, samples, options), record


def _potential_trainer(
    options: "TrainingOptions", start: "Stored | None", saved: "Checkpoint | None"
) -> tuple["Trainer", dict[str, Any]]:
    """The same for a potential."""
    from mcegnn.datasets.structures import digest
    from mcegnn.training import setup
    from mcegnn.training.trained import before_of, told_by
    from mcegnn.training.trainer import Trainer

    before = before_of(None if start is None else start.trained)
    if saved is not None and saved.trained:
        before = saved.trained.get("before")
    split = setup.structures(options.data, before)
    stored = replace(
        setup.potential(options, split.train, start, split.isolated), trained=told_by(split, before)
    )
    options = _with_decided(options, stored)
    record = {
        "options": options.model_dump(),
        "data": digest(split.train),
        "labels": dict(split.notes),
    }
    return Trainer(stored, split, options), record


def look_at_data(
    trainer: "Trainer", quiet: bool, start: "Stored | None" = None, *, err: bool = False
) -> None:
    """What labelled structures are like, and what is odd about them; of other data there is nothing
    to say.

    ``start`` is the model that it began from; ``err`` says it on standard error.
    """
    from mcegnn.datasets import consistency, statistics, stresses

    split = trainer.split
    if trainer.options.task.kind != "energy-forces":
        return
    if not quiet:
        parts = [("training", split.train), ("validation", split.validation), ("test", split.test)]
        sizes = ((f"{name} structures", f"{len(part):,}") for name, part in parts)
        table(
            trainer.options.data.name,
            [*statistics.summary(split.train), *sizes, *split.notes, *nearest_rows(trainer.model)],
            err=err,
        )
        if (
            start is not None
            and start.model.repulsion is None
            and trainer.model.repulsion is not None
        ):
            typer.echo(
                "repulsion at short range is added to the model: atoms are kept apart below these"
                " distances",
                err=True,
            )
    odd = [
        *consistency.unit_warnings(split.train),
        *stresses.stress_warnings(split.train),
        *statistics.outliers(split.train),
    ]
    for warning in [*split.doubts, *odd]:
        typer.echo(f"warning: {warning}", err=True)


def _property_trainer(
    options: "TrainingOptions", start: "Stored | None"
) -> tuple["Trainer", dict[str, Any]]:
    """The same for a property of molecules."""
    from mcegnn.datasets.molecules import digest
    from mcegnn.training import property_setup
    from mcegnn.training.trainer import Trainer

    property_setup.refuse_unknown(str(options.task.property))
    split = property_setup.molecules(options.data)
    stored = property_setup.model(options, split.train, start)
    options = _with_decided(options, stored)
    record = {"options": options.model_dump(), "data": digest(split.train)}
    return Trainer(stored, split, options), record


def _with_decided(options: "TrainingOptions", stored: "Stored") -> "TrainingOptions":
    """The options with all hyper-parameters, those by default and those that the data decided among
    them."""
    return options.model_copy(
        update={
            "model": options.model.model_copy(update={"hyperparameters": stored.hyperparameters})
        }
    )
