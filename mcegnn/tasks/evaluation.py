"""The task that a stored model was trained for, checked against the data it is to be scored on."""

from mcegnn.models.store import Stored
from mcegnn.names import one_of
from mcegnn.tasks.registry import TASKS, task, task_of_model
from mcegnn.tasks.task import Asked, Task
from mcegnn.training.options import TrainingOptions, parse_recorded


def task_for(stored: Stored, asked: Asked) -> tuple[Task, TrainingOptions | None]:
    """Return the task that a model was trained for, and its options; without a record of them the
    first task that trains such models, and None. Raises ValueError if model and data do not fit."""
    options = None
    if "options" in stored.record:
        options = parse_recorded(stored.record["options"])
    problem = (
        task_of_model(stored.kind, stored.hyperparameters)
        if options is None
        else task(options.task.kind)
    )
    if asked.figure is not None and not problem.draws:
        raise ValueError(
            f"{asked.model} is no learned force, so it has no law to draw; leave out --figure"
        )
    if asked.without and "without" not in problem.Data.model_fields:
        raise ValueError(
            f"--without leaves bodies out of dynamics, and {asked.model} is a {stored.kind}; leave"
            " it out"
        )
    others = [task(kind) for kind in TASKS if asked.data in task(kind).datasets]
    if others and problem.learned(options) not in others:
        fit = one_of(dict.fromkeys(name for other in others for name in other.trains))
        raise ValueError(
            f"{asked.model} is a {stored.kind}; only {fit} can be evaluated on {asked.data}"
        )
    return problem, options
