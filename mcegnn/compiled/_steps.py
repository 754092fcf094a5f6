# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""Energies, forces and virial of a network that passes messages: near pairs, the order of the
steps, and the forces.

The steps of L layers: 0 finds the near pairs; 1 prepares pairs and nodes; 2 + 2 l passes messages
along pairs in layer l, 3 + 2 l updates nodes; from 2 + 2 L on it is the backward pass, nodes before
pairs; 2 + 4 L makes forces. The first and the last step are of one thread; within the others the
parts are independent of each other.
"""

import math

import numpy as np

from mcegnn.compiled._functions import by_direction, repel, softened_distance
from mcegnn.compiled._kernel import kernel, kernel_part
from mcegnn.compiled._pointers import call_phase, moved, number, pointers, put
from mcegnn.compiled._simd_math import increase

# places in `mcegnn.compiled.phases.PHASES`
PREPARE, FORWARD_PAIRS, FORWARD_NODES, BACKWARD_NODES, BACKWARD_PAIRS = range(5)


@kernel
def halved(starts, j, image, images):
    """One of each two mirror pairs: the neighbour has the larger number, or the shift is positive
    in its first number that is not zero."""
    later = np.zeros(len(images), np.bool_)
    for c in range(len(images)):
        a, b, d = images[c, 0], images[c, 1], images[c, 2]
        later[c] = a > 0 or (a == 0 and (b > 0 or (b == 0 and d > 0)))
    begin, neighbour, which, m = np.zeros_like(starts), np.empty_like(j), np.empty_like(image), 0
    for i in range(len(starts) - 1):
        for p in range(starts[i], starts[i + 1]):
            if j[p] > i or (j[p] == i and later[image[p]]):
                neighbour[m], which[m] = j[p], image[p]
                m += 1
        begin[i + 1] = m
    return begin, neighbour[:m].copy(), which[:m].copy()


@kernel_part
def near_pairs(x, table, starts, j, image, w, N, arrays):
    """The pairs nearer than the cutoff, of a list that has each once, energies of the repulsion,
    and what is closest beside training."""
    workspace, short = pointers(arrays), w.short_range
    m, cutoff2, closest = 0, N.cutoff * N.cutoff, arrays.closest
    closest[0], closest[1], closest[2], closest[3] = 1.0, -1.0, -1.0, 0.0
    arrays.energies[:] = 0.0
    for i in range(len(starts) - 1):
        xi, yi, zi, a = x[i, 0], x[i, 1], x[i, 2], number(workspace.species_index, i)
        for p in range(starts[i], starts[i + 1]):
            k, c = j[p], image[p]
            dx, dy, dz = (
                x[k, 0] - xi + table[c, 0],
                x[k, 1] - yi + table[c, 1],
                x[k, 2] - zi + table[c, 2],
            )
            r2 = dx * dx + dy * dy + dz * dz
            if r2 >= cutoff2:
                continue
            r, b = math.sqrt(r2), number(workspace.species_index, k)
            slope, known, rise = 0.0, r, 1.0
            if r < short[6, a, b]:
                end, inner, nearest = short[2, a, b], short[4, a, b], short[5, a, b]
                if r < end:
                    u, slope = repel(r, short[0, a, b], short[1, a, b], end, short[3, a, b])
                    increase(workspace.energies, i, 0.5 * u)
                    increase(workspace.energies, k, 0.5 * u)
                if r < inner:
                    known, rise = softened_distance(r, inner)
                if r < closest[0] * nearest:
                    closest[0], closest[1], closest[2], closest[3] = r / nearest, i, k, nearest
            here = moved(workspace.offsets, 7 * m)
            put(here, 0, dx)
            put(here, 1, dy)
            put(here, 2, dz)
            put(here, 3, r)
            put(here, 4, slope)
            put(here, 5, known)
            put(here, 6, rise)
            put(workspace.pairs, 2 * m, i)
            put(workspace.pairs, 2 * m + 1, k)
            m += 1
    arrays.counts[0] = m


@kernel_part
def edge_forces(N, arrays, forces, virial):
    """Forces [n, 3] and the sum of d dE/dd [3, 3], from derivatives by harmonics and distances."""
    workspace, C = pointers(arrays), N.components
    forces[:] = 0.0
    xx = xy = xz = yy = yz = zz = 0.0
    for e in range(number(workspace.counts, 0)):
        d, g = moved(workspace.offsets, 7 * e), moved(workspace.gradient, (C + 1) * e)
        i, j = number(workspace.pairs, 2 * e), number(workspace.pairs, 2 * e + 1)
        dx, dy, dz, inverse = number(d, 0), number(d, 1), number(d, 2), 1.0 / number(d, 3)
        ux, uy, uz = dx * inverse, dy * inverse, dz * inverse
        gx, gy, gz = by_direction(ux, uy, uz, N.degrees, g)
        outward = (
            number(g, C) * number(d, 6) + number(d, 4) - (ux * gx + uy * gy + uz * gz) * inverse
        )
        fx, fy, fz = (
            gx * inverse + outward * ux,
            gy * inverse + outward * uy,
            gz * inverse + outward * uz,
        )
        forces[i, 0] += fx
        forces[i, 1] += fy
        forces[i, 2] += fz
        forces[j, 0] -= fx
        forces[j, 1] -= fy
        forces[j, 2] -= fz
        xx, yy, zz = xx + dx * fx, yy + dy * fy, zz + dz * fz
        xy, xz, yz = (
            xy + 0.5 * (dx * fy + dy * fx),
            xz + 0.5 * (dx * fz + dz * fx),
            yz + 0.5 * (dy * fz + dz * fy),
        )
    virial[0, 0], virial[0, 1], virial[0, 2], virial[1, 1], virial[1, 2], virial[2, 2] = (
        xx,
        xy,
        xz,
        yy,
        yz,
        zz,
    )
    virial[1, 0], virial[2, 0], virial[2, 1] = xy, xz, yz


@kernel
def steps(
    begin, end, first, last, x, table, starts, j, image, weights, N, arrays, forces, virial, phases
):
    """The steps ``begin`` to ``end`` of the parts ``first`` to ``last``: of all parts, or one step.
    ``phases`` are the addresses of `mcegnn.compiled.phases.PHASES`."""
    layers, w, workspace = N.layers, pointers(weights), pointers(arrays)
    for step in range(begin, end):
        if step == 0:
            near_pairs(x, table, starts, j, image, weights, N, arrays)
            continue
        if step == 4 * layers + 2:
            edge_forces(N, arrays, forces, virial)
            continue
        if step == 1:
            phase, layer = PREPARE, 0
        elif step <= 2 * layers + 1:
            phase, layer = (FORWARD_NODES if step % 2 else FORWARD_PAIRS), step // 2 - 1
        else:
            phase = BACKWARD_PAIRS if step % 2 else BACKWARD_NODES
            layer = (4 * layers + 1 - step) // 2
        for part in range(first, last):
            call_phase(phases[phase], layer, part, w, N, workspace)
