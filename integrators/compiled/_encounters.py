"""Numba twin of the criterion in `integrators.encounters`."""

import math

from systems.kernel import inlined_jit


@inlined_jit
def strained(x, p, masses, charges, charged, constant, little, much, roundest, h, coarse, fine):
    """Whether `integrators.encounters.strain` of any pair exceeds one for a step of h."""
    slow, quick, span = (coarse / h) ** 2, (fine / h) ** 2, abs(h)
    for i in range(x.shape[1]):
        inverse = 1.0 / masses[i]
        vx, vy, vz = p[0, i] * inverse, p[1, i] * inverse, p[2, i] * inverse
        for j in range(i):
            other = 1.0 / masses[j]
            dx, dy, dz = x[0, i] - x[0, j], x[1, i] - x[1, j], x[2, i] - x[2, j]
            wx, wy, wz = vx - other * p[0, j], vy - other * p[1, j], vz - other * p[2, j]
            square, w2 = dx * dx + dy * dy + dz * dz, wx * wx + wy * wy + wz * wz
            along = dx * wx + dy * wy + dz * wz
            approach, r2 = -along if h > 0.0 else along, square
            if approach > 0.0:  # r of the least distance within the step, if both went straight on
                r2 -= (
                    approach * approach / w2
                    if approach < span * w2
                    else span * (2.0 * approach - span * w2)
                )
                r2 = max(r2, 0.0)
            mu = abs(
                constant
                * (
                    charges[i] * charges[j] * (inverse + other)
                    if charged
                    else masses[i] + masses[j]
                )
            )
            mu2, r6, passing = mu * mu, r2 * r2 * r2, r2 * w2 * w2
            pulls = mu2 > little * little * passing
            if not (mu2 > quick * quick * r6 or (pulls and w2 > quick * r2)):
                continue
            if mu2 > slow * slow * r6 or (pulls and w2 > slow * r2):
                return True
            if mu2 > much * much * passing:
                r = math.sqrt(square)
                if (r * w2 / mu - 1.0) ** 2 + along * along * (
                    2.0 / r - w2 / mu
                ) / mu > roundest * roundest:
                    return True
    return False
