"""numba kernel that counts pairs by distance as they are found in a cell list."""

import numpy as np

from systems.neighbors._cell_list import exact_jit, runs_from, squares


@exact_jit
def count(first, last, x, start, n_bins, reach, pbc, cell, kinds, edges, counts):
    """Add to counts [n_kinds, n_kinds, n_edges - 1] the pairs of the particles in the bins
    ``first`` to ``last``, by distance.

    Sorted positions are x [3, n], their kinds [n]; the edges are evenly spaced from zero.
    """
    most = (2 * reach[0] + 1) * (2 * reach[1] + 1) * ((2 * reach[2] + 1) // n_bins[2] + 2)
    runs, shifts = np.empty((most, 2), np.int64), np.empty((most, 3), np.int64)
    moves = np.empty((most, 3))
    room, last_bin = 1024, len(edges) - 2
    near, d2, kind = np.empty((6, room)), np.empty(room), np.empty(room, np.int64)
    scale, limit = (last_bin + 1) / edges[-1], edges[-1] ** 2
    for b in range(first, last):
        if start[b + 1] == start[b]:
            continue
        n_runs, total = runs_from(b, start, n_bins, reach, pbc, cell, runs, shifts, moves)
        if total > room:
            room = 2 * total
            near, d2, kind = np.empty((6, room)), np.empty(room), np.empty(room, np.int64)
        at, itself = 0, 0
        for r in range(n_runs):
            here = shifts[r, 0] == 0 and shifts[r, 1] == 0 and shifts[r, 2] == 0
            if here and runs[r, 0] <= start[b] and start[b] < runs[r, 1]:
                itself = at + start[b] - runs[r, 0]
            for m in range(runs[r, 0], runs[r, 1]):
                near[0, at], near[1, at], near[2, at] = x[0, m], x[1, m], x[2, m]
                near[3, at], near[4, at], near[5, at] = moves[r, 0], moves[r, 1], moves[r, 2]
                kind[at] = kinds[m]
                at += 1
        for k in range(start[b], start[b + 1]):
            squares(at, near, x[0, k], x[1, k], x[2, k], d2)
            d2[itself + k - start[b]] = np.inf
            own = counts[kinds[k]]
            for q in range(at):
                if d2[q] < limit:
                    r = np.sqrt(d2[q])
                    c = min(int(r * scale), last_bin)
                    # the product rounds: the edges themselves decide
                    if r < edges[c]:
                        c -= 1
                    elif r >= edges[c + 1] and c < last_bin:
                        c += 1
                    own[kind[q], c] += 1
