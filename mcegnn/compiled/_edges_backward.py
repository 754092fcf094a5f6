# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""The layers' work along pairs in the backward pass: derivatives, from what a slot keeps of the
forward pass (`mcegnn.compiled._edges_forward`)."""

from mcegnn.compiled._harmonics_backward import (
    grad_all_harmonics,
)
from mcegnn.compiled._kernel import kernel, kernel_part
from mcegnn.compiled._matmul import product
from mcegnn.compiled._pointers import moved, number
from mcegnn.compiled._simd import (
    count,
    filled,
    fma,
    load,
    spread,
    store,
    store_first,
    total,
)
from mcegnn.compiled._simd_math import add, increase
from mcegnn.compiled._workspace import BLOCK


@kernel
def grad_gates(first, m, degree, channels, K, node, pairs, x, by_x, Y, stride, by_gates, E2):
    """Derivatives by the gates of one degree."""
    sign = filled(x, 1.0 if degree % 2 else -1.0)
    for e in range(m):
        a, b = node * number(pairs, 2 * e), node * number(pairs, 2 * e + 1)
        i, j, di, dj = moved(x, a), moved(x, b), moved(by_x, a), moved(by_x, b)
        here, there = moved(by_gates, E2 * e), moved(by_gates, E2 * (m + e))
        for k in range(0, channels, count(x)):
            mine = its = mix = its_mix = filled(x, 0.0)
            for c in range(2 * degree + 3):
                u, q = spread(Y, stride * e + c), K * c + k
                at_i, at_j = load(di, q), load(dj, q)
                mine, its = fma(at_i, u, mine), fma(at_j, u, its)
                if not first:
                    mix, its_mix = fma(at_i, load(j, q), mix), fma(at_j, load(i, q), its_mix)
            store_first(here, k, mine, channels - k)
            store_first(there, k, its * sign, channels - k)
            if not first:
                store_first(here, channels + k, mix, channels - k)
                store_first(there, channels + k, its_mix, channels - k)


@kernel
def grad_messages(m, F, pairs, by_messages, ends, stride, by_distance, by_stride, s, slope, z):
    """From derivatives by messages through the gates, in ``z``, those by z, and by the distance
    through the envelope."""
    for e in range(m):
        i, j = (
            moved(by_messages, F * number(pairs, 2 * e)),
            moved(by_messages, F * number(pairs, 2 * e + 1)),
        )
        sum_ = filled(z, 0.0)
        for q in range(0, F, count(z)):
            here, there = F * e + q, F * (m + e) + q
            mine, its = load(z, here) + load(i, q), load(z, there) + load(j, q)
            sum_ = fma(mine, load(s, here), fma(its, load(s, there), sum_))
            store(z, here, mine * load(slope, here))
            store(z, there, its * load(slope, there))
        increase(by_distance, by_stride * e, total(sum_) * number(ends, stride * e + 1))


@kernel
def grad_hidden(first, m, F, pairs, z, slope, sums, width, even, odd):
    """From derivatives by silu(z) those by what receivers and senders said, added to nodes, and by
    the even and the odd part."""
    for e in range(m):
        i, j = (
            moved(sums, width * number(pairs, 2 * e)),
            moved(sums, width * number(pairs, 2 * e + 1)),
        )
        for q in range(0, F, count(z)):
            here, there = F * e + q, F * (m + e) + q
            mine, its = load(z, here) * load(slope, here), load(z, there) * load(slope, there)
            store(even, here, mine + its)
            if not first:
                store(odd, here, mine - its)
                add(i, q, mine)
                add(i, F + q, its)
                add(j, q, its)
                add(j, F + q, mine)


@kernel
def grad_radial(m, B, basis, by_distance, by_stride, by_basis):
    """Derivatives by distances from those by radial functions."""
    for e in range(m):
        sum_ = filled(basis, 0.0)
        for k in range(0, B, count(basis)):
            sum_ = fma(load(by_basis, B * e + k), load(basis, 2 * B * e + B + k), sum_)
        increase(by_distance, by_stride * e, total(sum_))


@kernel
def grad_all_gates(layer, m, N, workspace, pairs, geometry, by_gates):
    """Derivatives by all gates."""
    stride, x, by_x = N.components + 2, moved(workspace.x, layer * N.nodes * N.W), workspace.by_x
    for degree in range(N.degrees):
        k, K, node = N.channels[degree], N.K[degree], (2 * degree + 3) * N.K[degree]
        grad_gates(
            layer == 0,
            m,
            degree,
            k,
            K,
            node,
            pairs,
            x,
            by_x,
            moved(geometry, degree * (degree + 2)),
            stride,
            by_gates,
            N.E2,
        )
        x, by_x = moved(x, N.nodes * node), moved(by_x, N.nodes * node)
        by_gates = moved(by_gates, 2 * k if layer > 0 else k)


@kernel_part
def edges_backward(layer, first, m, w, N, workspace, slot, scratch, sums):
    """The same block's derivatives, given those by the layer's messages and channels."""
    F, B, E, E2, stride, width = N.F, N.B, N.E, N.E2, N.components + 2, 2 * N.F + N.W
    slope1, s, slope2, gates = (
        slot,
        moved(slot, 2 * BLOCK * F),
        moved(slot, 4 * BLOCK * F),
        moved(slot, 6 * BLOCK * F),
    )
    one, two, even, odd = (
        scratch,
        moved(scratch, 2 * BLOCK * F),
        moved(scratch, 4 * BLOCK * F),
        moved(scratch, 5 * BLOCK * F),
    )
    mixed, turned = moved(scratch, 6 * BLOCK * F), moved(scratch, BLOCK * (6 * F + E2))
    by_gates, by_basis = (
        moved(scratch, BLOCK * (6 * F + E2 + E)),
        moved(scratch, BLOCK * (6 * F + 3 * E2 + E)),
    )
    pairs, geometry = moved(workspace.pairs, 2 * first), moved(workspace.geometry, stride * first)
    gradient, ends = moved(workspace.gradient, (stride - 1) * first), moved(geometry, N.components)
    by_distance = moved(gradient, N.components)
    channels = N.channels[0] + N.channels[1] + N.channels[2]
    grad_all_gates(layer, m, N, workspace, pairs, geometry, by_gates)
    depth = 2 * channels if layer > 0 else channels
    product(
        2 * m, depth, F, by_gates, E2, moved(w.gates_back, layer * E2 * F), F, w.zeros, 0, two, F
    )
    grad_messages(
        m, F, pairs, workspace.by_messages, ends, stride, by_distance, stride - 1, s, slope2, two
    )
    product(2 * m, F, F, two, F, moved(w.message_back, layer * F * F), F, w.zeros, 0, one, F)
    grad_hidden(layer == 0, m, F, pairs, one, slope1, sums, width, even, odd)
    product(m, F, B, even, F, moved(w.near_back, layer * F * B), B, w.zeros, 0, by_basis, B)
    grad_radial(m, B, moved(workspace.basis, 2 * B * first), by_distance, stride - 1, by_basis)
    if layer > 0:
        product(m, F, E2, even, F, moved(w.even_back, layer * F * E2), E2, w.zeros, 0, mixed, E2)
        product(m, F, E, odd, F, moved(w.odd_back, layer * F * E), E, w.zeros, 0, turned, E)
    grad_all_harmonics(
        layer, m, N, workspace, pairs, geometry, gradient, gates, mixed, turned, sums
    )
