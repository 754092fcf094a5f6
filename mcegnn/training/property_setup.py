"""From options to molecules and model: which of QM9, and the hyper-parameters of a property's model
that its data decide."""

from typing import Any

import numpy as np

from mcegnn.datasets.molecules import Molecules, MoleculeSplit
from mcegnn.datasets.qm9 import (
    EXTENSIVE,
    N_TEST,
    N_TRAIN,
    N_VALIDATION,
    PROPERTIES,
    qm9,
    references,
)
from mcegnn.datasets.split import Part, part_of
from mcegnn.models.property import PropertyModel
from mcegnn.models.store import Stored
from mcegnn.names import nearest
from mcegnn.training.options import DataOptions, TrainingOptions

_KEPT = (
    "pooling",
    "mean",
    "std",
    "references",
)  # which make weights of one property mean what they mean


def molecules(options: DataOptions) -> MoleculeSplit:
    """The data of the options, cut. ValueError for other data sets, bodies to leave out, or more
    molecules than there are."""
    if options.name != "qm9":
        raise ValueError(
            f"properties of molecules are learned from qm9, not from {options.name!r}; leave out"
            " --data"
        )
    if options.without:
        raise ValueError("only solar data sets can be without a body")
    return qm9(
        options.n_train or N_TRAIN,
        options.n_validation or N_VALIDATION,
        options.n_test or N_TEST,
        options.seed,
    )


def tested(name: str, trained: DataOptions, validation: bool) -> Part:
    """The test (or validation) molecules of the data a model was ``trained`` with; ValueError for
    other data."""
    if name != trained.name:
        raise ValueError(
            f"the model predicts properties of molecules of {trained.name}; evaluate it on that,"
            f" not on {name}"
        )
    return part_of(molecules(trained), "validation" if validation else "test")


def refuse_unknown(name: str) -> None:
    """ValueError, naming the nearest, where there is no such property."""
    if name not in PROPERTIES:
        raise ValueError(
            f"there is no property {name!r}; did you mean {nearest(name, PROPERTIES)}? (known:"
            f" {', '.join(PROPERTIES)})"
        )


def model(options: TrainingOptions, train: Molecules, start: Stored | None = None) -> Stored:
    """A model with fresh weights for these molecules, or with those of ``start``, which keeps its
    normalisation for the same property.

    Raises ValueError where ``start`` is another model.
    """
    name, given = str(options.task.property), options.model.hyperparameters
    refuse_unknown(name)
    if given.get("property", name) != name:
        raise ValueError(
            f"the model's property is {given['property']!r}, the task's {name!r}; set task.property"
            " alone"
        )
    pooling = "sum" if name in EXTENSIVE else "mean"
    made = Stored.make(options.model.kind, {"property": name, "pooling": pooling, **given})
    decided = _decided(made.model, train) if start is None else _started(made, start, train)
    stored = Stored.make(made.kind, {**made.hyperparameters, **decided, **given})
    if start is not None:
        stored.model.load_state_dict(start.model.state_dict())
    return stored


def _started(made: Stored, start: Stored, train: Molecules) -> dict[str, Any]:
    """The normalisation to start with; ValueError where the weights of ``start`` are of another
    model."""
    if not isinstance(start.model, PropertyModel):
        raise ValueError(f"a property's model cannot start from a {start.kind}")
    own = {name: weight.shape for name, weight in start.model.state_dict().items()}
    if start.model.species != made.model.species or own != {
        name: weight.shape for name, weight in made.model.state_dict().items()
    }:
        raise ValueError(
            f"the model to start from has other species or layers ({start.hyperparameters}); set"
            " the same"
        )
    if start.model.property != made.model.property:
        return _decided(made.model, train)
    return {name: start.hyperparameters[name] for name in _KEPT if name in start.hyperparameters}


def _decided(model: Any, train: Molecules) -> dict[str, Any]:
    """References of the species, and mean and spread of what they leave of the training molecules'
    property."""
    model.kinds(train.species)
    energies = references(train, model.property, model.species)
    left = train.properties[model.property] - train.composition(model.species) @ energies
    std = float(np.std(left))
    return {
        "mean": float(left.mean()),
        "std": std if std > 0 else 1.0,
        "references": energies.tolist(),
    }
