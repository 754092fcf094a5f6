"""Settings of a training by the bare names of its options: each is put where the option of that
name stands."""

import inspect
from collections.abc import Mapping
from typing import Any

from mcegnn.names import suggestion
from mcegnn.training.options import options_class

_TABLES = ("data", "task")
_HYPERPARAMETERS = "model.hyperparameters"


def places_of(settings: Mapping[str, Any], kind: str, model: str) -> dict[str, Any]:
    """The same values by whole keys, such as "model.hyperparameters.n_layers" for n_layers, in a
    training whose task is of this ``kind`` and whose ``model`` is of this class.

    A key with a dot is whole already. A bare name means the option of the training of that name,
    else that of [data], of [task] or of the model. Raises ValueError if there is none, with the
    name meant, or if there are several, with their keys.
    """
    known = known_settings(kind, model)
    found: dict[str, Any] = {}
    for name, value in settings.items():
        keys = [name] if "." in name else known.get(name, [])
        if not keys:
            raise ValueError(f"there is no setting {name!r}; {suggestion(name, known)}")
        if len(keys) > 1:
            raise ValueError(
                f"{name} may be {' or '.join(keys)}; say which by its whole key:"
                f' settings={{"{keys[0]}": {value!r}}}'
            )
        found[keys[0]] = value
    return found


def known_settings(kind: str, model: str) -> dict[str, list[str]]:
    """The whole keys of each bare name; of one that the training itself has only that."""
    from mcegnn.models.registry import MODELS

    options = options_class(kind)
    found: dict[str, list[str]] = {}
    for table in _TABLES:
        fields = options.model_fields[table].annotation
        for name in getattr(fields, "model_fields", {}):
            found.setdefault(name, []).append(f"{table}.{name}")
    for name in inspect.signature(MODELS[model].__init__).parameters:
        if name != "self":
            found.setdefault(name, []).append(f"{_HYPERPARAMETERS}.{name}")
    del found["kind"]
    tables = (*_TABLES, "model")
    return {**found, **{name: [name] for name in options.model_fields if name not in tables}}
