"""Which particles are near which: `neighbor_pairs` says what that means, `NeighborList` finds them fast."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import compress
from typing import Any

import numpy as np

from systems.cell import complete, volume
from systems.system import System

_ALONG = 2  # bins a cutoff in the direction in which they lie behind one another: a shorter run to look through
_FARTHEST = 2.0**30  # cells, so that differences are counted in 32 bits
_MOST_CODES = 2**22  # beyond so many possible shifts those that there are are found by sorting
_FEW_CODES = 11**3  # beyond so many, offsets fall out of the nearest cache, unless those that there are are numbered anew
PARALLEL = 3000  # particles below which threads cost more than they bring


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs nearer than a cutoff, by centre, neighbour and shift: those of particle k are ``starts[k]`` to ``starts[k + 1]``.

    ``starts`` is int64 [n_particles + 1], ``j`` int32 [n_pairs] the neighbours, and ``image`` int32 [n_pairs] says which of the ``images``
    [n_images, 3] is the pair's shift, the lattice vectors to add: r_ij = x[j] - x[i] + shift @ cell.
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
        from systems import _cell_list

        kernels: Any = _cell_list
        wide = self.images.size and abs(self.images).max() > 127
        shift = np.empty((len(self), 3), np.int32 if wide else np.int8)
        kernels.spread(self.image, self.images, shift)
        return shift

    def offsets(self, positions: Any, cell: Any | None) -> Any:
        """r_ij [n_pairs, 3] from centre to neighbour, for positions [n, 3] and cell [3, 3]."""
        d = positions[self.j] - positions[self.i]
        return d if cell is None else d + self.shift @ cell


def _of_shifts(i: np.ndarray, j: np.ndarray, shift: np.ndarray, n: int) -> Pairs:
    """Of pairs that are in order."""
    images, image = np.unique(shift, axis=0, return_inverse=True) if len(shift) else (np.zeros((1, 3), int), np.zeros(0, int))
    starts = np.concatenate([[0], np.bincount(i, minlength=n).cumsum()])
    return Pairs(starts, j.astype(np.int32), image.ravel().astype(np.int32), images.astype(np.int64))


@dataclass(frozen=True)
class _Box:
    """A cell as a cell list sees it: never without vectors, with the extent of the particles where it is not periodic."""

    cell: np.ndarray
    inverse: np.ndarray
    pbc: np.ndarray
    heights: np.ndarray

    @classmethod
    def of(cls, system: System) -> "_Box":
        pbc = np.array(system.pbc, dtype=bool)
        given = np.zeros((3, 3)) if system.cell is None else np.asarray(system.cell, dtype=float)
        if (pbc & ~given.any(-1)).any():
            raise ValueError("a periodic direction needs a lattice vector")
        cell = complete(given)
        if not volume(cell) > 1e-12 * np.prod((cell**2).sum(-1)) ** 0.5:
            raise ValueError("the cell has no volume")
        inverse = np.linalg.inv(cell)
        return cls(cell, inverse, pbc, (inverse**2).sum(0) ** -0.5)


def _refuse(system: System, cutoff: float) -> None:
    if system.positions.ndim != 2:
        raise ValueError(f"neighbours are found for one system at a time; positions have shape {tuple(system.positions.shape)}")
    refuse_cutoff(cutoff)


def refuse_cutoff(cutoff: float) -> None:
    """ValueError where the cutoff is not a positive number."""
    if not (cutoff > 0 and math.isfinite(cutoff)):
        raise ValueError(f"the cutoff must be a positive number, not {cutoff}")


def _extent(fractional: np.ndarray, pbc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest fractional coordinates; ValueError where one is not finite, or too far from a periodic cell."""
    from systems import _cell_list

    kernels: Any = _cell_list
    if not len(fractional):
        return np.zeros(3), np.ones(3)
    low, high, broken = kernels.extent(fractional)
    if broken >= 0:
        raise ValueError(f"particle {broken} has no finite position, so it has no neighbours")
    cells = float(np.maximum(-low, high)[pbc].max(initial=0.0))
    if cells > _FARTHEST:
        raise ValueError(f"a particle is {cells:.3g} cells away from the cell, where its images can no longer be counted")
    return low, high


