"""Forecast errors: how far a rollout is from a reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from systems.arrays import Array
from systems.units import ASTRONOMICAL
from trajectories.h5md import H5MDReader


def displacement_error(predicted: Array, true: Array, start: Array) -> Array:
    """|predicted - true|^2 / |start - true|^2 of each body, [..., n]: zero is exact, one is to stand still (arXiv 2309.03139)."""
    return ((predicted - true) ** 2).sum(-1) / ((start - true) ** 2).sum(-1)


@dataclass(frozen=True, eq=False)
class JPLDistance:
    """Distances in km between a run's bodies and JPL DE440, [frames, bodies], at ``times`` in days since the run's start."""

    names: list[str]
    times: np.ndarray
    kilometers: np.ndarray


def distance_to_jpl(reader: H5MDReader, epoch: float, parents: list[str], which: Any = slice(None)) -> JPLDistance:
    """Distance of the bodies that DE440 holds from where it has them; ``epoch`` is the run's start, a TDB Julian day.

    From Mars on DE440 gives the barycentre of a planet and its moons, so the run's is taken as well: the bodies whose entry in
    ``parents`` is the planet count with it. Frames outside the kernel's span are left out. Raises RuntimeError without the extra,
    ValueError where no frame is inside.
    """
    from systems import ephemeris

    names = [name for name in reader.names if name in ephemeris.NAMES]
    weights = np.zeros((len(names), reader.n_particles))
    for row, name in enumerate(names):
        whole = name not in ("Sun", "Mercury", "Venus", "Earth", "Moon")
        for k, (body, parent) in enumerate(zip(reader.names, parents, strict=True)):
            if body == name or (whole and parent == name):
                weights[row, k] = reader.masses[k]
    weights /= weights.sum(1, keepdims=True)
    times, x = reader.times[which], reader.frames("position", which)
    first, last = ephemeris.span()
    inside = (epoch + times >= first) & (epoch + times <= last)
    if not inside.any():
        raise ValueError("the run lies outside DE440")
    times, x = times[inside], np.einsum("bn,fna->fba", weights, x[inside]) / ASTRONOMICAL.convert(1.0, "km")
    true, _ = ephemeris.states(epoch, times, tuple(names))
    return JPLDistance(names, times, np.linalg.norm(x - true, axis=-1))
