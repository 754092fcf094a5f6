"""Ensembles for potentials that take a single system."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from systems.system import Evaluation, System


def map_ensemble(evaluate: Callable[[System], Evaluation], system: System) -> Evaluation:
    """The evaluation of a NumPy system, or those of an ensemble's systems one after the other, with
    their axis first."""
    if system.n_systems is None:
        return evaluate(system)
    return stack_evaluations([evaluate(one) for one in singles(system)])


def singles(system: System) -> list[System]:
    """The systems of an ensemble; a single system by itself."""
    if system.n_systems is None:
        return [system]
    return [system.copy_of(k) for k in range(system.n_systems)]


def stack_evaluations(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of equal systems as one, with their axis first; a part that one of them lacks is
    left out."""

    def stacked(name: str) -> np.ndarray | None:
        values = [getattr(one, name) for one in evaluations]
        return (
            None
            if any(value is None for value in values)
            else np.stack([np.asarray(value) for value in values])
        )

    parts: dict[str, Any] = {
        name: stacked(name) for name in ("energy", "forces", "stress", "energies", "closest")
    }
    return Evaluation(**parts, potential=evaluations[0].potential)


def replicas(system: System, n: int) -> System:
    """Return an ensemble of n copies of a system."""

    def copies(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (n, *array.shape)).copy()

    return replace(
        system,
        positions=copies(system.positions),
        momenta=copies(system.momenta),
        charges=np.broadcast_to(system.charges, (n, system.n_particles)).copy(),
        cell=None if system.cell is None else copies(system.cell),
    )
