"""The cell of a neighbour search, and checks of its input."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from systems.cell import PBC, complete, volume

_FARTHEST = 2.0**30  # cells, so that differences are counted in 32 bits


@dataclass(frozen=True)
class Box:
    """A cell as a cell list sees it: never without vectors, with the extent of the particles where
    it is not periodic."""

    cell: np.ndarray
    inverse: np.ndarray
    pbc: np.ndarray
    heights: np.ndarray

    @classmethod
    def of(cls, cell: np.ndarray | None, pbc: PBC) -> "Box":
        """That of a cell [3, 3]. Raises ValueError if a periodic direction has no lattice vector,
        or the cell no volume."""
        given = np.zeros((3, 3)) if cell is None else np.ascontiguousarray(cell, dtype=float)
        return cls._of(given.tobytes(), (bool(pbc[0]), bool(pbc[1]), bool(pbc[2])))

    @classmethod
    @lru_cache(64)  # most cells are asked about again and again
    def _of(cls, numbers: bytes, directions: PBC) -> "Box":
        given, pbc = np.frombuffer(numbers).reshape(3, 3), np.array(directions, dtype=bool)
        if (pbc & ~given.any(-1)).any():
            raise ValueError("a periodic direction needs a lattice vector")
        cell = complete(given)
        if not volume(cell) > 1e-12 * np.prod((cell**2).sum(-1)) ** 0.5:
            raise ValueError("the cell has no volume")
        inverse = np.linalg.inv(cell)
        return cls(cell, inverse, pbc, (inverse**2).sum(0) ** -0.5)

    def images_within(self, cutoff: float) -> np.ndarray:
        """How many cells away a neighbour's cell can be along each direction, [3], for particles
        that are inside the cell.

        Raises ValueError if that is more than can be counted."""
        far = np.where(self.pbc, np.ceil(cutoff / self.heights), 0.0)
        if not far.max() <= _FARTHEST:
            raise ValueError(
                f"the cutoff {cutoff:g} reaches across {far.max():.3g} images of the cell; use a"
                " shorter one or a larger cell"
            )
        return far.astype(np.int64)


def check_search(positions: np.ndarray, cutoff: float) -> None:
    """Raise ValueError if the system is an ensemble, or the cutoff is not a positive number."""
    if positions.ndim != 2:
        raise ValueError(
            "neighbours are found for one system at a time; positions have shape"
            f" {tuple(positions.shape)}"
        )
    check_cutoff(cutoff)


def check_cutoff(cutoff: float) -> None:
    """Raise ValueError if the cutoff is not a positive number, or one whose cube is none."""
    if not (cutoff > 0 and math.isfinite(cutoff)):
        raise ValueError(f"the cutoff must be a positive number, not {cutoff}")
    if not 1e-90 < cutoff < 1e90:
        raise ValueError(f"the cutoff must be between 1e-90 and 1e90, not {cutoff:g}")


def extent(fractional: np.ndarray, pbc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest fractional coordinates. Raises ValueError if one is not finite, or too far
    from a periodic cell."""
    from systems.neighbors import _cell_list

    kernels: Any = _cell_list
    if not len(fractional):
        return np.zeros(3), np.ones(3)
    low, high, broken = kernels.extent(fractional)
    if broken >= 0:
        raise ValueError(f"particle {broken} has no finite position, so it has no neighbours")
    if max(abs(low).max(), abs(high).max()) > 1e300:
        raise ValueError("particles are too far from one another for a number to say how far")
    cells = float(np.maximum(-low, high)[pbc].max(initial=0.0))
    if cells > _FARTHEST:
        raise ValueError(
            f"a particle is {cells:.3g} cells away from the cell, where its images can no longer be"
            " counted"
        )
    return low, high
