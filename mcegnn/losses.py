"""Errors of predicted positions, a number for each particle: [..., n_particles, 3] arrays, NumPy or torch, in; [..., n_particles] out."""

from collections.abc import Callable
from typing import Any

from trajectories.forecast import displacement_error


def mean_square(predicted: Any, true: Any, start: Any) -> Any:
    """Mean over components of the squared error; over the particles too, it is the charged benchmark's measure."""
    return ((predicted - true) ** 2).mean(-1)


# the mean over bodies of "displacement" is the solar task's measure
ERRORS: dict[str, Callable[[Any, Any, Any], Any]] = {"mean-square": mean_square, "displacement": displacement_error}

# what distances from the truth are divided by before they are squared: [..., n_particles, 1] or a number, of true and start
SCALES: dict[str, Callable[[Any, Any], Any]] = {
    "mean-square": lambda true, start: 3**0.5,
    "displacement": lambda true, start: ((true - start) ** 2).sum(-1)[..., None] ** 0.5,
}


def saturated(errors: Any, scale: float) -> Any:
    """error / (error + scale): counts small errors fully, and large ones, such as those of chaotic samples, at most as one."""
    return errors / (errors + scale)
