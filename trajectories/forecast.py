"""Forecast errors: the distance of a rollout from a reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from systems.arrays import Array
from systems.units import ASTRONOMICAL
from trajectories.storage.h5md import H5MDReader


def displacement_error(predicted: Array, true: Array, start: Array) -> Array:
    """|predicted - true|^2 / |start - true|^2 of each body, [..., n]: zero is exact, one is no
    motion (arXiv 2309.03139)."""
    return ((predicted - true) ** 2).sum(-1) / ((start - true) ** 2).sum(-1)


class NoneOfJPL(ValueError):
    """None of a run's bodies is DE440's."""


# at the start from where DE440 has it, a body may be as far as other ephemerides have it, but not
# as the Sun is from the barycentre
_SAME, _SAME_KM = 1e-5, 1000.0  # of its distance from the barycentre, and km
# by which another ephemeris may have a velocity; missing moons make it a hundred times more
_SAME_SPEED = 0.005  # m/s, which make 158 km in a year
_ALONE = ("Sun", "Mercury", "Venus", "Earth", "Moon")  # DE440 has them, of others barycentres


@dataclass(frozen=True, eq=False)
class JPLDistance:
    """Distances in km between a run's bodies and JPL DE440, [frames, bodies], at ``times`` in days
    since the run's start.

    ``speeds`` are the differences of velocities at the start in m/s, [bodies].
    """

    names: list[str]
    times: np.ndarray
    kilometers: np.ndarray
    speeds: np.ndarray

    @property
    def start(self) -> str:
        """Note on bodies that do not start as in DE440, and its consequence; empty if all do."""
        off = [k for k, speed in enumerate(self.speeds) if speed > _SAME_SPEED]
        if not off:
            return ""
        each = ", ".join(f"{self.names[k]} ({self.speeds[k]:.2g} m/s)" for k in off)
        barycenters = any(self.names[k] not in _ALONE for k in off)
        return (
            f"not all start with DE440's velocities: {each} off, so these distances grow whatever"
            " the rollout does"
            + (
                "; from Mars on DE440 has the barycentre of a planet with its moons, which is not"
                " the planet where moons are missing from the run"
                if barycenters
                else ""
            )
        )


def distance_to_jpl(
    reader: H5MDReader, epoch: float, parents: list[str], which: Any = slice(None)
) -> JPLDistance:
    """Distance of a run's bodies from their positions in JPL DE440; ``epoch`` is the run's start, a
    TDB Julian day.

    From Mars on DE440 gives the barycentre of a planet and its moons, so the run's is taken as
    well: the bodies whose entry in ``parents`` is the planet count with it. Frames outside the
    kernel's span are left out, and so are bodies that do not start where DE440 has them: those bear
    a planet's name and are another. Raises RuntimeError without the extra, ValueError if no frame
    is inside, and `NoneOfJPL` if no body is.
    """
    from systems.sources import ephemeris

    names = [name for name in reader.names if name in ephemeris.NAMES]
    if not names:
        raise NoneOfJPL("DE440 knows none of the run's bodies")
    first, last = ephemeris.span()
    if not first <= epoch + reader.times[0] <= last:
        raise ValueError("the run lies outside DE440")
    weights = _weights(reader, names, parents)
    true, speeds = ephemeris.states(epoch, reader.times[0], tuple(names))
    here = weights @ reader.frames("position", 0) / ASTRONOMICAL.convert(1.0, "km")
    same = np.linalg.norm(here - true, axis=-1) <= np.maximum(
        _SAME_KM, _SAME * np.linalg.norm(true, axis=-1)
    )
    if not same.any():
        raise NoneOfJPL("the run's bodies do not start where DE440 has those of their names")
    names, weights = [name for name, kept in zip(names, same, strict=True) if kept], weights[same]
    off = np.zeros(len(names))
    if reader.has_velocities:
        v = weights @ reader.frames("velocity", 0) * (1e3 / ASTRONOMICAL.convert(1.0, "km/s"))
        off = np.linalg.norm(v - 1e3 * speeds[same], axis=-1)
    times, x = reader.times[which], reader.frames("position", which)
    inside = (epoch + times >= first) & (epoch + times <= last)
    if not inside.any():
        raise ValueError("the run lies outside DE440")
    times, x = (
        times[inside],
        np.einsum("bn,fna->fba", weights, x[inside]) / ASTRONOMICAL.convert(1.0, "km"),
    )
    true, _ = ephemeris.states(epoch, times, tuple(names))
    return JPLDistance(names, times, np.linalg.norm(x - true, axis=-1), off)


def _weights(reader: H5MDReader, names: list[str], parents: list[str]) -> np.ndarray:
    """How much each of the run's bodies counts in what DE440 calls by each name, [names,
    bodies]."""
    weights = np.zeros((len(names), reader.n_particles))
    for row, name in enumerate(names):
        whole = name not in _ALONE
        for k, (body, parent) in enumerate(zip(reader.names, parents, strict=True)):
            if body == name or (whole and parent == name):
                weights[row, k] = reader.masses[k]
    return np.asarray(weights / weights.sum(1, keepdims=True))


@dataclass(frozen=True, eq=False)
class ForecastError:
    """Distance of a run from its reference: root mean square over particles, [frames, n_systems],
    at ``times``."""

    times: np.ndarray
    errors: np.ndarray

    def valid_time(self, tolerance: float) -> np.ndarray:
        """For each system [n_systems] the last time before its error first exceeds ``tolerance``.
        Raises ValueError unless that is positive."""
        if not tolerance > 0:
            raise ValueError(f"a tolerance must be positive, not {tolerance}")
        wrong = ~(self.errors <= tolerance)  # what is not finite is wrong
        first = np.where(wrong.any(0), wrong.argmax(0), len(self.times))
        return np.where(first > 0, self.times[np.maximum(first - 1, 0)], self.times[0])


def forecast_error(run: H5MDReader, reference: H5MDReader) -> ForecastError:
    """Compare a run with a reference at the times of which both have a frame.

    Raises ValueError if the two are not of the same systems, or have no time in common after the
    start.
    """
    from scipy.spatial import (
        KDTree,
    )  # losses need this module, and not a third of a second of scipy

    if (run.n_systems or 1, run.n_particles) != (reference.n_systems or 1, reference.n_particles):
        shapes = (
            f"{r.n_particles} particles x {r.n_systems or 1} systems" for r in (run, reference)
        )
        raise ValueError(f"the runs are not of the same systems: {' and '.join(shapes)}")
    if ("times" in run.missing) != ("times" in reference.missing):
        untold = next(r.name for r in (run, reference) if "times" in r.missing)
        raise ValueError(f"{untold} tells no times to compare at; say how far its frames are apart")
    times, others = run.times, reference.times
    nearest = KDTree(others[:, None]).query(times[:, None])[1]
    spacing = np.diff(times).min() if len(times) > 1 else 0.0
    same = np.flatnonzero(np.abs(others[nearest] - times) <= 1e-6 * max(spacing, 1e-300))
    if not len(same) or times[same[-1]] == times[0]:
        raise ValueError(
            f"{run.name} and {reference.name} have no frame at the same time but the first; choose"
            " --every to fit"
        )
    errors = np.empty((len(same), run.n_systems or 1))
    for row, k in enumerate(same):
        distance = run.frames("position", int(k)) - reference.frames("position", int(nearest[k]))
        errors[row] = np.sqrt((distance**2).sum(-1).mean(-1))
    if errors[0].max() > 1e-6 * np.sqrt(
        (reference.frames("position", int(nearest[same[0]])) ** 2).sum(-1).mean()
    ):
        raise ValueError(
            f"{run.name} and {reference.name} do not start from the same positions; give both the"
            " same --seed or bodies"
        )
    return ForecastError(times[same], errors)
