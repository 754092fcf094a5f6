"""The learning problems by name: a new one is a module of this package and a line here."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from mcegnn.models.registry import MODELS, WRAPPERS, wrapped
from mcegnn.names import one_of
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
        "adapt": "mcegnn.tasks.adapt:Adapt",
    },
)


@cache
def task(kind: str) -> Task:
    """Return the task of a name. Raises ValueError, naming the nearest, if there is none."""
    made: Task = TASKS[kind]()
    return made


def check_trains(kind: str, model_class: str, hyperparameters: Mapping[str, Any]) -> None:
    """Raise ValueError if the task of a name trains other models than those of this class, or than
    what it wraps; classes that do not exist are refused where models are made."""
    trained = task(kind).trains
    inner, _ = wrapped(model_class, hyperparameters)
    if inner in WRAPPERS and model_class not in trained:
        raise ValueError(
            f"a {inner} wraps a model: name its class by model.hyperparameters.{WRAPPERS[inner]}"
        )
    if inner in MODELS and inner not in trained and model_class not in trained:
        wanted, other = one_of(trained), one_of([inner])
        raise ValueError(f"a task that is {kind} trains {wanted}, not {other}")


def task_of_model(model_class: str, hyperparameters: Mapping[str, Any]) -> Task:
    """The first task that trains models of this class, or what it wraps. Raises ValueError if none
    does."""
    inner, _ = wrapped(model_class, hyperparameters)
    for kind in TASKS:
        if inner in task(kind).trains:
            return task(kind)
    raise ValueError(f"no task trains a {inner}, so it cannot be evaluated")
