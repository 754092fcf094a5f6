"""Charged particles: how near they come to each other, and how energy goes between motion and
field."""

from dataclasses import dataclass, replace

import numpy as np

from trajectories.analysis.blocks import BLOCK, blocks
from trajectories.analysis.results import Axis, Curves, Number
from trajectories.storage.h5md import H5MDReader

_FEW = 64  # particles whose pairs are simply all looked at


@dataclass(frozen=True, eq=False)
class Nearest:
    """The least distance of each frame and system, [frames, n_systems], and when, where and between
    whom it was least of all."""

    distances: np.ndarray
    frame: int
    system: int
    particles: tuple[int, int]


def closest_approach(run: H5MDReader) -> Nearest:
    """The nearest two particles of each frame that was kept. Raises ValueError for fewer than two
    particles or a periodic box."""
    if run.n_particles < 2:
        raise ValueError("a closest approach takes two particles")
    if any(run.pbc):
        raise ValueError("closest approaches are looked for without periodic boxes")
    n_systems = run.n_systems or 1
    least, nearest = np.empty((len(run), n_systems)), Nearest(np.array([np.inf]), 0, 0, (0, 1))
    look = _all_pairs if run.n_particles <= _FEW else _by_trees
    for where, x in blocks(run, "position", BLOCK // min(run.n_particles, _FEW)):
        least[where], pairs = look(x)
        k, s = (int(at) for at in np.unravel_index(int(least[where].argmin()), least[where].shape))
        if least[where][k, s] < nearest.distances.min():
            i, j = pairs[k, s].tolist()
            nearest = Nearest(least[where], where.start + k, s, (i, j))
    return replace(nearest, distances=least)


def _all_pairs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance and particles of the nearest two of [frames, n_systems, n_particles, 3]."""
    i, j = np.triu_indices(x.shape[2], 1)
    squared = np.zeros((*x.shape[:2], len(i)))
    for axis in range(3):
        squared += (x[:, :, j, axis] - x[:, :, i, axis]) ** 2
    where = squared.argmin(-1)
    return np.sqrt(np.take_along_axis(squared, where[..., None], -1)[..., 0]), np.stack(
        [i[where], j[where]], -1
    )


def _by_trees(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for many particles, n log n each frame."""
    from scipy.spatial import KDTree

    least, pairs = np.empty(x.shape[:2]), np.empty((*x.shape[:2], 2), dtype=int)
    for k in np.ndindex(x.shape[:2]):
        distances, others = KDTree(x[k]).query(x[k], 2)
        i = int(distances[:, 1].argmin())
        least[k], pairs[k] = (
            distances[i, 1],
            sorted((i, int(others[i, 1]) if others[i, 1] != i else int(others[i, 0]))),
        )
    return least, pairs


def encounter_curves(run: H5MDReader) -> tuple[list[Number], list[Curves]]:
    """Closest approach and exchange of energy, against time: median, nearest tenth and least over
    an ensemble's systems."""
    near = closest_approach(run)
    unit, axis = run.units.length, Axis("time", run.units.time)
    where = f" in system {near.system}" if run.n_systems else ""
    note = (
        f"particles {near.particles[0]} and {near.particles[1]}{where} at time"
        f" {run.times[near.frame]:g}"
    )
    numbers = [
        Number(
            "closest_approach",
            "closest approach, in the frames kept",
            float(near.distances.min()),
            unit,
            note=note,
        )
    ]
    said = f"Nearest of all were {note}: {near.distances.min():.4g} {unit}".rstrip() + "."
    shown = _spread(near.distances)
    curves = [
        Curves(
            "closest",
            "Distance of the nearest two",
            axis,
            run.times,
            Axis("distance", unit, True),
            shown,
            said,
        )
    ]
    kinetic, potential = run.observable("kinetic_energy"), run.observable("potential_energy")
    if kinetic is None or potential is None:
        return numbers, curves
    kinetic, potential = (values.reshape(len(run), -1) for values in (kinetic, potential))
    gained = kinetic - kinetic[0]
    largest = abs(gained).max(0)
    numbers.append(
        Number(
            "energy_exchange",
            "largest exchange of energy",
            float(np.median(largest)),
            run.units.energy,
            note="each system's largest, median over systems" if run.n_systems else "",
        )
    )
    lost = potential - potential[0]
    each = {"kinetic": gained, "potential": lost, "total": gained + lost}
    # a few systems in which particles met would outweigh all others in a mean
    shown = {name: np.median(change, 1) for name, change in each.items()}
    most = {name: abs(change).max() for name, change in shown.items()}
    said = (
        f"{'Medians over systems: kinetic' if run.n_systems else 'Kinetic'} energy changes by up"
        f" to {most['kinetic']:.4g}, the total by {most['total']:.2g}."
    )
    curves.append(
        Curves(
            "exchange",
            "Energy, change since the start",
            axis,
            run.times,
            Axis("energy, median" if run.n_systems else "energy", run.units.energy),
            shown,
            said,
        )
    )
    return numbers, curves


def _spread(values: np.ndarray) -> dict[str, np.ndarray]:
    """Over systems [frames, n_systems]."""
    if values.shape[1] == 1:
        return {"distance": values[:, 0]}
    return {
        "median": np.median(values, 1),
        "nearest tenth": np.quantile(values, 0.1, 1),
        "least": values.min(1),
    }
