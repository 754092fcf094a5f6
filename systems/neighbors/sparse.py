"""Mean number of neighbours of particles, compared with the fewest in a potential's training
data."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from systems.neighbors.lists import NeighborList
from systems.system import System

_FEW = 64  # particles whose pairs are simply all looked at


@runtime_checkable
class KnowsNeighbors(Protocol):
    """A potential that knows how few neighbours the atoms of its training have."""

    @property
    def fewest_neighbors(self) -> Mapping[float, float]:
        """Least mean number of neighbours of a training structure, by cutoff; empty if unknown."""


class Count(NamedTuple):
    """The mean number of neighbours within a cutoff, and the fewest that a structure of training
    has; ``unit`` is that of lengths."""

    mean: float
    fewest: float
    cutoff: float
    unit: str = ""

    @property
    def share(self) -> float:
        """Mean number of neighbours over the fewest in training."""
        return self.mean / self.fewest

    def __str__(self) -> str:
        within = f"{self.cutoff:g} {self.unit}".rstrip()
        numbers = (
            f"on average {self.mean:.4g} neighbours within {within}, in training never fewer than"
            f" {self.fewest:.4g}"
        )
        return f"the atoms have drifted apart: {numbers}"


def mean_neighbors(system: System, cutoff: float) -> float:
    """Mean number of neighbours within ``cutoff`` of a particle of a single system, counting
    images.

    Raises ValueError if the cell has no volume.
    """
    n = system.n_particles
    if n > _FEW or any(system.pbc):
        return len(NeighborList(cutoff)(*system.geometry)) / n
    x, (i, j) = np.asarray(system.positions, dtype=float), np.triu_indices(n, 1)
    return 2.0 * int((((x[j] - x[i]) ** 2).sum(-1) < cutoff**2).sum()) / max(n, 1)


def counted(potential: Any, system: System) -> dict[int, Count]:
    """The `Count` of each system of an ensemble, of a committee that of the member which finds the
    fewest beside its training.

    There is none where the potential does not know the fewest of its training, nor of a system that
    has collapsed or is not finite.
    """
    known = potential.fewest_neighbors if isinstance(potential, KnowsNeighbors) else {}
    found: dict[int, Count] = {}
    for s in range(system.n_systems or 1) if known else ():
        one = system if system.n_systems is None else system.copy_of(s)
        if np.isfinite(one.positions).all():
            with suppress(
                ValueError
            ):  # of a cell that has collapsed, of which energies and forces tell
                counts = [
                    Count(mean_neighbors(one, cutoff), least, cutoff, one.units.length)
                    for cutoff, least in known.items()
                ]
                found[s] = min(counts, key=lambda count: count.share)
    return found
