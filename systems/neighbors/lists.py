"""`NeighborList`: pairs of near particles, searched again only when some could be missing."""

import math
from typing import NamedTuple

import numpy as np

from systems.cell import FREE, PBC, complete
from systems.neighbors.box import check_cutoff
from systems.neighbors.cells import Search
from systems.neighbors.pairs import Pairs


class Reference(NamedTuple):
    """Positions and cell at which the pairs were found."""

    positions: np.ndarray
    cell: np.ndarray | None
    pbc: PBC


class NeighborList:
    """Pairs nearer than ``cutoff``, updated only when some could be missing: called with
    positions [n, 3], cell [3, 3] (None in free space) and pbc, it gives their `Pairs`.

    The pairs are those nearer than cutoff + skin at the positions and in the cell of `reference`.
    They hold every pair nearer than the cutoff as long as the cell's least stretch times (cutoff +
    skin), less twice the largest displacement beyond what the cell's strain brings, is at least the
    cutoff; then they are found anew. So with a skin there are pairs beyond the cutoff among them;
    those within it stand in an order, by neighbour and shift, that does not depend on when they
    were found. ``n_built`` counts. Raises ValueError if the cutoff is not positive, the skin is
    negative, the cell has no volume, or the system is an ensemble.
    """

    def __init__(self, cutoff: float, skin: float = 0.0, threads: int = 1) -> None:
        check_cutoff(cutoff)
        if not (skin >= 0 and math.isfinite(skin)):
            raise ValueError(f"the skin must not be negative, not {skin}")
        self.cutoff, self.skin, self.n_built = cutoff, skin, 0
        self.reference: Reference | None = None
        self._pairs: Pairs | None = None
        self._search = Search(threads)

    @property
    def threads(self) -> int:
        """Threads of the search, for large systems; results do not depend on it."""
        return self._search.threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._search.threads = threads

    def __call__(
        self, positions: np.ndarray, cell: np.ndarray | None = None, pbc: PBC = FREE
    ) -> Pairs:
        if self._pairs is None or not self._holds(positions, cell, pbc):
            return self.renewed(positions, cell, pbc)
        return self._pairs

    def renewed(self, positions: np.ndarray, cell: np.ndarray | None, pbc: PBC) -> Pairs:
        """The pairs, found anew."""
        self._pairs = self._search(positions, cell, pbc, self.cutoff + self.skin)
        # copies: who changes an array in place would move the reference too
        self.reference = Reference(np.copy(positions), None if cell is None else np.copy(cell), pbc)
        self.n_built += 1
        return self._pairs

    def _holds(self, positions: np.ndarray, cell: np.ndarray | None, pbc: PBC) -> bool:
        """Whether no pair nearer than the cutoff can be missing."""
        old = self.reference
        assert old is not None
        before = old.cell
        if (
            positions.shape != old.positions.shape
            or pbc != old.pbc
            or (cell is None) != (before is None)
        ):
            return False
        if cell is None or before is None or np.array_equal(cell, before):
            carried, stretch = old.positions, 1.0
        else:
            strain = np.linalg.solve(complete(before), complete(cell))
            carried, stretch = (
                old.positions @ strain,
                float(np.linalg.svd(strain, compute_uv=False)[-1]),
            )
        moved = float(((positions - carried) ** 2).sum(-1).max(initial=0.0)) ** 0.5
        return stretch * (self.cutoff + self.skin) - 2.0 * moved >= self.cutoff


class NeighborLists:
    """One `NeighborList` for each system of an ensemble, made when it is first used. Raises as
    `NeighborList`."""

    def __init__(self, cutoff: float, skin: float = 0.0, threads: int = 1) -> None:
        self._options = cutoff, skin, threads
        self._lists = [NeighborList(*self._options)]

    def __getitem__(self, k: int) -> NeighborList:
        while len(self._lists) <= k:
            self._lists.append(NeighborList(*self._options))
        return self._lists[k]
