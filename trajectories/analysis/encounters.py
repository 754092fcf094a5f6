"""Encounters of charged particles: closest approaches, and exchange of kinetic and potential
energy."""

from dataclasses import dataclass, replace

import numpy as np

from trajectories.analysis.blocks import BLOCK, blocks
from trajectories.analysis.results import Axis, Curves, Number
from trajectories.storage.h5md import H5MDReader

_FEW = 64  # particles whose pairs are simply all looked at


@dataclass(frozen=True, eq=False)
class Nearest:
    """Least distance in each frame and system, [frames, n_systems], and the frame, system and
    particles of the least of all."""

    distances: np.ndarray
    frame: int
    system: int
    particles: tuple[int, int]


def closest_approach(run: H5MDReader) -> Nearest:
    """The nearest two particles of each frame that was kept. Raises ValueError if there are fewer
    than two particles or the box is periodic."""
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
    number, curves = _closest(run)
    exchanged = _energy_exchange(run)
    if exchanged is None:
        return [number], [curves]
    return [number, exchanged[0]], [curves, exchanged[1]]


def _closest(run: H5MDReader) -> tuple[Number, Curves]:
    """The closest approach, in the frames kept; and the distances of the nearest two."""
    near, unit = closest_approach(run), run.units.length
    least, (i, j) = float(near.distances.min()), near.particles
    where = f" in system {near.system}" if run.n_systems else ""
    note = f"particles {i} and {j}{where} at time {run.times[near.frame]:g}"
    label = "closest approach, in the frames kept"
    time, distance = Axis("time", run.units.time), Axis("distance", unit, True)
    title, shown = "Smallest distance between two particles", _spread(near.distances)
    said = f"Nearest of all were {note}: {least:.4g} {unit}".rstrip() + "."
    curves = Curves("closest", title, time, run.times, distance, shown, said)
    return Number("closest_approach", label, least, unit, note=note), curves


def _energy_exchange(run: H5MDReader) -> tuple[Number, Curves] | None:
    """Exchange of kinetic and potential energy; None if one of the two is unknown."""
    kinetic, potential = run.observable("kinetic_energy"), run.observable("potential_energy")
    if kinetic is None or potential is None:
        return None
    gained, lost = (
        energy - energy[0] for energy in (v.reshape(len(run), -1) for v in (kinetic, potential))
    )
    note = "each system's largest, median over systems" if run.n_systems else ""
    largest, unit = float(np.median(abs(gained).max(0))), run.units.energy
    number = Number("energy_exchange", "largest exchange of energy", largest, unit, note=note)
    each = {"kinetic": gained, "potential": lost, "total": gained + lost}
    # a few systems in which particles met would outweigh all others in a mean
    shown = {name: np.median(change, 1) for name, change in each.items()}
    most = {name: abs(change).max() for name, change in shown.items()}
    said = (
        f"{'Medians over systems: kinetic' if run.n_systems else 'Kinetic'} energy changes by up"
        f" to {most['kinetic']:.4g}, the total by {most['total']:.2g}."
    )
    time = Axis("time", run.units.time)
    axis = Axis("energy, median" if run.n_systems else "energy", unit)
    title = "Energy, change since the start"
    return number, Curves("exchange", title, time, run.times, axis, shown, said)


def _spread(values: np.ndarray) -> dict[str, np.ndarray]:
    """Over systems [frames, n_systems]."""
    if values.shape[1] == 1:
        return {"distance": values[:, 0]}
    return {
        "median": np.median(values, 1),
        "nearest tenth": np.quantile(values, 0.1, 1),
        "least": values.min(1),
    }
