"""What is shown of data before a training: a table, and what is odd about them."""

from typing import TYPE_CHECKING

import typer

from mcegnn.cli.info import nearest_rows
from mcegnn.cli.messages import table

if TYPE_CHECKING:
    from mcegnn.models.store import Stored
    from mcegnn.training.trainer import Trainer


def show_data(
    trainer: "Trainer", quiet: bool, start: "Stored | None" = None, *, err: bool = False
) -> None:
    """What the data are like, and what is odd about them, where there is anything to say.

    ``start`` is the model that it began from; ``err`` says it on standard error.
    """
    from mcegnn.tasks.registry import task

    problem, split, name = task(trainer.options.task.kind), trainer.split, trainer.options.data.name
    rows = () if quiet else problem.summary(split, trainer.model, name)
    if rows:
        table(name, [*rows, *nearest_rows(trainer.model)], err=err)
    if not quiet and (new := problem.began(trainer.model, start)):
        typer.echo(new, err=True)
    for warning in problem.doubts(split):
        typer.echo(f"warning: {warning}", err=True)
