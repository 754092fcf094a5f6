"""Pair kernels of potentials that act between near particles (`systems.potentials.pair` says what
they take).

For each centre the list is walked without a branch: an offset within the cutoff is kept, one beyond
it is overwritten by the next. A loop over the kept ones alone follows, which the compiler
vectorises, and whose sums it may take in any order: what it adds up depends on the near pairs and
on nothing else. So, with a list that is in order, numbers do not depend on when it was made or on
who asks for what, and a run that is resumed, with a list of its own, has the same bits.
"""

import math
from functools import partial

import numpy as np

from systems.kernel import inlined_jit, jit
from systems.potentials.pair import FORCES, VIRIAL

# in the order of `systems.potentials.lennard_jones.Truncation`
FORCE_SHIFT, SWITCH, SHIFT = range(3)
_U = np.uint64  # an index without a sign is not tested for being negative


@inlined_jit
def longest(first, last, starts):
    """The most pairs that one centre has."""
    most = 0
    for k in range(first, last):
        most = max(most, starts[k + 1] - starts[k])
    return most


@partial(inlined_jit, reorder=False)
def near(k, x, table, starts, j, image, cutoff2, dx, dy, dz, d2):
    """Offsets from particle k to its neighbours within the cutoff, and their squared lengths;
    returns how many."""
    xk, yk, zk = x[k, 0], x[k, 1], x[k, 2]
    m = _U(0)
    for p in range(_U(starts[k]), _U(starts[k + 1])):
        n, c = _U(j[p]), _U(image[p])
        ox = x[n, 0] - xk + table[c, 0]
        oy = x[n, 1] - yk + table[c, 1]
        oz = x[n, 2] - zk + table[c, 2]
        r2 = ox * ox + oy * oy + oz * oz
        dx[m], dy[m], dz[m], d2[m] = ox, oy, oz, r2
        m += _U(r2 < cutoff2)
    return m


@inlined_jit
def law(r2, c12, c6, at_cutoff, slope, kind, cutoff2, per_width):
    """u and u' / r of Lennard-Jones."""
    inverse = 1.0 / r2
    i6 = inverse * inverse * inverse
    u, w = i6 * (c12 * i6 - c6), i6 * (6.0 * c6 - 12.0 * c12 * i6) * inverse
    if kind == FORCE_SHIFT:
        r = math.sqrt(r2)
        u -= at_cutoff + r * slope
        w -= slope * r * inverse
    elif kind == SHIFT:
        u -= at_cutoff
    else:
        t = min((cutoff2 - r2) * per_width, 1.0)
        switch = t * t * (3.0 - 2.0 * t)
        w = w * switch - u * (12.0 * t * (1.0 - t) * per_width)
        u *= switch
    return u, w


@inlined_jit
def forces_of(m, dx, dy, dz, d2, constants, kind):
    """The force on a centre from its near pairs."""
    c12, c6, at_cutoff, slope, cutoff2, per_width = constants
    fx = fy = fz = 0.0
    for q in range(m):
        _, w = law(d2[q], c12, c6, at_cutoff, slope, kind, cutoff2, per_width)
        fx += w * dx[q]
        fy += w * dy[q]
        fz += w * dz[q]
    return fx, fy, fz


@inlined_jit
def energy_of(m, d2, constants, kind):
    """The energy of a centre's near pairs."""
    c12, c6, at_cutoff, slope, cutoff2, per_width = constants
    energy = 0.0
    for q in range(m):
        u, _ = law(d2[q], c12, c6, at_cutoff, slope, kind, cutoff2, per_width)
        energy += u
    return energy


@inlined_jit
def virial_of(m, dx, dy, dz, d2, constants, kind):
    """Sums of -w d d over a centre's near pairs: xx, xy, xz, yy, yz, zz."""
    c12, c6, at_cutoff, slope, cutoff2, per_width = constants
    xx = xy = xz = yy = yz = zz = 0.0
    for q in range(m):
        _, w = law(d2[q], c12, c6, at_cutoff, slope, kind, cutoff2, per_width)
        wx, wy = w * dx[q], w * dy[q]
        xx -= wx * dx[q]
        xy -= wx * dy[q]
        xz -= wx * dz[q]
        yy -= wy * dy[q]
        yz -= wy * dz[q]
        zz -= w * dz[q] * dz[q]
    return xx, xy, xz, yy, yz, zz


@partial(inlined_jit, reorder=False)
def near_by_species(k, x, table, starts, j, image, species, cutoff2, dx, dy, dz, d2, counts):
    """As `near`, in a row for each species of the neighbours [n_species, any]; how many are in each
    goes to counts [n_species]."""
    xk, yk, zk = x[k, 0], x[k, 1], x[k, 2]
    counts[:] = 0
    for p in range(_U(starts[k]), _U(starts[k + 1])):
        n, c = _U(j[p]), _U(image[p])
        ox = x[n, 0] - xk + table[c, 0]
        oy = x[n, 1] - yk + table[c, 1]
        oz = x[n, 2] - zk + table[c, 2]
        r2 = ox * ox + oy * oy + oz * oz
        b = _U(species[n])
        m = counts[b]
        dx[b, m], dy[b, m], dz[b, m], d2[b, m] = ox, oy, oz, r2
        counts[b] = m + _U(r2 < cutoff2)


