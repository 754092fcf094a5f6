# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""Energies, forces and virial of a network that passes messages: near pairs, the order of the
steps, and the forces.

The steps of L layers: 0 finds the near pairs; 1 prepares pairs and nodes; 2 + 2 l passes messages
along pairs in layer l, 3 + 2 l updates nodes; from 2 + 2 L on it is the backward pass, nodes before
pairs; 2 + 4 L makes forces. The first and the last step are of one thread; within the others the
parts are independent of each other.
"""

import math
from functools import partial

import numpy as np

from mcegnn.compiled._edges_backward import edges_backward
from mcegnn.compiled._edges_forward import activations, edges_forward
from mcegnn.compiled._nodes import atomic_energies, embed, grad_update, update_nodes
from mcegnn.compiled._simd import count, filled, fma, load, moved, number, pointers, put, store
from mcegnn.compiled._simd_math import circular, increase
from mcegnn.compiled._workspace import BLOCK, NODES
from systems.kernel import jit

kernel = partial(jit, reorder=False)
# of the harmonics, and of Ziegler, Biersack and Littmark's screening
_A, _B, _C, _D = math.sqrt(3.0), math.sqrt(15.0), math.sqrt(5.0 / 8.0), math.sqrt(3.0 / 8.0)
_WEIGHTS, _EXPONENTS = (0.18175, 0.50986, 0.28022, 0.02817), (3.1998, 0.94229, 0.4029, 0.20162)
_WIDTH = 0.1  # of the nearest distance, over which the softened distance comes to rest


@kernel
def envelope(t):
    """One at zero, zero from t = 1 on, and its derivative."""
    t5 = t * t * t * t * t
    return 1.0 - t5 * t * (28.0 - 48.0 * t + 21.0 * t * t), -168.0 * t5 * (1.0 - t) * (1.0 - t)


@kernel
def softened_distance(r, nearest):
    """The softened distance of one below the nearest, and its derivative
    (`mcegnn.nn.repulsion`)."""
    t = max(0.0, (r / nearest - (1.0 - _WIDTH)) / _WIDTH)
    return nearest * (1.0 - _WIDTH + _WIDTH * (0.5 + t * t * t * (1.0 - 0.5 * t))), t * t * (
        3.0 - 2.0 * t
    )


@kernel
def repel(r, strength, length, end, wall):
    """Ziegler, Biersack and Littmark's energy of a pair and that of a wall, which end at ``end``,
    and its derivative."""
    screened = slope = 0.0
    for k in range(4):
        term = _WEIGHTS[k] * math.exp(-_EXPONENTS[k] * r / length)
        screened += term
        slope -= term * _EXPONENTS[k] / length
    fade, fall = envelope(r / end)
    pull, inside = strength / r, 1.0 - r / end
    energy = pull * screened * fade + wall * inside * inside * inside
    return (
        energy,
        pull * (slope * fade + screened * (fall / end - fade / r))
        - 3.0 * wall * inside * inside / end,
    )


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


@kernel
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


@kernel
def harmonics(x, y, z, degrees, Y):
    """The harmonics of a direction (`mcegnn.nn.harmonics`)."""
    put(Y, 0, x)
    put(Y, 1, y)
    put(Y, 2, z)
    xx, yy, zz = x * x, y * y, z * z
    if degrees > 1:
        put(Y, 3, _A * x * y)
        put(Y, 4, _A * y * z)
        put(Y, 5, _A * x * z)
        put(Y, 6, 0.5 * _A * (xx - yy))
        put(Y, 7, 0.5 * (3.0 * zz - 1.0))
    if degrees > 2:
        put(Y, 8, _C * y * (3.0 * xx - yy))
        put(Y, 9, _B * x * y * z)
        put(Y, 10, _D * y * (5.0 * zz - 1.0))
        put(Y, 11, 0.5 * z * (5.0 * zz - 3.0))
        put(Y, 12, _D * x * (5.0 * zz - 1.0))
        put(Y, 13, 0.5 * _B * z * (xx - yy))
        put(Y, 14, _C * x * (xx - 3.0 * yy))


@kernel
def by_direction(x, y, z, degrees, g):
    """Derivatives by a direction's components from those by its harmonics, but for their part along
    it."""
    dx, dy, dz = float(number(g, 0)), float(number(g, 1)), float(number(g, 2))
    xx, yy, zz = x * x, y * y, z * z
    if degrees > 1:
        xy, yz, xz, difference, height = (
            number(g, 3),
            number(g, 4),
            number(g, 5),
            number(g, 6),
            number(g, 7),
        )
        dx += _A * (y * xy + z * xz + x * difference)
        dy += _A * (x * xy + z * yz - y * difference)
        dz += _A * (y * yz + x * xz) + 3.0 * z * height
    if degrees > 2:
        a, b, c, d = number(g, 8), number(g, 9), number(g, 10), number(g, 11)
        e, f, h = number(g, 12), number(g, 13), number(g, 14)
        plane, level = 3.0 * _C * (xx - yy), 5.0 * zz - 1.0
        dx += 6.0 * _C * x * y * a + _B * z * (y * b + x * f) + _D * level * e + plane * h
        dy += plane * a + _B * z * (x * b - y * f) + _D * level * c - 6.0 * _C * x * y * h
        dz += (
            _B * (x * y * b + 0.5 * (xx - yy) * f)
            + 10.0 * _D * z * (y * c + x * e)
            + 1.5 * level * d
        )
    return dx, dy, dz


@kernel
def expand(first, last, w, N, workspace):
    """Harmonics, radial functions sin(w t) envelope / t sqrt(2) / cutoff, the envelope, and
    derivatives by the distance."""
    B, C, cutoff, scale = N.B, N.components, N.cutoff, math.sqrt(2.0) / N.cutoff
    for e in range(first, last):
        d, g, basis = (
            moved(workspace.offsets, 7 * e),
            moved(workspace.geometry, (C + 2) * e),
            moved(workspace.basis, 2 * B * e),
        )
        r, t = number(d, 3), number(d, 5) / cutoff
        end, fall = envelope(t)
        harmonics(number(d, 0) / r, number(d, 1) / r, number(d, 2) / r, N.degrees, g)
        put(g, C, end * N.end)
        put(g, C + 1, fall * N.end / cutoff)
        for c in range(C + 1):
            put(workspace.gradient, (C + 1) * e + c, 0.0)
        value, slope, turn = (
            filled(basis, scale * end / t),
            filled(basis, scale * (fall - end / t) / (t * cutoff)),
            filled(basis, t),
        )
        rise = filled(basis, math.pi * scale * end / (t * cutoff))
        for k in range(0, B, count(basis)):
            frequency = load(w.frequencies, k)
            sine, cosine = circular(frequency * turn)
            store(basis, k, sine * value)
            store(basis, B + k, fma(sine, slope, frequency * cosine * rise))


@kernel
def along_pairs(layer, forward, part, w, N, workspace):
    """A part's blocks of pairs."""
    m, n = number(workspace.counts, 0), N.nodes
    blocks, size = (m + BLOCK - 1) // BLOCK, 2 * BLOCK * (3 * N.F + N.E2)
    sums, scratch = (
        moved(workspace.sums, part * n * (2 * N.F + N.W)),
        moved(workspace.scratch, part * N.scratch),
    )
    spare, touched = (
        moved(scratch, N.scratch - size),
        moved(workspace.touched, part * ((n + NODES - 1) // NODES)),
    )
    for block in range(blocks * part // N.parts, blocks * (part + 1) // N.parts):
        first = block * BLOCK
        count_ = min(BLOCK, m - first)
        for e in range(2 * first, 2 * (first + count_)):
            put(touched, number(workspace.pairs, e) // NODES, 1)
        keeps = block < N.kept
        slot = moved(workspace.kept, (block * N.layers + layer) * size) if keeps else spare
        if forward:
            edges_forward(layer, first, count_, w, N, workspace, slot, scratch, sums)
        else:
            if not keeps:
                activations(layer, first, count_, w, N, workspace, slot, scratch)
            edges_backward(layer, first, count_, w, N, workspace, slot, scratch, sums)


@kernel
def at_nodes(step, part, w, N, workspace):
    """A part's blocks of nodes."""
    n, layers = N.nodes, N.layers
    blocks = (n + NODES - 1) // NODES
    scratch = moved(workspace.scratch, part * N.scratch)
    for block in range(blocks * part // N.parts, blocks * (part + 1) // N.parts):
        first, last = block * NODES, min((block + 1) * NODES, n)
        if step == 1:
            embed(first, last, w, N, workspace)
        elif step <= 2 * layers + 1:
            update_nodes((step - 3) // 2, first, last, w, N, workspace, scratch)
            if step == 2 * layers + 1:
                atomic_energies(first, last, w, N, workspace, scratch)
        else:
            grad_update((4 * layers + 1 - step) // 2, first, last, w, N, workspace, scratch)


@kernel
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
def steps(begin, end, first, last, x, table, starts, j, image, weights, N, arrays, forces, virial):
    """The steps ``begin`` to ``end`` of the parts ``first`` to ``last``: of all parts, or one
    step."""
    layers, w, workspace = N.layers, pointers(weights), pointers(arrays)
    for step in range(begin, end):
        if step == 0:
            near_pairs(x, table, starts, j, image, weights, N, arrays)
        elif step == 4 * layers + 2:
            edge_forces(N, arrays, forces, virial)
        else:
            for part in range(first, last):
                if step == 1:
                    m = number(workspace.counts, 0)
                    expand(m * part // N.parts, m * (part + 1) // N.parts, w, N, workspace)
                if step == 1 or (step > 2 * layers + 1) != (step % 2 == 1):
                    at_nodes(step, part, w, N, workspace)
                elif step <= 2 * layers:
                    along_pairs(step // 2 - 1, True, part, w, N, workspace)
                else:
                    along_pairs((4 * layers + 1 - step) // 2, False, part, w, N, workspace)
