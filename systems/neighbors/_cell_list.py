"""numba kernels behind `NeighborList`: a cell list whose bins are runs of particles in memory.

Particles are put in order of their bins, the third direction fastest, so that all bins a particle
reaches along that direction are one run of neighbours in memory. A run beyond a face of the cell is
the run at the opposite face, moved by lattice vectors. The particles of a bin look through one copy
of the runs that it reaches. What they find is turned round once: as the particles are gone through
in order, each puts itself into its neighbours' lists, which so come out in order too, without
sorting.
"""

from functools import partial

import numpy as np

from systems.kernel import jit

# whether a pair is nearer than the cutoff does not depend on who asks: in a lattice many are just
# as far
exact_jit = partial(jit, exact=True)


@exact_jit
def extent(fractional):
    """Lowest and highest fractional coordinates, [3] each, and the first particle that has one that
    is not finite, -1 for none."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in range(len(fractional)):
        for a in range(3):
            f = fractional[i, a]
            if not np.isfinite(f):
                return low, high, i
            low[a], high[a] = min(low[a], f), max(high[a], f)
    return low, high, -1


@exact_jit
def bins_of(fractional, n_bins, low, spans, pbc):
    """Bin [n] of fractional coordinates [n, 3]; how many cells each particle lies outside along
    periodic directions, [n, 3], the most."""
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


@exact_jit
def in_order(bins, n_bins):
    """Particles sorted by bin (a stable counting sort) [n], and where each bin starts among them
    [n_bins + 1]."""
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


@exact_jit
def runs_from(b, start, n_bins, reach, pbc, cell, runs, shifts, moves):
    """The runs of particles that a particle of bin b may be near to: from where to where, by which
    lattice vectors, and how far that is.

    Fills runs [:, 2], shifts [:, 3] and moves [:, 3]; returns how many there are, and their
    particles.
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


@exact_jit
def squares(n, near, px, py, pz, d2):
    """Squared distances of a point to n others that lie one behind another in memory: a loop that
    the compiler vectorises.

    near is [6, n]: positions, and how far they are moved by lattice vectors. Move comes last, so
    that a pair is as far from one side as it is from the other, to the bit: each list is made from
    the other side's.
    """
    for q in range(n):
        dx = near[0, q] - px + near[3, q]
        dy = near[1, q] - py + near[4, q]
        dz = near[2, q] - pz + near[5, q]
        d2[q] = dx * dx + dy * dy + dz * dz


@exact_jit
def compact(n, key, d2, limit, found, c):
    """Keep the keys of those that are near: each is written, and the next overwrites one that is
    too far. No branch to mispredict."""
    m = np.uint64(c)
    for q in range(np.uint64(n)):
        found[m] = key[q]
        m += np.uint64(d2[q] < limit)
    return np.int64(m)


@exact_jit
def search(
    first,
    last,
    x,
    order,
    start,
    n_bins,
    reach,
    pbc,
    cell,
    cutoff2,
    far,
    outside,
    found,
    c,
    begin,
    count,
):
    """Pairs of the particles in the bins ``first`` to ``last``, whose sorted positions are x [3,
    n].

    Each is a key, neighbour + (code of the shift << 32), in ``found`` from c on; begin and count
    [n] say where those of each particle are. The code is that of shifts up to ``far`` [3] in each
    direction, between particles where they are: ``outside`` [n, 3], or empty, says how many cells
    that is from x. Codes add up as shifts do. Returns where the keys end, -1 if the room did not
    suffice.
    """
    most = (2 * reach[0] + 1) * (2 * reach[1] + 1) * ((2 * reach[2] + 1) // n_bins[2] + 2)
    runs, shifts = np.empty((most, 2), np.int64), np.empty((most, 3), np.int64)
    moves = np.empty((most, 3))
    room, w1, w2 = 1024, 2 * far[1] + 1, 2 * far[2] + 1
    near, d2, key = np.empty((6, room)), np.empty(room), np.empty(room, np.int64)
    for b in range(first, last):
        n_in = start[b + 1] - start[b]
        if n_in == 0:
            continue
        n_runs, total = runs_from(b, start, n_bins, reach, pbc, cell, runs, shifts, moves)
        if total > room:
            room = 2 * total
            near, d2, key = np.empty((6, room)), np.empty(room), np.empty(room, np.int64)
        at, itself = 0, 0
        for r in range(n_runs):
            code = (
                ((shifts[r, 0] + far[0]) * w1 + shifts[r, 1] + far[1]) * w2 + shifts[r, 2] + far[2]
            )
            here = shifts[r, 0] == 0 and shifts[r, 1] == 0 and shifts[r, 2] == 0
            if here and runs[r, 0] <= start[b] and start[b] < runs[r, 1]:
                itself = at + start[b] - runs[r, 0]
            for m in range(runs[r, 0], runs[r, 1]):
                near[0, at], near[1, at], near[2, at] = x[0, m], x[1, m], x[2, m]
                near[3, at], near[4, at], near[5, at] = moves[r, 0], moves[r, 1], moves[r, 2]
                key[at] = order[m] + (code << 32)
                at += 1
        if len(outside):
            for q in range(at):
                m = key[q] & 0xFFFFFFFF
                key[q] -= ((outside[m, 0] * w1 + outside[m, 1]) * w2 + outside[m, 2]) << 32
        for h in range(n_in):
            if c + at + 1 > len(found):
                return np.int64(-1)
            k = start[b] + h
            squares(at, near, x[0, k], x[1, k], x[2, k], d2)
            d2[itself + h] = np.inf
            i, end = order[k], compact(at, key, d2, cutoff2, found, c)
            if len(outside):
                own = ((outside[i, 0] * w1 + outside[i, 1]) * w2 + outside[i, 2]) << 32
                for q in range(c, end):
                    found[q] += own
            begin[i], count[i] = c, end - c
            c = end
    return np.int64(c)
