"""Models on disk: weights as safetensors with a JSON header that names a class of
`mcegnn.models.registry`; nothing is ever unpickled."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mcegnn.models.factory import NoFactory
from mcegnn.models.registry import MODELS
from mcegnn.names import TRAINED, is_factory, locate, nearest
from trajectories.storage.tensor_file import read_tensors, write_tensors

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Stored:
    """A model with its class name, hyper-parameters and the record of its training.

    ``trained`` are numbers that tell what it was trained on (`mcegnn.data.trained`), uint64 by
    name; none if unknown.
    """

    model: Any
    kind: str
    hyperparameters: dict[str, Any]
    record: dict[str, Any] = field(default_factory=dict)
    trained: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def make(
        cls, kind: str, hyperparameters: Mapping[str, Any], record: Mapping[str, Any] | None = None
    ) -> "Stored":
        """Make a model with fresh weights. Raises ValueError, naming the nearest, if there is no
        such class or hyper-parameter.

        Hyper-parameters that are not given are stored with their present defaults, so that a file
        means the same if defaults change.
        """
        model_class = MODELS[kind]
        known = {
            name: one.default
            for name, one in inspect.signature(model_class.__init__).parameters.items()
            if name != "self"
        }
        for name in hyperparameters:
            if name not in known:
                raise ValueError(
                    f"{kind} has no hyper-parameter {name!r}; did you mean {nearest(name, known)}?"
                )
        try:
            model = model_class(**hyperparameters)
        except (TypeError, KeyError) as error:
            raise ValueError(f"{kind} does not take these hyper-parameters: {error}") from None
        defaults = {
            name: default
            for name, default in known.items()
            if default is not inspect.Parameter.empty
        }
        every = {**json.loads(json.dumps(defaults)), **model_class.complete(hyperparameters)}
        return cls(
            model, kind, {name: every[name] for name in known if name in every}, dict(record or {})
        )


def save(stored: Stored, path: str | Path) -> None:
    """Write a model to ``path``: weights in their own precision, hyper-parameters, record and the
    package's version."""
    header = {
        "format": FORMAT,
        "class": stored.kind,
        "hyperparameters": stored.hyperparameters,
        "record": stored.record,
        "version": version("mcegnn"),
    }
    weights = {
        name: tensor.detach().cpu().numpy() for name, tensor in stored.model.state_dict().items()
    }
    write_tensors(
        path,
        header,
        weights | {TRAINED + name: numbers for name, numbers in stored.trained.items()},
    )


def load(name: str | Path) -> Stored:
    """Load the model of a name or path, or of a factory of a torch module
    (`mcegnn.models.foreign`). Raises ValueError if the file is not a whole model of mcegnn, or
    needs a factory that is not there."""
    if is_factory(name):
        return _foreign(str(name))
    path = locate(name)
    try:
        header, arrays = read_tensors(path)
        trained = {
            name.removeprefix(TRAINED): array
            for name, array in arrays.items()
            if name.startswith(TRAINED)
        }
        weights = {
            name: torch.from_numpy(array)
            for name, array in arrays.items()
            if not name.startswith(TRAINED)
        }
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, this version reads {FORMAT}")
        stored = replace(
            Stored.make(header["class"], header["hyperparameters"], header["record"]),
            trained=trained,
        )
        _fill(stored.model, weights)
    except NoFactory as error:
        raise ValueError(f"{path}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, StopIteration) as error:
        raise ValueError(
            f"{path} is not a model of ours, or a damaged one"
            f" ({' '.join(str(error).split())[:200]})"
        ) from None
    stored.model.eval().requires_grad_(False)
    stored.model.file = path.absolute()
    return stored


def _fill(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a model the weights of a file, and their precision. Raises ValueError if they are of
    several, or of other shapes."""
    # a module of others may have whole numbers beside its weights
    floating = [tensor.dtype for tensor in weights.values() if tensor.is_floating_point()]
    kinds = {str(dtype) for dtype in floating}
    if kinds not in ({"torch.float32"}, {"torch.float64"}):
        raise ValueError(f"its weights are {', '.join(sorted(kinds))}")
    for key, own in model.state_dict().items():
        if key in weights and weights[key].shape != own.shape:
            raise ValueError(f"{key} is {tuple(weights[key].shape)}, not {tuple(own.shape)}")
    model.to(floating[0])
    model.load_state_dict(weights)


def _foreign(factory: str) -> Stored:
    """The model that a factory's module says it is."""
    from mcegnn.models.foreign import declared

    stored = Stored.make(*declared(factory))
    stored.model.eval().requires_grad_(False)
    return stored
