"""Pairs of particles that are nearer to each other than a limit, or than any in a potential's
training data."""

from contextlib import suppress

import numpy as np

from systems.neighbors.lists import NeighborList
from systems.potentials.committee import ExtrapolationWarning
from systems.system import System

_SKINS = 3.0  # times the limit, by which particles that are looked after may be farther apart
_FEW = 64  # particles whose pairs are simply all looked at


class NearPairWarning(ExtrapolationWarning):
    """A pair is nearer than any in the data that the potential was trained on."""


def nearer_than_trained(system: System, closest: np.ndarray) -> str:
    """The pair of one system's `Evaluation.closest` [4] in words."""
    from ase.data import chemical_symbols

    ratio, i, j, nearest = closest.tolist()
    one, other = (f"{chemical_symbols[system.species[int(k)]]} {int(k)}" for k in (i, j))
    unit = f" {system.units.length}".rstrip()
    return (
        f"{one} and {other} are {ratio * nearest:.4g}{unit} apart, in training never nearer than"
        f" {nearest:.4g}{unit}"
    )


def nearer(
    system: System, limit: float, lists: dict[int, NeighborList] | None = None
) -> dict[int, tuple[float, int, int]]:
    """(distance, i, j) of the nearest particles of each system of an ensemble that has some nearer
    than ``limit``.

    ``lists`` keeps the systems' neighbour lists from one call to the next: few pairs are that near,
    and they stay so for long.
    """
    x = np.asarray(system.positions, dtype=float)
    if system.n_particles <= _FEW and not any(system.pbc):
        copies = x.reshape(-1, *x.shape[-2:])
        i, j = np.triu_indices(system.n_particles, 1)
        squared = ((copies[:, j] - copies[:, i]) ** 2).sum(-1)
        if not squared.size:
            return {}
        where = squared.argmin(1)
        least = squared[np.arange(len(copies)), where] ** 0.5
        return {
            int(s): (float(least[s]), int(i[where[s]]), int(j[where[s]]))
            for s in np.flatnonzero(least < limit)
        }
    found: dict[int, tuple[float, int, int]] = {}
    for s in range(system.n_systems or 1):
        one = system if system.n_systems is None else system.copy_of(s)
        if not np.isfinite(one.positions).all():
            continue
        with suppress(
            ValueError
        ):  # of a cell that has collapsed, of which energies and forces tell
            list_of = (lists if lists is not None else {}).setdefault(
                s, NeighborList(limit, _SKINS * limit)
            )
            found |= _nearest(s, one, limit, list_of)
    return found


def _nearest(
    s: int, one: System, limit: float, neighbors: NeighborList
) -> dict[int, tuple[float, int, int]]:
    pairs = neighbors(*one.geometry)
    if not len(pairs):
        return {}
    apart = one.positions[pairs.j] - one.positions[pairs.i]
    if one.cell is not None:
        apart = apart + pairs.shift @ one.cell
    lengths = np.linalg.norm(apart, axis=-1)
    k = int(lengths.argmin())
    if not lengths[k] < limit:
        return {}
    return {s: (float(lengths[k]), int(pairs.i[k]), int(pairs.j[k]))}
