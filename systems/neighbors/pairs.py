"""`Pairs`: pairs of near particles, as a list by centre."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs nearer than a cutoff, by centre, neighbour and shift: those of particle k are
    ``starts[k]`` to ``starts[k + 1]``.

    ``starts`` is int64 [n_particles + 1], ``j`` int32 [n_pairs] the neighbours, and ``image`` int32
    [n_pairs] says which of the ``images`` [n_images, 3] is the pair's shift, the lattice vectors to
    add: r_ij = x[j] - x[i] + shift @ cell.
    """

    starts: np.ndarray
    j: np.ndarray
    image: np.ndarray
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.j)

    @cached_property
    def i(self) -> np.ndarray:
        """The centres, int32 [n_pairs]."""
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))

    @cached_property
    def shift(self) -> np.ndarray:
        """Of each pair, int8 [n_pairs, 3]; int32 where particles are hundreds of cells apart."""
        from systems.neighbors import _neighbor_lists

        kernels: Any = _neighbor_lists
        wide = self.images.size and abs(self.images).max() > 127
        shift = np.empty((len(self), 3), np.int32 if wide else np.int8)
        kernels.spread(self.image, self.images, shift)
        return shift

    def offsets(self, positions: Any, cell: Any | None) -> Any:
        """r_ij [n_pairs, 3] from centre to neighbour, for positions [n, 3] and cell [3, 3]."""
        d = positions[self.j] - positions[self.i]
        return d if cell is None else d + self.shift @ cell


def of_shifts(i: np.ndarray, j: np.ndarray, shift: np.ndarray, n: int) -> Pairs:
    """Pairs between ``n`` particles from their centres, neighbours and shifts [n_pairs, 3], which
    are in order."""
    images, image = (
        np.unique(shift, axis=0, return_inverse=True)
        if len(shift)
        else (np.zeros((1, 3), int), np.zeros(0, int))
    )
    starts = np.concatenate([[0], np.bincount(i, minlength=n).cumsum()])
    return Pairs(
        starts, j.astype(np.int32), image.ravel().astype(np.int32), images.astype(np.int64)
    )


def halved(pairs: Pairs) -> Pairs:
    """One of each two mirror pairs: the centre has the smaller number, or, of a particle and its
    image, the shift's first component that is not zero is positive.
    """
    first = np.take_along_axis(pairs.shift, (pairs.shift != 0).argmax(-1)[:, None], -1)[:, 0]
    keep = (pairs.i < pairs.j) | ((pairs.i == pairs.j) & (first > 0))
    starts = np.concatenate([[0], np.cumsum(keep)])[pairs.starts]
    return Pairs(starts, pairs.j[keep], pairs.image[keep], pairs.images)
