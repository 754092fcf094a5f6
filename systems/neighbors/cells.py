"""`cell_list`: all near pairs at a cost that grows as the number of particles; its kernels are in
`systems.neighbors._cell_list`."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from systems.cell import PBC
from systems.neighbors.box import Box, check_search, extent
from systems.neighbors.pairs import Pairs, of_shifts
from systems.threads import shared

PARALLEL = 3000  # particles below which threads cost more than they bring
# bins a cutoff in the direction in which they lie behind one another: a shorter run to look through
_ALONG = 2
_MOST_NEIGHBORS = 3e5
_MOST_CODES = 2**22  # beyond so many possible shifts those that there are are found by sorting
# beyond so many, offsets fall out of the nearest cache, unless those that there are are numbered
# anew
_FEW_CODES = 11**3


def cell_list(
    positions: np.ndarray, cell: np.ndarray | None, pbc: PBC, cutoff: float, threads: int = 1
) -> Pairs:
    """All pairs nearer than ``cutoff`` of positions [n, 3] in a cell [3, 3], at a cost of n.

    Each pair is there from both sides, by centre, neighbour and shift. A particle is a neighbour of
    its own images, not of itself.
    """
    return Search(threads)(positions, cell, pbc, cutoff)


@dataclass(frozen=True, eq=False)
class Bins:
    """Particles sorted into bins: who comes where, where each bin starts, positions [3, n] inside
    the cell, and how far out they are."""

    box: Box
    n_bins: np.ndarray
    reach: np.ndarray
    order: np.ndarray
    start: np.ndarray
    ordered: np.ndarray
    outside: np.ndarray
    density: float

    @classmethod
    def of(cls, positions: np.ndarray, cell: np.ndarray | None, pbc: PBC, cutoff: float) -> "Bins":
        """Those for neighbours nearer than a cutoff. Raises ValueError for a cell or positions that
        have none."""
        from systems.neighbors import _cell_list

        kernels: Any = _cell_list
        box, x = Box.of(cell, pbc), np.ascontiguousarray(positions, dtype=float)
        fractional = x @ box.inverse
        low, high = extent(fractional, box.pbc)
        spans = np.where(box.pbc, 1.0, np.maximum(high - low, 1e-9))
        n_bins, reach = _bins(spans * box.heights, cutoff, len(x), box.pbc)
        bins, outside, most = kernels.bins_of(fractional, n_bins, low, spans, box.pbc)
        order, start = kernels.in_order(bins, int(n_bins.prod()))
        ordered = (x - outside @ box.cell if most else x).T.take(order, 1)
        outside = outside.astype(np.int64) if most else np.zeros((0, 3), np.int64)
        density = len(x) / float(np.prod(spans * box.heights))
        return cls(box, n_bins, reach, order, start, ordered, outside, density)

    @property
    def grid(self) -> tuple[np.ndarray, ...]:
        """The bins as kernels take them: starts, numbers, reach, periodic directions, cell."""
        return self.start, self.n_bins, self.reach, self.box.pbc, self.box.cell

    def edges(self, threads: int) -> np.ndarray:
        """Bins [threads + 1] between which each thread has about as many particles."""
        n, last = len(self.order), len(self.start) - 1
        edges = np.searchsorted(self.start, np.linspace(0, n, threads + 1)).astype(int)
        edges[0], edges[-1] = 0, last
        return edges


class Search:
    """A cell list that keeps its largest room for the next time: memory that is new has to be
    zeroed by the system first."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._room = np.empty(0, np.int64)

    def __call__(
        self, positions: np.ndarray, cell: np.ndarray | None, pbc: PBC, cutoff: float
    ) -> Pairs:
        """The pairs. Raises ValueError if they cannot be found: an ensemble, a cell without volume,
        a position that is not finite."""
        check_search(positions, cutoff)
        bins = Bins.of(positions, cell, pbc, cutoff)
        n = len(positions)
        threads = self.threads if n >= PARALLEL else 1
        if (around := _neighbors_of_one(bins, cutoff)) > _MOST_NEIGHBORS:
            raise ValueError(
                f"each particle would have about {around:.1g} neighbours nearer than {cutoff:g}:"
                " the cutoff is too long, or the cell has collapsed, as with too long a time step,"
                " or a liquid in a flexible cell, whose shape it does not hold"
            )
        far, outside = bins.box.images_within(cutoff), bins.outside
        apart = np.ptp(outside, axis=0) if len(outside) else np.zeros(3, np.int64)
        # shifts between particles where they are have codes, if they are not too far apart for that
        direct = _n_codes(far + apart) <= _MOST_CODES
        if not direct and _n_codes(far) > _MOST_CODES:
            raise ValueError(
                f"the cutoff {cutoff} reaches across {_n_codes(far):,.0f} images of the cell; use a"
                " shorter one or a larger cell"
            )
        shifts = _shifts_up_to(*(far + apart if direct else far).tolist())
        begin, count = self._searched(
            bins, cutoff, shifts[-1], outside if direct else outside[:0], threads
        )
        starts, j, image = self._turned(begin, count, len(shifts), threads)
        periodic = bins.box.heights[bins.box.pbc]
        from systems.neighbors import _neighbor_lists

        kernels: Any = _neighbor_lists
        if (periodic < 2.0 * cutoff * (1.0 + 1e-9)).any():  # else no neighbour is there twice
            kernels.ties(starts, j, image)
        if not direct:
            i = np.repeat(np.arange(n), count)
            return of_shifts(i, j, shifts[image] + outside[i] - outside[j], n)
        images = shifts if len(shifts) <= _FEW_CODES else kernels.numbered(image, shifts)
        return Pairs(starts, j, image, images)

    def _searched(
        self, bins: Bins, cutoff: float, far: np.ndarray, outside: np.ndarray, threads: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fill the room with pairs as they are found; where those of each particle begin, and how
        many they are, [n] each."""
        from systems.neighbors import _cell_list

        kernels: Any = _cell_list
        n, edges = len(bins.order), bins.edges(threads)
        begin, count = np.empty(n, np.int64), np.empty(n, np.int64)
        expected = int(1.2 * n * min(4.2 * cutoff**3 * bins.density, 1e4) / threads) + 4096
        share = max(expected, len(self._room) // threads)

        def search(k: int) -> int:
            within, room = (edges[k], edges[k + 1]), self._room[k * share : (k + 1) * share]
            place = (bins.ordered, bins.order, *bins.grid)
            end: int = kernels.search(
                *within, *place, cutoff**2, far, outside, room, 0, begin, count
            )
            return end

        while True:
            if len(self._room) < share * threads:
                self._room = np.empty(share * threads, np.int64)
            if min(shared(search, threads)) >= 0:
                break
            share *= 2
        for k in range(1, threads):
            own = slice(bins.start[edges[k]], bins.start[edges[k + 1]])
            begin[bins.order[own]] += k * share
        return begin, count

    def _turned(
        self, begin: np.ndarray, count: np.ndarray, n_codes: int, threads: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts, neighbours and codes of shifts of the lists, from the pairs as they were
        found."""
        from systems.neighbors import _neighbor_lists

        kernels: Any = _neighbor_lists
        starts = np.concatenate([[0], np.cumsum(count)])  # as many from one side as from the other
        j, image = np.empty((2, starts[-1]), np.int32)
        rows = np.searchsorted(starts, np.linspace(0, starts[-1], threads + 1)).astype(int)
        rows[0], rows[-1] = 0, len(count)
        whole = shared(
            lambda k: kernels.transpose(
                rows[k], rows[k + 1], self._room, begin, count, n_codes - 1, starts, j, image
            ),
            threads,
        )
        if not all(whole):
            raise RuntimeError(
                "a pair is near from one side and not from the other; one list must not serve two"
                " threads at a time"
            )
        return starts, j, image


def _n_codes(far: np.ndarray) -> float:
    return float(np.prod(2.0 * far + 1.0))


@lru_cache(16)
def _neighbors_of_one(bins: Bins, cutoff: float) -> float:
    """How many neighbours a particle has on average; where not all directions are periodic the
    fewest, which are its own images."""
    if bins.box.pbc.all():
        return float(4.2 * cutoff**3 * bins.density)
    n_periodic = int(bins.box.pbc.sum())
    ball = (1.0, 2.0 * cutoff, np.pi * cutoff**2)[n_periodic]
    lattice = bins.box.cell[bins.box.pbc]
    return ball / float(np.linalg.det(lattice @ lattice.T) ** 0.5) if n_periodic else 0.0


def _shifts_up_to(*far: int) -> np.ndarray:
    """[n_images, 3], in the order of their codes."""
    return np.stack(np.meshgrid(*(np.arange(-k, k + 1) for k in far), indexing="ij"), -1).reshape(
        -1, 3
    )


def _bins(
    lengths: np.ndarray, cutoff: float, n: int, pbc: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bins along each direction, and how many of them a particle's neighbours can lie away."""
    finest = np.array([1.0, 1.0, _ALONG])
    # not many more bins than particles: a few particles may be in a very large box
    most = 8.0 * n + 64.0
    n_bins = np.clip(np.floor(lengths * finest / (cutoff * (1.0 + 1e-9))), 1.0, most)
    while n_bins.prod() > most:  # at most most^3, and so soon over
        n_bins = np.maximum(1.0, np.floor(n_bins / 2))
    reach = np.ceil(cutoff * (1.0 + 1e-9) / (lengths / n_bins))
    # without images, nobody is farther away than the last bin
    return n_bins.astype(np.int64), np.where(pbc, reach, np.minimum(reach, n_bins)).astype(np.int64)