def neighbor_pairs(system: System, cutoff: float) -> Pairs:
    """All pairs nearer than ``cutoff``, from all images of all particles: the definition, at a cost of n^2.

    Each pair is there from both sides. A particle is a neighbour of its own images, not of itself.
    """
    _refuse(system, cutoff)
    box, x = _Box.of(system), np.asarray(system.positions)
    fractional = x @ box.inverse
    _extent(fractional, box.pbc)
    outside = np.where(box.pbc, np.floor(fractional), 0.0)
    inside = x - outside @ box.cell
    far = [range(-k, k + 1) if periodic else range(1) for k, periodic in zip(_images(box, cutoff), box.pbc, strict=True)]
    found = []
    for shift in np.stack(np.meshgrid(*far, indexing="ij"), -1).reshape(-1, 3):
        near = ((inside[None, :] - inside[:, None] + shift @ box.cell) ** 2).sum(-1) < cutoff**2
        i, j = np.nonzero(near & ~np.eye(len(x), dtype=bool) if not shift.any() else near)
        found.append(np.column_stack([i, j, np.broadcast_to(shift, (len(i), 3)) + outside[i] - outside[j]]))
    pairs = np.concatenate(found).astype(int)
    pairs = pairs[np.lexsort(pairs.T[::-1])]
    return _of_shifts(pairs[:, 0], pairs[:, 1], pairs[:, 2:], len(x))


def halved(pairs: Pairs) -> Pairs:
    """One of each two mirror pairs: the centre has the smaller number, or, of a particle and its image, the shift's first component that
    is not zero is positive.
    """
    first = np.take_along_axis(pairs.shift, (pairs.shift != 0).argmax(-1)[:, None], -1)[:, 0]
    keep = (pairs.i < pairs.j) | ((pairs.i == pairs.j) & (first > 0))
    starts = np.concatenate([[0], np.cumsum(keep)])[pairs.starts]
    return Pairs(starts, pairs.j[keep], pairs.image[keep], pairs.images)


def _images(box: _Box, cutoff: float) -> list[int]:
    """How many cells away a neighbour's cell can be, for particles that are inside the cell."""
    return [math.ceil(cutoff / height) for height in box.heights]


def cell_list(system: System, cutoff: float, threads: int = 1) -> Pairs:
    """The same pairs as `neighbor_pairs`, at a cost of n."""
    return _Search(threads)(system, cutoff)


class _Search:
    """A cell list that keeps its largest room for the next time: memory that is new has to be zeroed by the system first."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._room = np.empty(0, np.int64)

    def __call__(self, system: System, cutoff: float) -> Pairs:
        from systems import _cell_list

        kernels: Any = _cell_list
        _refuse(system, cutoff)
        box, x = _Box.of(system), np.ascontiguousarray(system.positions, dtype=float)
        n = len(x)
        fractional = x @ box.inverse
        low, high = _extent(fractional, box.pbc)
        spans = np.where(box.pbc, 1.0, np.maximum(high - low, 1e-9))
        n_bins, reach = _bins(spans * box.heights, cutoff, n, box.pbc)
        bins, outside, most = kernels.bins_of(fractional, n_bins, low, spans, box.pbc)
        order, start = kernels.in_order(bins, int(n_bins.prod()))
        ordered = (x - outside @ box.cell if most else x).T.take(order, 1)

        threads = self.threads if n >= PARALLEL else 1
        # codes of shifts between particles where they are, if they are not too far apart for that
        far, apart = max(compress(_images(box, cutoff), box.pbc), default=0), int(np.ptp(outside, axis=0).max()) if most else 0
        direct = (2 * (far + apart) + 1) ** 3 <= _MOST_CODES
        far += apart if direct else 0
        moved = outside.astype(np.int64) if most and direct else np.zeros((0, 3), np.int64)
        begin, count = np.empty(n, np.int64), np.empty(n, np.int64)
        # bins with about as many particles for each thread
        edges = np.searchsorted(start, np.linspace(0, n, threads + 1)).astype(int)
        edges[0], edges[-1] = 0, len(start) - 1
        expected = int(1.2 * n * min(4.2 * cutoff**3 * n / float(np.prod(spans * box.heights)), 1e4) / threads) + 4096

        def searched(k: int) -> Any:
            where = self._room[k * share : (k + 1) * share]
            return kernels.search(
                edges[k],
                edges[k + 1],
                ordered,
                order,
                start,
                n_bins,
                reach,
                box.pbc,
                box.cell,
                cutoff**2,
                far,
                moved,
                where,
                0,
                begin,
                count,
            )

        share = max(expected, len(self._room) // threads)
        while True:
            if len(self._room) < share * threads:
                self._room = np.empty(share * threads, np.int64)
            if min(shared(searched, threads)) >= 0:
                break
            share *= 2
        for k in range(1, threads):
            begin[order[start[edges[k]] : start[edges[k + 1]]]] += k * share

        starts = np.concatenate([[0], np.cumsum(count)])  # as many from one side as from the other
        j, image = np.empty((2, starts[-1]), np.int32)
        images = _shifts_up_to(far)
        rows = np.searchsorted(starts, np.linspace(0, starts[-1], threads + 1)).astype(int)
        rows[0], rows[-1] = 0, n
        shared(lambda k: kernels.transpose(rows[k], rows[k + 1], self._room, begin, count, len(images) - 1, starts, j, image), threads)
        if (box.heights[box.pbc] < 2.0 * cutoff * (1.0 + 1e-9)).any():  # else no neighbour is there twice
            kernels.ties(starts, j, image)
        if not direct:
            i = np.repeat(np.arange(n), count)
            return _of_shifts(i, j, images[image] + outside[i] - outside[j], n)
        return Pairs(starts, j, image, images if len(images) <= _FEW_CODES else kernels.numbered(image, images))


def _shifts_up_to(far: int) -> np.ndarray:
    """[n_images, 3], in the order of their codes."""
    one = np.arange(-far, far + 1)
    return np.stack(np.meshgrid(one, one, one, indexing="ij"), -1).reshape(-1, 3)


def shared(work: Callable[[int], Any], threads: int) -> list[Any]:
    """The work of each thread: the kernels hold no lock."""
    if threads == 1:
        return [work(0)]
    others = [_pool(threads - 1).submit(work, k) for k in range(1, threads)]
    return [work(0), *(other.result() for other in others)]  # whoever asks does not sit idle


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads are kept: to start them takes as long as a list of a thousand particles."""
    return ThreadPoolExecutor(threads)


