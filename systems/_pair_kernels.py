"""numba kernels of potentials that act between near particles, on a neighbour list that names each pair from both sides.

A kernel fills energies [n] and forces [n, 3] of the particles ``first`` to ``last`` and virial [3, 3], the sum over their pairs of
half of offset times force; so threads may share the particles, and a particle's numbers do not depend on how.

Sums are taken in the order of the list, without the pairs beyond the cutoff. With a list that is in order, numbers do not depend on when
it was made, so that a run that is resumed, with a list of its own, has the same bits.
"""

import math
from functools import partial

from systems.kernel import jit

FORCE_SHIFT, SWITCH, SHIFT = range(3)
TRUNCATIONS = {"force-shift": FORCE_SHIFT, "switch": SWITCH, "shift": SHIFT}


@partial(jit, reorder=False)
def lennard_jones(first, last, x, cell, starts, j, shift, parameters, energies, forces, virial):
    """parameters: epsilon, sigma, cutoff, where switching begins, the truncation's number."""
    epsilon, sigma, cutoff, onset, kind = parameters[0], parameters[1], parameters[2], parameters[3], int(parameters[4])
    cutoff2, sigma2 = cutoff * cutoff, sigma * sigma
    c6 = (sigma2 / cutoff2) ** 3
    at_cutoff, slope = 4.0 * epsilon * (c6 * c6 - c6), -24.0 * epsilon * (2.0 * c6 * c6 - c6) / cutoff
    width = cutoff2 - onset * onset
    for k in range(first, last):
        xk, yk, zk = x[k, 0], x[k, 1], x[k, 2]
        energy = fx = fy = fz = 0.0
        v00 = v01 = v02 = v11 = v12 = v22 = 0.0
        for p in range(starts[k], starts[k + 1]):
            n = j[p]
            dx, dy, dz = x[n, 0] - xk, x[n, 1] - yk, x[n, 2] - zk
            s0, s1, s2 = shift[p, 0], shift[p, 1], shift[p, 2]
            if s0 != 0 or s1 != 0 or s2 != 0:
                dx += s0 * cell[0, 0] + s1 * cell[1, 0] + s2 * cell[2, 0]
                dy += s0 * cell[0, 1] + s1 * cell[1, 1] + s2 * cell[2, 1]
                dz += s0 * cell[0, 2] + s1 * cell[1, 2] + s2 * cell[2, 2]
            r2 = dx * dx + dy * dy + dz * dz
            if r2 >= cutoff2:
                continue
            inverse = 1.0 / r2
            i6 = (sigma2 * inverse) ** 3
            u, w = 4.0 * epsilon * (i6 * i6 - i6), -24.0 * epsilon * (2.0 * i6 * i6 - i6) * inverse  # w = u' / r
            if kind == FORCE_SHIFT:
                r = math.sqrt(r2)
                u -= at_cutoff + (r - cutoff) * slope
                w -= slope / r
            elif kind == SHIFT:
                u -= at_cutoff
            elif r2 > onset * onset:
                t = (cutoff2 - r2) / width
                w = w * t * t * (3.0 - 2.0 * t) - u * 12.0 * t * (1.0 - t) / width
                u *= t * t * (3.0 - 2.0 * t)
            energy += u
            fx += w * dx
            fy += w * dy
            fz += w * dz
            v00 -= w * dx * dx
            v01 -= w * dx * dy
            v02 -= w * dx * dz
            v11 -= w * dy * dy
            v12 -= w * dy * dz
            v22 -= w * dz * dz
        energies[k] = 0.5 * energy
        forces[k, 0], forces[k, 1], forces[k, 2] = fx, fy, fz
        virial[0, 0] += 0.5 * v00
        virial[1, 1] += 0.5 * v11
        virial[2, 2] += 0.5 * v22
        virial[0, 1] += 0.5 * v01
        virial[0, 2] += 0.5 * v02
        virial[1, 2] += 0.5 * v12
        virial[1, 0] += 0.5 * v01
        virial[2, 0] += 0.5 * v02
        virial[2, 1] += 0.5 * v12