@partial(inlined_jit, reorder=False)
def constants_of(epsilon, sigma, cutoff, onset, kind):
    """What `law` needs for a pair of species: 4 epsilon sigma^12, 4 epsilon sigma^6, the energy and
    the slope at the cutoff, its square, and one over the switch's width."""
    s6, c6 = sigma**6, (sigma / cutoff) ** 6
    at_cutoff = 4.0 * epsilon * (c6 * c6 - c6)
    slope = -24.0 * epsilon * (2.0 * c6 * c6 - c6) / cutoff
    if kind == FORCE_SHIFT:
        at_cutoff -= cutoff * slope
    cutoff2 = cutoff * cutoff
    return (
        4.0 * epsilon * s6 * s6,
        4.0 * epsilon * s6,
        at_cutoff,
        slope,
        cutoff2,
        1.0 / (cutoff2 - onset * onset),
    )


@partial(jit, reorder=False)
def lennard_jones(
    first,
    last,
    edges,
    x,
    table,
    starts,
    j,
    image,
    species,
    parameters,
    want,
    energies,
    forces,
    virials,
):
    """Of one species. parameters: cutoff, where switching begins, the truncation's number, the
    number of species S; then epsilon [S, S] and sigma [S, S]."""
    cutoff, onset, kind = parameters[0], parameters[1], int(parameters[2])
    constants = constants_of(parameters[4], parameters[5], cutoff, onset, kind)
    cutoff2 = constants[4]
    room = longest(edges[first], edges[last], starts) + 1
    dx, dy, dz, d2 = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    for part in range(first, last):
        virial = virials[part]
        virial[:] = 0.0
        for k in range(edges[part], edges[part + 1]):
            m = near(k, x, table, starts, j, image, cutoff2, dx, dy, dz, d2)
            forces[k, 0], forces[k, 1], forces[k, 2] = forces_of(m, dx, dy, dz, d2, constants, kind)
            if want == FORCES:
                continue
            energies[k] = 0.5 * energy_of(m, d2, constants, kind)
            if want == VIRIAL:
                xx, xy, xz, yy, yz, zz = virial_of(m, dx, dy, dz, d2, constants, kind)
                virial[0, 0] += 0.5 * xx
                virial[0, 1] += 0.5 * xy
                virial[0, 2] += 0.5 * xz
                virial[1, 1] += 0.5 * yy
                virial[1, 2] += 0.5 * yz
                virial[2, 2] += 0.5 * zz
        virial[1, 0], virial[2, 0], virial[2, 1] = virial[0, 1], virial[0, 2], virial[1, 2]


@partial(jit, reorder=False)
def lennard_jones_mixture(
    first,
    last,
    edges,
    x,
    table,
    starts,
    j,
    image,
    species,
    parameters,
    want,
    energies,
    forces,
    virials,
):
    """Of several species; parameters as of `lennard_jones`."""
    cutoff, onset = parameters[0], parameters[1]
    kind, n_species = int(parameters[2]), int(parameters[3])
    cutoff2, n_pairs = cutoff * cutoff, n_species * n_species
    room = longest(edges[first], edges[last], starts) + 1
    dx, dy = np.empty((n_species, room)), np.empty((n_species, room))
    dz, d2 = np.empty((n_species, room)), np.empty((n_species, room))
    constants_by_pair = np.empty((n_pairs, 6))
    for pair in range(n_pairs):
        epsilon, sigma = parameters[4 + pair], parameters[4 + n_pairs + pair]
        for c, value in enumerate(constants_of(epsilon, sigma, cutoff, onset, kind)):
            constants_by_pair[pair, c] = value
    counts = np.zeros(n_species, np.uint64)
    for part in range(first, last):
        virial = virials[part]
        virial[:] = 0.0
        for k in range(edges[part], edges[part + 1]):
            near_by_species(k, x, table, starts, j, image, species, cutoff2, dx, dy, dz, d2, counts)
            fx = fy = fz = energy = 0.0
            for b in range(n_species):
                own = constants_by_pair[species[k] * n_species + b]
                constants = own[0], own[1], own[2], own[3], own[4], own[5]
                m, ox, oy, oz, o2 = counts[b], dx[b], dy[b], dz[b], d2[b]
                gx, gy, gz = forces_of(m, ox, oy, oz, o2, constants, kind)
                fx, fy, fz = fx + gx, fy + gy, fz + gz
                if want == FORCES:
                    continue
                energy += energy_of(m, o2, constants, kind)
                if want == VIRIAL:
                    xx, xy, xz, yy, yz, zz = virial_of(m, ox, oy, oz, o2, constants, kind)
                    virial[0, 0] += 0.5 * xx
                    virial[0, 1] += 0.5 * xy
                    virial[0, 2] += 0.5 * xz
                    virial[1, 1] += 0.5 * yy
                    virial[1, 2] += 0.5 * yz
                    virial[2, 2] += 0.5 * zz
            forces[k, 0], forces[k, 1], forces[k, 2] = fx, fy, fz
            if want != FORCES:
                energies[k] = 0.5 * energy
        virial[1, 0], virial[2, 0], virial[2, 1] = virial[0, 1], virial[0, 2], virial[1, 2]
