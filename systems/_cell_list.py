"""numba kernels behind `NeighborList`: a cell list whose bins are runs of particles in memory.

Particles are put in order of their bins, the third direction fastest, so that all bins a particle reaches along that direction are one
run of neighbours in memory: the inner loop goes over runs. A run beyond a face of the cell is the run at the opposite face, seen from a
point that is shifted by lattice vectors; no particle is copied.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def extent(fractional):
    """Lowest and highest fractional coordinates, [3] each, and the first particle that has one that is not finite, -1 for none."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in range(len(fractional)):
        for a in range(3):
            f = fractional[i, a]
            if not np.isfinite(f):
                return low, high, i
            low[a], high[a] = min(low[a], f), max(high[a], f)
    return low, high, -1


@njit(cache=True, nogil=True)
def bins_of(fractional, n_bins, low, spans, pbc):
    """Bin [n] of fractional coordinates [n, 3]; how many cells each particle lies outside along periodic directions, [n, 3], the most."""
    n = fractional.shape[0]
    bins, outside, most = np.empty(n, np.int64), np.zeros((n, 3), np.int32), 0
    for i in range(n):
        b = 0
        for a in range(3):
            f = fractional[i, a]
            if pbc[a]:
                whole = np.floor(f)
                if whole != 0.0:
                    outside[i, a] = whole
                    most = max(most, abs(outside[i, a]))
                    f -= whole
            else:
                f = (f - low[a]) / spans[a]
            b = b * n_bins[a] + min(max(int(f * n_bins[a]), 0), n_bins[a] - 1)
        bins[i] = b
    return bins, outside, most


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
def _runs_from(b, start, n_bins, reach, pbc, cell, runs, shifts, moves):
    """The runs of particles that a particle of bin b may be near to: from where to where, by which lattice vectors, and how far that is.

    Fills runs [:, 2], shifts [:, 3] and moves [:, 3]; returns how many there are, and their particles.
    """
    n0, n1, n2 = n_bins
    q = b // n2
    b0, b1, b2 = q // n1, q % n1, b - q * n2
    n_runs = total = 0
    for r0 in range(b0 - reach[0], b0 + reach[0] + 1):
        s0 = r0 // n0
        if s0 != 0 and not pbc[0]:
            continue
        for r1 in range(b1 - reach[1], b1 + reach[1] + 1):
            s1 = r1 // n1
            if s1 != 0 and not pbc[1]:
                continue
            row, r2, top = ((r0 - s0 * n0) * n1 + r1 - s1 * n1) * n2, b2 - reach[2], b2 + reach[2]
            if not pbc[2]:
                r2, top = max(r2, 0), min(top, n2 - 1)
            while r2 <= top:
                s2 = r2 // n2
                end = min(top, (s2 + 1) * n2 - 1)  # the run goes on as far as the face of this cell
                lower, upper = start[row + r2 - s2 * n2], start[row + end - s2 * n2 + 1]
                r2 = end + 1
                if upper > lower:
                    runs[n_runs, 0], runs[n_runs, 1] = lower, upper
                    shifts[n_runs, 0], shifts[n_runs, 1], shifts[n_runs, 2] = s0, s1, s2
                    for a in range(3):
                        moves[n_runs, a] = s0 * cell[0, a] + s1 * cell[1, a] + s2 * cell[2, a]
                    n_runs += 1
                    total += upper - lower
    return n_runs, total


