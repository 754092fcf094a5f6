"""One set of formulas for two kinds of array: NumPy arrays and torch tensors."""

import importlib
from typing import Any

import numpy as np

Array = Any  #: numpy.ndarray or torch.Tensor, float64 unless said otherwise


def namespace(array: Array) -> Any:
    """The module (numpy or torch) whose functions take ``array``; torch is never imported for a
    NumPy array."""
    return np if isinstance(array, np.ndarray | np.generic) else importlib.import_module("torch")


def mask(condition: Any, array: Array) -> Array:
    """Ones where the condition holds and zeros elsewhere, in float64, of the kind of ``array``."""
    return like(np.asarray(condition, dtype=float), array)


def like(constant: Any, array: Array) -> Array:
    """``constant`` as an array of the kind, and on the device, of ``array``; its own dtype is
    kept."""
    if isinstance(array, np.ndarray | np.generic):
        return np.asarray(constant)
    return namespace(array).as_tensor(constant, device=array.device)