def _bins(lengths: np.ndarray, cutoff: float, n: int, pbc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bins along each direction, and how many of them a particle's neighbours can lie away."""
    finest = np.array([1.0, 1.0, _ALONG])
    n_bins = np.maximum(1.0, np.floor(lengths * finest / (cutoff * (1.0 + 1e-9))))
    # not many more bins than particles: a few particles may be in a very large box
    while n_bins.prod() > 8 * n + 64:
        n_bins = np.maximum(1.0, np.floor(n_bins / 2))
    reach = np.ceil(cutoff * (1.0 + 1e-9) / (lengths / n_bins))
    # without images, nobody is farther away than the last bin
    return n_bins.astype(np.int64), np.where(pbc, reach, np.minimum(reach, n_bins)).astype(np.int64)


class NeighborList:
    """Pairs nearer than ``cutoff``, found anew only when some could be missing: called with a system, it gives its `Pairs`.

    The pairs are those nearer than cutoff + skin at the positions and in the cell of `reference`. They hold every pair nearer than the
    cutoff as long as the cell's least stretch times (cutoff + skin), less twice the largest displacement beyond what the cell's strain
    brings, is at least the cutoff; then they are found anew. So with a skin there are pairs beyond the cutoff among them;
    those within it stand in an order, by neighbour and shift, that does not depend on when they were found. ``n_built``
    counts. Raises ValueError for a cutoff that is not positive, a negative skin, a cell without volume, or an ensemble.
    """

    def __init__(self, cutoff: float, skin: float = 0.0, threads: int = 1) -> None:
        refuse_cutoff(cutoff)
        if not (skin >= 0 and math.isfinite(skin)):
            raise ValueError(f"the skin must not be negative, not {skin}")
        self.cutoff, self.skin, self.n_built = cutoff, skin, 0
        self.reference: System | None = None
        self._pairs: Pairs | None = None
        self._search = _Search(threads)

    @property
    def threads(self) -> int:
        """Of the search, for large systems; nothing depends on it but its time."""
        return self._search.threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._search.threads = threads

    def __call__(self, system: System) -> Pairs:
        if self._pairs is None or not self._holds(system):
            return self.renewed(system)
        return self._pairs

    def renewed(self, system: System) -> Pairs:
        """The pairs, found anew."""
        self._pairs = self._search(system, self.cutoff + self.skin)
        # a copy: who changes an array in place would move the reference too
        self.reference = system.map(np.copy)
        self.n_built += 1
        return self._pairs

    def _holds(self, system: System) -> bool:
        """Whether no pair nearer than the cutoff can be missing."""
        old = self.reference
        assert old is not None
        if system.positions.shape != old.positions.shape or system.pbc != old.pbc or (system.cell is None) != (old.cell is None):
            return False
        cell, before = system.cell, old.cell
        if cell is None or before is None or np.array_equal(cell, before):
            carried, stretch = old.positions, 1.0
        else:
            strain = np.linalg.solve(complete(before), complete(cell))
            carried, stretch = old.positions @ strain, float(np.linalg.svd(strain, compute_uv=False)[-1])
        moved = float(((system.positions - carried) ** 2).sum(-1).max(initial=0.0)) ** 0.5
        return stretch * (self.cutoff + self.skin) - 2.0 * moved >= self.cutoff
