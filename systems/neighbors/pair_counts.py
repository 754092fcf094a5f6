"""Histograms of pair distances by kinds of particles, counted as pairs are found, without a list of
them."""

from typing import Any

import numpy as np

from systems.cell import PBC
from systems.neighbors.box import check_search
from systems.neighbors.cells import PARALLEL, Bins
from systems.threads import shared


def pair_counts(
    positions: np.ndarray,
    cell: np.ndarray | None,
    pbc: PBC,
    edges: np.ndarray,
    kinds: np.ndarray,
    threads: int = 1,
) -> np.ndarray:
    """Pairs by kind of centre, kind of neighbour and distance, int64 [n_kinds, n_kinds, n_bins].

    ``edges`` [n_bins + 1] rise from 0 in equal steps; a distance is in the bin with edges[k] <= r <
    edges[k + 1], in float64. ``kinds`` [n_particles] are numbers from 0 on. The pairs are those of
    `systems.neighbors.cells.cell_list`: each from both sides, images of all particles, also of the
    centre itself. Raises ValueError if the system is an ensemble, the cell has no volume or a
    position is not finite.
    """
    from systems.neighbors import _pair_counts

    kernels: Any = _pair_counts
    check_search(positions, float(edges[-1]))
    threads = threads if len(positions) >= PARALLEL else 1
    bins, n_kinds = Bins.of(positions, cell, pbc, float(edges[-1])), int(kinds.max()) + 1
    counts = np.zeros((threads, n_kinds, n_kinds, len(edges) - 1), np.int64)
    parts = bins.edges(threads)
    ordered_kinds = np.asarray(kinds, np.int64)[bins.order]

    def count(k: int) -> None:
        within = parts[k], parts[k + 1]
        kernels.count(*within, bins.ordered, *bins.grid, ordered_kinds, edges, counts[k])

    shared(count, threads)
    total: np.ndarray = counts.sum(0)
    return total
