"""The learning problems by name: a new one is a module of this package and a line here."""

from functools import cache

from mcegnn.registry import Registry
from mcegnn.tasks.task import Task

TASKS = Registry(
    "task",
    "mcegnn.tasks",
    {
        "direct": "mcegnn.tasks.direct:Direct",
        "unrolled": "mcegnn.tasks.unrolled:Unrolled",
        "energy-forces": "mcegnn.tasks.energies_forces:EnergiesForces",
        "property": "mcegnn.tasks.property:Property",
    },
)


@cache
def task(kind: str) -> Task:
    """Return the task of a name. Raises ValueError, naming the nearest, if there is none."""
    made: Task = TASKS[kind]()
    return made


def check_trains(kind: str, model_class: str) -> None:
    """Raise ValueError if the task of a name trains other models than those of this class; classes
    that do not exist are refused where models are made."""
    from mcegnn.models.registry import MODELS

    trained = task(kind).trains
    if model_class in MODELS and model_class not in trained:
        wanted = " or a ".join(trained)
        raise ValueError(f"a task that is {kind} trains a {wanted}, not a {model_class}")


def task_of_model(model_class: str) -> Task:
    """The first task that trains models of this class. Raises ValueError if none does."""
    for kind in TASKS:
        if model_class in task(kind).trains:
            return task(kind)
    raise ValueError(f"no task trains a {model_class}, so it cannot be evaluated")
