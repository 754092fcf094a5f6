"""Description of the data that is shown before a training begins."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mcegnn.runs.events import Described, Event, Noted, Warned

if TYPE_CHECKING:
    from mcegnn.models.store import Stored
    from mcegnn.training.trainer import Trainer


def described(trainer: "Trainer", start: "Stored | None") -> Iterator[Event]:
    """Yield a description of the data, and warnings about them."""
    from mcegnn.tasks.registry import task

    problem, split, name = task(trainer.options.task.kind), trainer.split, trainer.options.data.name
    if rows := problem.summary(split, trainer.model, name):
        yield Described(name, (*rows, *trainer.model.rows()))
    if new := problem.began(trainer.model, start):
        yield Noted(new)
    for warning in problem.doubts(split):
        yield Warned(warning)
