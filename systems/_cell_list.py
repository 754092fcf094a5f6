"""numba kernels behind `NeighborList`: a cell list whose bins are runs of particles in memory.

Particles are put in order of their bins, the third direction fastest, so that all bins a particle reaches along that direction are one
run of neighbours in memory: the inner loop goes over runs. A run beyond a face of the cell is the run at the opposite face, seen from a
point that is shifted by lattice vectors; no particle is copied.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def bins_of(fractional, n_bins, low, spans, pbc):
    """Bin [n] of fractional coordinates [n, 3], and how many cells each particle lies outside along periodic directions, [n, 3]."""
    n = fractional.shape[0]
    bins, outside = np.empty(n, np.int64), np.zeros((n, 3), np.int32)
    for i in range(n):
        b = 0
        for a in range(3):
            f = fractional[i, a]
            if pbc[a]:
                whole = np.floor(f)
                outside[i, a] = whole
                f -= whole
            else:
                f = (f - low[a]) / spans[a]
            b = b * n_bins[a] + min(max(int(f * n_bins[a]), 0), n_bins[a] - 1)
        bins[i] = b
    return bins, outside


@njit(cache=True, nogil=True)
def in_order(bins, n_bins):
    """Particles sorted by bin (a stable counting sort) [n], and where each bin starts among them [n_bins + 1]."""
    start = np.zeros(n_bins + 1, np.int64)
    for b in bins:
        start[b + 1] += 1
    for b in range(n_bins):
        start[b + 1] += start[b]
    order, at = np.empty(len(bins), np.int32), start[:-1].copy()
    for i in range(len(bins)):
        order[at[bins[i]]] = i
        at[bins[i]] += 1
    return order, start


@njit(cache=True, nogil=True)
def _near(x, order, lower, upper, px, py, pz, cutoff2, found, c):
    """Write a run's particles that are near a point to found[c:]; returns where they end."""
    # every candidate is written, and the next overwrites those that are too far: no branch to mispredict
    for m in range(np.uint64(lower), np.uint64(upper)):
        dx, dy, dz = x[0, m] - px, x[1, m] - py, x[2, m] - pz
        found[np.uint64(c)] = order[m]
        c += np.int64(dx * dx + dy * dy + dz * dz < cutoff2)
    return c


@njit(cache=True, nogil=True)
def _fill(k, last, x, order, start, bins, n_bins, reach, pbc, cell, cutoff2, found, ends, shifted, c, n_shifted):
    """Look through the bins of the sorted particles k to ``last``; returns the first that found no room, with what is filled so far."""
    n0, n1, n2 = n_bins
    reach0, reach1, reach2 = reach
    while k < last:
        begin, begin_shifted = c, n_shifted
        b = bins[order[k]]
        q = b // n2
        b0, b1, b2 = q // n1, q % n1, b - q * n2
        x0, y0, z0 = x[0, k], x[1, k], x[2, k]
        for r0 in range(b0 - reach0, b0 + reach0 + 1):
            s0 = 0 if 0 <= r0 < n0 else r0 // n0
            if s0 != 0 and not pbc[0]:
                continue
            for r1 in range(b1 - reach1, b1 + reach1 + 1):
                s1 = 0 if 0 <= r1 < n1 else r1 // n1
                if s1 != 0 and not pbc[1]:
                    continue
                row, r2, top = ((r0 - s0 * n0) * n1 + r1 - s1 * n1) * n2, b2 - reach2, b2 + reach2
                if not pbc[2]:
                    r2, top = max(r2, 0), min(top, n2 - 1)
                while r2 <= top:
                    s2 = 0 if 0 <= r2 < n2 else r2 // n2
                    end = min(top, (s2 + 1) * n2 - 1)  # the run goes on as far as the face of this cell
                    lower, upper = start[row + r2 - s2 * n2], start[row + end - s2 * n2 + 1]
                    r2 = end + 1
                    if c + upper - lower > len(found) or n_shifted == len(shifted):
                        return k, begin, begin_shifted
                    if s0 == 0 and s1 == 0 and s2 == 0:
                        middle = k if lower <= k < upper else upper
                        c = _near(x, order, lower, middle, x0, y0, z0, cutoff2, found, c)
                        if middle < upper:
                            c = _near(x, order, middle + 1, upper, x0, y0, z0, cutoff2, found, c)
                        continue
                    px = x0 - s0 * cell[0, 0] - s1 * cell[1, 0] - s2 * cell[2, 0]
                    py = y0 - s0 * cell[0, 1] - s1 * cell[1, 1] - s2 * cell[2, 1]
                    pz = z0 - s0 * cell[0, 2] - s1 * cell[1, 2] - s2 * cell[2, 2]
                    before = c
                    c = _near(x, order, lower, upper, px, py, pz, cutoff2, found, c)
                    if c > before:
                        shifted[n_shifted, 0], shifted[n_shifted, 1] = before, c
                        shifted[n_shifted, 2], shifted[n_shifted, 3], shifted[n_shifted, 4] = s0, s1, s2
                        n_shifted += 1
        ends[k] = c
        k += 1
    return k, c, n_shifted


@njit(cache=True, nogil=True)
def pairs_of(first, last, x, order, start, bins, n_bins, reach, pbc, cell, cutoff2, n_expected):
    """Neighbours of the sorted particles ``first`` to ``last``, whose sorted positions are x [3, n].

    Returns where those of each end, their numbers [pairs], and of runs that are shifted: where they start and end among the pairs and by
    how many lattice vectors, [runs, 5].
    """
    ends, found, shifted = np.empty(last, np.int64), np.empty(n_expected + 64, np.int32), np.empty((256, 5), np.int64)
    k, c, n_shifted = first, 0, 0
    while True:
        k, c, n_shifted = _fill(k, last, x, order, start, bins, n_bins, reach, pbc, cell, cutoff2, found, ends, shifted, c, n_shifted)
        if k == last:
            return ends[first:], found[:c], shifted[:n_shifted]
        new, new_shifted = np.empty(2 * len(found), np.int32), np.empty((2 * len(shifted), 5), np.int64)
        new[:c], new_shifted[:n_shifted] = found[:c], shifted[:n_shifted]
        found, shifted = new, new_shifted


@njit(cache=True, nogil=True)
def put(first, order, ends, found, shifted, starts, i, j, shift):
    """Copy a part's pairs to where the whole list has them: centres in the particles' own order."""
    at = run = 0
    for k in range(len(ends)):
        centre, end = order[first + k], ends[k]
        to = starts[centre]
        for p in range(end - at):
            i[to + p] = centre
            j[to + p] = found[at + p]
        while run < len(shifted) and shifted[run, 0] < end:
            for p in range(shifted[run, 0] - at, shifted[run, 1] - at):
                shift[to + p, 0], shift[to + p, 1], shift[to + p, 2] = shifted[run, 2], shifted[run, 3], shifted[run, 4]
            run += 1
        at = end


@njit(cache=True, nogil=True)
def unwrap(i, j, shift, outside):
    """Shifts between particles where they are, from those between their images inside the cell."""
    for p in range(len(i)):
        for a in range(3):
            shift[p, a] += outside[i[p], a] - outside[j[p], a]
