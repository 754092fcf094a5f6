"""Ensembles for potentials that take a single system."""

from collections.abc import Callable
from typing import Any

import numpy as np

from systems.system import Evaluation, System


def map_ensemble(evaluate: Callable[[System], Evaluation], system: System) -> Evaluation:
    """What is said of a NumPy system, or of an ensemble's systems one after the other, with their
    axis first."""
    if system.n_systems is None:
        return evaluate(system)
    said = [evaluate(system.copy_of(k)) for k in range(system.n_systems)]

    def stacked(name: str) -> np.ndarray | None:
        values = [getattr(one, name) for one in said]
        return (
            None
            if any(value is None for value in values)
            else np.stack([np.asarray(value) for value in values])
        )

    parts: dict[str, Any] = {
        name: stacked(name) for name in ("energy", "forces", "stress", "energies", "closest")
    }
    return Evaluation(**parts, potential=said[0].potential)