@njit(cache=True, nogil=True)
def _fill(k, first, last, x, order, start, bins, n_bins, reach, pbc, cell, cutoff2, found, ends, shifted, c, n_shifted):
    """Look through the bins of the sorted particles k to ``last``.

    Returns the first that found no room, what is filled so far, and how much room it wants among the pairs and among the shifted runs.
    """
    most = (2 * reach[0] + 1) * (2 * reach[1] + 1) * ((2 * reach[2] + 1) // n_bins[2] + 2)
    runs, shifts, moves = np.empty((most, 2), np.int64), np.empty((most, 3), np.int64), np.empty((most, 3))
    bin_, n_runs, total = -1, 0, 0
    while k < last:
        if bins[order[k]] != bin_:
            bin_ = bins[order[k]]
            n_runs, total = _runs_from(bin_, start, n_bins, reach, pbc, cell, runs, shifts, moves)
        if c + total > len(found) or n_shifted + n_runs > len(shifted):
            return k, c, n_shifted, c + total, n_shifted + n_runs
        for r in range(n_runs):
            px, py, pz = x[0, k] - moves[r, 0], x[1, k] - moves[r, 1], x[2, k] - moves[r, 2]
            here = shifts[r, 0] == 0 and shifts[r, 1] == 0 and shifts[r, 2] == 0
            itself, before = k if here else -1, c
            # every candidate is written, and the next overwrites those that are too far: no branch to mispredict
            for m in range(np.uint64(runs[r, 0]), np.uint64(runs[r, 1])):
                dx, dy, dz = x[0, m] - px, x[1, m] - py, x[2, m] - pz
                found[np.uint64(c)] = m
                c += np.int64((dx * dx + dy * dy + dz * dz < cutoff2) & (np.int64(m) != itself))
            if c > before and not here:
                shifted[n_shifted, 0], shifted[n_shifted, 1] = before, c
                shifted[n_shifted, 2], shifted[n_shifted, 3], shifted[n_shifted, 4] = shifts[r, 0], shifts[r, 1], shifts[r, 2]
                n_shifted += 1
        ends[k - first] = c
        k += 1
    return k, c, n_shifted, c, n_shifted


@njit(cache=True, nogil=True)
def pairs_of(first, last, x, order, start, bins, n_bins, reach, pbc, cell, cutoff2, n_expected):
    """Neighbours of the sorted particles ``first`` to ``last``, whose sorted positions are x [3, n].

    Returns where those of each end, their places in that order [pairs], and of runs that are shifted: where they start and end among the
    pairs, and by how many lattice vectors, [runs, 5].
    """
    ends, found, shifted = np.empty(last - first, np.int64), np.empty(n_expected + 64, np.int32), np.empty((256, 5), np.int64)
    k, c, n_shifted = first, 0, 0
    while True:
        k, c, n_shifted, room, shifted_room = _fill(
            k, first, last, x, order, start, bins, n_bins, reach, pbc, cell, cutoff2, found, ends, shifted, c, n_shifted
        )
        if k == last:
            return ends, found[:c], shifted[:n_shifted]
        if room > len(found):
            larger = np.empty(2 * room, np.int32)
            larger[:c] = found[:c]
            found = larger
        if shifted_room > len(shifted):
            more = np.empty((2 * shifted_room, 5), np.int64)
            more[:n_shifted] = shifted[:n_shifted]
            shifted = more


@njit(cache=True, nogil=True)
def put(first, order, ends, found, shifted, starts, i, j, shift):
    """Copy a part's pairs to where the whole list has them: centres in the particles' own order."""
    at = run = 0
    for k in range(len(ends)):
        centre, end = order[first + k], ends[k]
        to = starts[centre]
        for p in range(end - at):
            i[to + p] = centre
            j[to + p] = order[found[at + p]]
        while run < len(shifted) and shifted[run, 0] < end:
            for p in range(shifted[run, 0] - at, shifted[run, 1] - at):
                shift[to + p, 0], shift[to + p, 1], shift[to + p, 2] = shifted[run, 2], shifted[run, 3], shifted[run, 4]
            run += 1
        at = end


@njit(cache=True, nogil=True)
def unwrap(first, last, starts, j, shift, outside, moved):
    """Shifts between particles where they are, from those between their images inside the cell; ``moved`` says who is not inside."""
    for i in range(first, last):
        for p in range(starts[i], starts[i + 1]):
            if moved[i] | moved[j[p]]:
                for a in range(3):
                    shift[p, a] += outside[i, a] - outside[j[p], a]


@njit(cache=True, nogil=True)
def sort(starts, j, shift):
    """Put each centre's pairs in the order of neighbour and shift, in place, by insertion: there are few, and runs are in order already."""
    for i in range(len(starts) - 1):
        for p in range(starts[i] + 1, starts[i + 1]):
            n, a, b, c = j[p], shift[p, 0], shift[p, 1], shift[p, 2]
            q = p
            while q > starts[i] and (j[q - 1], shift[q - 1, 0], shift[q - 1, 1], shift[q - 1, 2]) > (n, a, b, c):
                j[q], shift[q, 0], shift[q, 1], shift[q, 2] = j[q - 1], shift[q - 1, 0], shift[q - 1, 1], shift[q - 1, 2]
                q -= 1
            j[q], shift[q, 0], shift[q, 1], shift[q, 2] = n, a, b, c


@njit(cache=True, nogil=True)
def images(shift, low, n_grid):
    """A number for each pair's shift, [n_pairs], in the order in which they are met, and the shifts so numbered [n_images, 3]."""
    number, image, n_images = np.full(n_grid[0] * n_grid[1] * n_grid[2], -1, np.int32), np.empty(len(shift), np.int32), 0
    for p in range(len(shift)):
        at = ((shift[p, 0] - low[0]) * n_grid[1] + shift[p, 1] - low[1]) * n_grid[2] + shift[p, 2] - low[2]
        if number[at] < 0:
            number[at] = n_images
            n_images += 1
        image[p] = number[at]
    shifts = np.empty((n_images, 3))
    for at in range(len(number)):
        if number[at] >= 0:
            shifts[number[at], 0] = at // (n_grid[1] * n_grid[2]) + low[0]
            shifts[number[at], 1] = at // n_grid[2] % n_grid[1] + low[1]
            shifts[number[at], 2] = at % n_grid[2] + low[2]
    return image, shifts
