"""Datasets of states of the same particles before and after, and of other datasets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mcegnn.data.dataset import OF_ATOMS, OF_SYSTEMS, Dataset
from mcegnn.data.target import Target
from systems.system import System
from systems.units import Units


def dataset_of_pairs(before: System, after: System, interval: float) -> Dataset:
    """Make samples of ensembles [n, n_particles, ...] of the same particles before and after
    ``interval``; the targets are their "positions" and "velocities" then."""
    n, n_particles = before.positions.shape[:2]
    units = before.units

    def flat(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array).reshape(n * n_particles, *array.shape[2:])

    def each(array: np.ndarray) -> np.ndarray:
        return flat(np.broadcast_to(array, (n, n_particles)))

    targets = {
        "positions": Target(flat(after.positions), units.length, "vector"),
        "velocities": Target(flat(after.velocities), _velocity(units), "vector"),
    }
    return Dataset(
        np.arange(n + 1) * n_particles,
        each(before.species),
        flat(before.positions),
        targets,
        masses=each(before.masses),
        charges=each(before.charges),
        momenta=flat(before.momenta),
        units=units,
        interval=interval,
        noun="samples",
    )


def _velocity(units: Units) -> str:
    return f"{units.length}/{units.time}" if units.length else ""


def join_datasets(parts: Sequence[Dataset]) -> Dataset:
    """Join the systems of all parts, in their order. Raises ValueError if there are no parts."""
    if not parts:
        raise ValueError("there is no dataset to join")
    first = parts[0]
    ends = np.cumsum(np.concatenate([part.sizes for part in parts]))

    def every(name: str) -> np.ndarray | None:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    arrays: dict[str, Any] = {name: every(name) for name in (*OF_ATOMS, *OF_SYSTEMS)}
    return replace(
        first,
        starts=np.concatenate([[0], ends]).astype(np.int64),
        targets={
            name: target._replace(values=np.concatenate([part[name] for part in parts]))
            for name, target in first.targets.items()
        },
        **arrays,
    )
