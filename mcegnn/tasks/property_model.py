"""The model of a property: the hyper-parameters that its data decide."""

from typing import Any

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.data.qm9 import EXTENSIVE, PROPERTIES, references
from mcegnn.models.registry import with_wrapped, wrapped
from mcegnn.models.store import Stored
from mcegnn.names import nearest
from mcegnn.training.options import TrainingOptions

_KEPT = (
    "pooling",
    "mean",
    "std",
    "references",
)  # which make weights of one property mean what they mean


def check_property(name: str) -> None:
    """Raise ValueError, naming the nearest, if there is no such property."""
    if name not in PROPERTIES:
        raise ValueError(
            f"there is no property {name!r}; did you mean {nearest(name, PROPERTIES)}? (known:"
            f" {', '.join(PROPERTIES)})"
        )


def model(options: TrainingOptions, train: Dataset, start: Stored | None = None) -> Stored:
    """Make a model for these molecules, with fresh weights or those of ``start``, which keeps its
    normalisation if the property is the same.

    Raises ValueError if ``start`` is another kind of model.
    """
    task: Any = options.task
    kind, whole = options.model.kind, options.model.hyperparameters
    name, (_, given) = str(task.property), wrapped(kind, whole)
    check_property(name)
    if given.get("property", name) != name:
        raise ValueError(
            f"the model's property is {given['property']!r}, the task's {name!r}; set task.property"
            " alone"
        )
    pooling = "sum" if name in EXTENSIVE else "mean"
    named = {"property": name, "pooling": pooling, **given}
    made = Stored.make(kind, with_wrapped(kind, whole, named))
    decided = _decided(made.model, train) if start is None else _started(made, start, train)
    _, own = wrapped(kind, made.hyperparameters)
    every = {**own, **decided, **given}
    stored = Stored.make(kind, with_wrapped(kind, made.hyperparameters, every))
    if start is not None:
        stored.model.load_state_dict(start.model.state_dict())
    return stored


def _started(made: Stored, start: Stored, train: Dataset) -> dict[str, Any]:
    """Return the initial normalisation. Raises ValueError if the weights of ``start`` are of
    another model."""
    if start.kind != made.kind:
        raise ValueError(f"a property's model cannot start from a {start.kind}")
    model: Any = start.model
    own = {name: weight.shape for name, weight in start.model.state_dict().items()}
    if model.species != made.model.species or own != {
        name: weight.shape for name, weight in made.model.state_dict().items()
    }:
        raise ValueError(
            f"the model to start from has other species or layers ({start.hyperparameters}); set"
            " the same"
        )
    if model.property != made.model.property:
        return _decided(made.model, train)
    _, kept = wrapped(start.kind, start.hyperparameters)
    return {name: kept[name] for name in _KEPT if name in kept}


def _decided(model: Any, train: Dataset) -> dict[str, Any]:
    """References of the species, and mean and spread of what they leave of the training molecules'
    property."""
    model.kinds(train.species)
    energies = references(train, model.property, model.species)
    left = train[model.property] - train.composition(model.species) @ energies
    std = float(np.std(left))
    return {
        "mean": float(left.mean()),
        "std": std if std > 0 else 1.0,
        "references": energies.tolist(),
    }
