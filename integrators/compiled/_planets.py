"""Numba twins of the flows of planets about a star: Wisdom-Holman's pieces, and relativity of one
body."""

import math

from integrators.compiled._kepler import kepler_coefficients
from systems.kernel import inlined_jit


@inlined_jit
def jump(x, p, masses, star, h):
    """`integrators.kepler.Jump`: the star's recoil moves every other body."""
    for a in range(3):
        total = 0.0
        for i in range(x.shape[1]):
            total += p[a, i]
        move = h * (total - p[a, star]) / masses[star]
        for i in range(x.shape[1]):
            if i != star:
                x[a, i] += move


@inlined_jit
def kepler(x, p, masses, star, mu, h):
    """`integrators.kepler.KeplerDrift`: every body but the star on its conic about it."""
    total = masses.sum()
    for i in range(x.shape[1]):
        if i == star:
            for a in range(3):
                x[a, i] += h * p[a, i] / total
            continue
        m, inverse = masses[i], 1.0 / masses[i]
        qx, qy, qz = x[0, i], x[1, i], x[2, i]
        vx, vy, vz = p[0, i] * inverse, p[1, i] * inverse, p[2, i] * inverse
        f, g, df, dg = kepler_coefficients(qx, qy, qz, vx, vy, vz, mu, h)
        x[0, i] = qx + (f * qx + g * vx)
        x[1, i] = qy + (f * qy + g * vy)
        x[2, i] = qz + (f * qz + g * vz)
        p[0, i] += m * df * qx + dg * p[0, i]
        p[1, i] += m * df * qy + dg * p[1, i]
        p[2, i] += m * df * qz + dg * p[2, i]


@inlined_jit
def post_newtonian(x, p, start, masses, star, mu, c2, sweeps, heliocentric, h):
    """The implicit midpoint rule of `integrators.relativity.PostNewtonian`; ``start`` is room for
    the momenta before the step."""
    n = x.shape[1]
    for a in range(3):
        for i in range(n):
            start[a, i] = p[a, i]
    for _ in range(sweeps):
        sx = sy = sz = 0.0
        if heliocentric:
            for i in range(n):
                if i != star:
                    sx -= 0.5 * (start[0, i] + p[0, i])
                    sy -= 0.5 * (start[1, i] + p[1, i])
                    sz -= 0.5 * (start[2, i] + p[2, i])
        else:
            sx = 0.5 * (start[0, star] + p[0, star])
            sy = 0.5 * (start[1, star] + p[1, star])
            sz = 0.5 * (start[2, star] + p[2, star])
        ox = oy = oz = 0.0
        if not heliocentric:
            ox, oy, oz = x[0, star], x[1, star], x[2, star]
        tx = ty = tz = 0.0
        settled = True
        for i in range(n):
            if i == star:
                continue
            m = masses[i]
            dx, dy, dz = x[0, i] - ox, x[1, i] - oy, x[2, i] - oz
            vx = 0.5 * (start[0, i] + p[0, i]) / m - sx / masses[star]
            vy = 0.5 * (start[1, i] + p[1, i]) / m - sy / masses[star]
            vz = 0.5 * (start[2, i] + p[2, i]) / m - sz / masses[star]
            r2 = dx * dx + dy * dy + dz * dz
            r = math.sqrt(r2)
            size = h * m * mu / (c2 * r2 * r)
            radial = size * (4.0 * mu / r - (vx * vx + vy * vy + vz * vz))
            along = size * 4.0 * (dx * vx + dy * vy + dz * vz)
            kx = radial * dx + along * vx
            ky = radial * dy + along * vy
            kz = radial * dz + along * vz
            px, py, pz = start[0, i] + kx, start[1, i] + ky, start[2, i] + kz
            change = abs(px - p[0, i]) + abs(py - p[1, i]) + abs(pz - p[2, i])
            settled = settled and change <= 1e-16 * (abs(px) + abs(py) + abs(pz))
            p[0, i], p[1, i], p[2, i] = px, py, pz
            tx += kx
            ty += ky
            tz += kz
        if not heliocentric:
            p[0, star] = start[0, star] - tx
            p[1, star] = start[1, star] - ty
            p[2, star] = start[2, star] - tz
        if settled:
            break
