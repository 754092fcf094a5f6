"""Numba twin of `integrators.relativity.EinsteinInfeldHoffmann`."""

import math

from systems.kernel import inlined_jit


@inlined_jit
def newtonian(x, masses, constant, pulls, depth):
    """Add the Newtonian accelerations to pulls [3, n] and the depth of the potential to depth
    [n]."""
    for i in range(x.shape[1]):
        for j in range(x.shape[1]):
            if j == i:
                continue
            dx, dy, dz = x[0, j] - x[0, i], x[1, j] - x[1, i], x[2, j] - x[2, i]
            r2 = dx * dx + dy * dy + dz * dz
            near = constant * masses[j] / math.sqrt(r2)
            depth[i] += near
            pulls[0, i] += near / r2 * dx
            pulls[1, i] += near / r2 * dy
            pulls[2, i] += near / r2 * dz


@inlined_jit
def is_settled(start, v, change, scale):
    """Set v to start + scale * change, [3, n] each; whether that is what it was."""
    settled = True
    for i in range(v.shape[1]):
        moved = size = 0.0
        for a in range(3):
            new = start[a, i] + scale * change[a, i]
            moved += abs(new - v[a, i])
            size += abs(new)
            v[a, i] = new
        settled = settled and moved <= 1e-16 * size
    return settled


@inlined_jit
def einstein_infeld_hoffmann(x, p, masses, constant, c2, sweeps, room, h):
    """The implicit midpoint rule for the first post-Newtonian terms of all masses; room [13, n] is
    overwritten."""
    n = x.shape[1]
    start, v, newton, change, depth = room[0:3], room[3:6], room[6:9], room[9:12], room[12]
    room[:] = 0.0
    for i in range(n):
        for a in range(3):
            start[a, i] = v[a, i] = p[a, i] / masses[i]
    newtonian(x, masses, constant, newton, depth)
    for _ in range(sweeps):
        change[:] = 0.0
        for i in range(n):
            ux = 0.5 * (start[0, i] + v[0, i])
            uy = 0.5 * (start[1, i] + v[1, i])
            uz = 0.5 * (start[2, i] + v[2, i])
            u2 = ux * ux + uy * uy + uz * uz
            ax = ay = az = 0.0
            for j in range(n):
                if j == i:
                    continue
                wx = 0.5 * (start[0, j] + v[0, j])
                wy = 0.5 * (start[1, j] + v[1, j])
                wz = 0.5 * (start[2, j] + v[2, j])
                dx, dy, dz = x[0, j] - x[0, i], x[1, j] - x[1, i], x[2, j] - x[2, i]
                r2 = dx * dx + dy * dy + dz * dz
                near = constant * masses[j] / math.sqrt(r2)
                pull, toward = near / r2, dx * wx + dy * wy + dz * wz
                radial = pull * (
                    u2
                    + 2.0 * (wx * wx + wy * wy + wz * wz)
                    - 4.0 * (ux * wx + uy * wy + uz * wz)
                    - 1.5 * toward * toward / r2
                    + 0.5 * (dx * newton[0, j] + dy * newton[1, j] + dz * newton[2, j])
                    - 4.0 * depth[i]
                    - depth[j]
                )
                along = pull * (3.0 * toward - 4.0 * (dx * ux + dy * uy + dz * uz))
                ax += radial * dx + along * (ux - wx) + 3.5 * near * newton[0, j]
                ay += radial * dy + along * (uy - wy) + 3.5 * near * newton[1, j]
                az += radial * dz + along * (uz - wz) + 3.5 * near * newton[2, j]
            change[0, i], change[1, i], change[2, i] = ax, ay, az
        if is_settled(start, v, change, h / c2):
            break
    for i in range(n):
        for a in range(3):
            p[a, i] += masses[i] * (v[a, i] - start[a, i])
