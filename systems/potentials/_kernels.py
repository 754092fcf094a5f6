"""Numba kernels of the potentials beside them, which hold the same formulas for whole arrays."""

import math

from systems.kernel import inlined_jit, jit


@jit
def coulomb(x, masses, charges, parameters, forces):
    """parameters: constant, largest component of a particle's force."""
    constant, limit = parameters[0], parameters[1]
    n = x.shape[1]
    energy = 0.0
    for i in range(n):
        xi, yi, zi, qi = x[0, i], x[1, i], x[2, i], constant * charges[i]
        fx = fy = fz = 0.0
        for j in range(i):
            dx, dy, dz = xi - x[0, j], yi - x[1, j], zi - x[2, j]
            r2 = dx * dx + dy * dy + dz * dz
            w = qi * charges[j] / (r2 * r2**0.5)
            energy += w * r2
            fx += w * dx
            fy += w * dy
            fz += w * dz
            forces[0, j] -= w * dx
            forces[1, j] -= w * dy
            forces[2, j] -= w * dz
        forces[0, i] += fx
        forces[1, i] += fy
        forces[2, i] += fz
    for i in range(n):
        forces[0, i] = min(max(forces[0, i], -limit), limit)
        forces[1, i] = min(max(forces[1, i], -limit), limit)
        forces[2, i] = min(max(forces[2, i], -limit), limit)
    return energy


@inlined_jit
def gravity(x, masses, charges, parameters, forces):
    """parameters: G, softening squared, body left out (-1: none)."""
    constant, eps2, omit = parameters[0], parameters[1], int(parameters[2])
    n = x.shape[1]
    energy = 0.0
    for i in range(n):
        if i == omit:
            continue
        xi, yi, zi, gm = x[0, i], x[1, i], x[2, i], constant * masses[i]
        fx = fy = fz = 0.0
        for j in range(i):
            if j == omit:
                continue
            dx, dy, dz = xi - x[0, j], yi - x[1, j], zi - x[2, j]
            r2 = dx * dx + dy * dy + dz * dz + eps2
            w = gm * masses[j] / (r2 * r2**0.5)
            energy -= w * r2
            fx -= w * dx
            fy -= w * dy
            fz -= w * dz
            forces[0, j] += w * dx
            forces[1, j] += w * dy
            forces[2, j] += w * dz
        forces[0, i] += fx
        forces[1, i] += fy
        forces[2, i] += fz
    return energy


@jit
def oblate_gravity(x, masses, charges, parameters, forces):
    """As `gravity`, with (body, J2 R^2 / 2, pole) of each oblate body behind its parameters."""
    energy = gravity(x, masses, charges, parameters, forces)
    for at in range(3, len(parameters), 5):
        energy += oblateness(x, masses, parameters[0], parameters, at, forces)
    return energy


@inlined_jit
def oblateness(x, masses, constant, parameters, at, forces):
    """The J2 term of the body whose five parameters begin at ``at`` upon all others, and their pull
    back on it."""
    k, px, py, pz = int(parameters[at]), parameters[at + 2], parameters[at + 3], parameters[at + 4]
    c = constant * masses[k] * parameters[at + 1]
    energy = fx = fy = fz = 0.0
    for i in range(x.shape[1]):
        if i == k:
            continue
        dx, dy, dz = x[0, i] - x[0, k], x[1, i] - x[1, k], x[2, i] - x[2, k]
        r2 = dx * dx + dy * dy + dz * dz
        s = px * dx + py * dy + pz * dz
        w = c * masses[i] / (r2 * r2 * r2**0.5)
        energy += w * (3.0 * s * s - r2)
        radial, axial = w * (15.0 * s * s / r2 - 3.0), -6.0 * w * s
        gx, gy, gz = radial * dx + axial * px, radial * dy + axial * py, radial * dz + axial * pz
        forces[0, i] += gx
        forces[1, i] += gy
        forces[2, i] += gz
        fx -= gx
        fy -= gy
        fz -= gz
    forces[0, k] += fx
    forces[1, k] += fy
    forces[2, k] += fz
    return energy


@jit
def pair_table(x, masses, charges, parameters, forces):
    """parameters: couplings (0: masses, 1: charges), largest component of a force, log of the first
    radius, spacing, number of knots; then, knot by knot, w, its slope, energy, its slope, where
    slopes are per spacing. Beyond the ends the last cubics go on.
    """
    limit, first = parameters[1], parameters[2]
    inverse, last = 1.0 / parameters[3], int(parameters[4]) - 2
    couplings = charges if parameters[0] == 1.0 else masses
    n = x.shape[1]
    energy = 0.0
    for i in range(n):
        for j in range(i):
            dx, dy, dz = x[0, i] - x[0, j], x[1, i] - x[1, j], x[2, i] - x[2, j]
            at = (0.5 * math.log(dx * dx + dy * dy + dz * dz) - first) * inverse
            # an index from what is not finite would point anywhere
            knot = 0 if not at > 0.0 else last if at > last else int(at)
            s, k = at - knot, 5 + 4 * knot
            left, right = (1.0 - s) * (1.0 - s), s * s
            a0, a1 = (1.0 + 2.0 * s) * left, s * left
            b0, b1 = (3.0 - 2.0 * s) * right, (s - 1.0) * right
            product = couplings[i] * couplings[j]
            w = product * (
                a0 * parameters[k]
                + a1 * parameters[k + 1]
                + b0 * parameters[k + 4]
                + b1 * parameters[k + 5]
            )
            energy += product * (
                a0 * parameters[k + 2]
                + a1 * parameters[k + 3]
                + b0 * parameters[k + 6]
                + b1 * parameters[k + 7]
            )
            forces[0, i] += w * dx
            forces[1, i] += w * dy
            forces[2, i] += w * dz
            forces[0, j] -= w * dx
            forces[1, j] -= w * dy
            forces[2, j] -= w * dz
    for i in range(n):
        for a in range(3):
            forces[a, i] = min(max(forces[a, i], -limit), limit)
    return energy


@jit
def springs(x, masses, charges, parameters, forces):
    """parameters: (i, j, stiffness, length) of each spring."""
    energy = 0.0
    for k in range(0, len(parameters), 4):
        i, j = int(parameters[k]), int(parameters[k + 1])
        stiffness, length = parameters[k + 2], parameters[k + 3]
        dx, dy, dz = x[0, i] - x[0, j], x[1, i] - x[1, j], x[2, i] - x[2, j]
        r = (dx * dx + dy * dy + dz * dz) ** 0.5
        stretch = r - length
        energy += 0.5 * stiffness * stretch * stretch
        # a spring without length pulls along the offset itself, also where its ends meet
        w = stiffness if length == 0.0 else stiffness * stretch / r
        forces[0, i] -= w * dx
        forces[1, i] -= w * dy
        forces[2, i] -= w * dz
        forces[0, j] += w * dx
        forces[1, j] += w * dy
        forces[2, j] += w * dz
    return energy
