"""Errors of predicted positions, a number for each sample; [n_samples, n_particles, 3] arrays of NumPy or torch."""

from collections.abc import Callable
from typing import Any

from trajectories.forecast import displacement_error


def mean_square(predicted: Any, true: Any, start: Any) -> Any:
    """Mean over particles and components of the squared error, the charged benchmark's measure: [n_samples]."""
    return ((predicted - true) ** 2).mean(-1).mean(-1)


def displacement(predicted: Any, true: Any, start: Any) -> Any:
    """Mean over bodies of the squared error over the squared way travelled, the solar task's measure: [n_samples]."""
    return displacement_error(predicted, true, start).mean(-1)


ERRORS: dict[str, Callable[[Any, Any, Any], Any]] = {"mean-square": mean_square, "displacement": displacement}


def saturated(errors: Any, scale: float) -> Any:
    """error / (error + scale): counts small errors fully, and large ones, such as those of chaotic samples, at most as one."""
    return errors / (errors + scale)
