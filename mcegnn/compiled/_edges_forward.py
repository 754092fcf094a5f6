# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""The layers' work along pairs in the forward pass.

A pair (i, j) with the direction from i to j is one row from its own side (i receives from j) and
one from the other (j receives from i): rows 0 to m - 1 and m to 2m - 1 of a block of m pairs. Seen
from there the harmonics Y of degree l have the sign s = (-1)^l, so both sides share the radial
functions, <X_i, X_j> and <X_i + s X_j, Y>, and <X_i - s X_j, Y> changes its sign. What depends on
them is multiplied once for both sides: z = A h_i + B h_j + even +- odd.

A slot keeps what the backward pass needs: silu'(z) [2m, F], s = silu(z') [2m, F], its slope times
the envelope [2m, F], the gates [2m, 2E].
"""

from mcegnn.compiled._kernel import kernel, kernel_part
from mcegnn.compiled._matmul import product
from mcegnn.compiled._pointers import moved, number
from mcegnn.compiled._scatter import scatter_channels, scatter_messages
from mcegnn.compiled._simd import (
    count,
    filled,
    fma,
    load,
    spread,
    store,
    store_first,
)
from mcegnn.compiled._simd_math import clear, silu
from mcegnn.compiled._workspace import BLOCK


@kernel
def inner_products(
    m, degree, channels, K, node, pairs, x, Y, stride, mixed, mixed_stride, odd, odd_stride
):
    """Of one degree: <X_i, X_j>, <X_i + s X_j, Y>; and <X_i - s X_j, Y>."""
    sign = filled(x, 1.0 if degree % 2 else -1.0)
    for e in range(m):
        i, j = moved(x, node * number(pairs, 2 * e)), moved(x, node * number(pairs, 2 * e + 1))
        both, other = moved(mixed, mixed_stride * e), moved(odd, odd_stride * e)
        for k in range(0, channels, count(x)):
            p = q = inner = filled(x, 0.0)
            for c in range(2 * degree + 3):
                u, mine, its = spread(Y, stride * e + c), load(i, K * c + k), load(j, K * c + k)
                p, q, inner = fma(mine, u, p), fma(its, u, q), fma(mine, its, inner)
            store_first(both, k, inner, channels - k)
            store_first(both, channels + k, fma(sign, q, p), channels - k)
            store_first(other, k, p - sign * q, channels - k)


@kernel
def pair_hidden(m, F, pairs, sides, even, odd, value, slope):
    """silu(A h_i + B h_j + even + odd) and its slope from one side, and with i and j exchanged and
    odd's sign from the other."""
    for e in range(m):
        i, j = (
            moved(sides, 2 * F * number(pairs, 2 * e)),
            moved(sides, 2 * F * number(pairs, 2 * e + 1)),
        )
        here, there = F * e, F * (m + e)
        for q in range(0, F, count(sides)):
            common, other = load(even, here + q), load(odd, here + q)
            y, d = silu(load(i, q) + load(j, F + q) + (common + other))
            store(value, here + q, y)
            store(slope, here + q, d)
            y, d = silu(load(j, q) + load(i, F + q) + (common - other))
            store(value, there + q, y)
            store(slope, there + q, d)


@kernel
def message_of(m, F, ends, stride, z, s, slope, message):
    """m = silu(z) envelope; the slope of it by z."""
    for e in range(m):
        end = spread(ends, stride * e)
        for q in range(0, F, count(z)):
            for here in (F * e + q, F * (m + e) + q):
                y, d = silu(load(z, here))
                store(s, here, y)
                store(slope, here, d * end)
                store(message, here, y * end)


@kernel
def activations(layer, first, m, w, N, workspace, slot, scratch):
    """What a block of pairs has to say in a layer: the slot, and messages [2m, F] at the beginning
    of the scratch."""
    F, B, E, E2, stride = N.F, N.B, N.E, N.E2, N.components + 2
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
    pairs, geometry, x = (
        moved(workspace.pairs, 2 * first),
        moved(workspace.geometry, stride * first),
        moved(workspace.x, layer * N.nodes * N.W),
    )
    product(
        m,
        B,
        F,
        moved(workspace.basis, 2 * B * first),
        2 * B,
        moved(w.near, layer * B * F),
        F,
        w.zeros,
        0,
        even,
        F,
    )
    if layer > 0:  # else there are no channels
        many = 0
        for degree in range(N.degrees):
            k = N.channels[degree]
            both, other = moved(mixed, 2 * many), moved(turned, many)
            inner_products(
                m,
                degree,
                k,
                N.K[degree],
                (2 * degree + 3) * N.K[degree],
                pairs,
                x,
                moved(geometry, degree * (degree + 2)),
                stride,
                both,
                E2,
                other,
                E,
            )
            x, many = moved(x, N.nodes * (2 * degree + 3) * N.K[degree]), many + k
        product(m, 2 * many, F, mixed, E2, moved(w.even, layer * E2 * F), F, even, F, even, F)
        product(m, many, F, turned, E, moved(w.odd, layer * E * F), F, w.zeros, 0, odd, F)
    else:
        clear(odd, m * F)
    pair_hidden(
        m, F, pairs, moved(workspace.sides, layer * N.nodes * 2 * F), even, odd, one, slope1
    )
    product(
        2 * m,
        F,
        F,
        one,
        F,
        moved(w.message, layer * F * F),
        F,
        moved(w.message_bias, layer * F),
        0,
        two,
        F,
    )
    message_of(m, F, moved(geometry, N.components), stride, two, s, slope2, one)
    product(
        2 * m,
        F,
        E2 if layer > 0 else E,
        one,
        F,
        moved(w.gates, layer * F * E2),
        E2,
        w.zeros,
        0,
        gates,
        E2,
    )


@kernel_part
def edges_forward(layer, first, m, w, N, workspace, slot, scratch, sums):
    """A block of pairs of a layer: all that is added to nodes."""
    activations(layer, first, m, w, N, workspace, slot, scratch)
    F, width, stride = N.F, 2 * N.F + N.W, N.components + 2
    pairs, geometry, x = (
        moved(workspace.pairs, 2 * first),
        moved(workspace.geometry, stride * first),
        moved(workspace.x, layer * N.nodes * N.W),
    )
    scatter_messages(m, F, pairs, scratch, sums, width)
    to, gates = moved(sums, 2 * F), moved(slot, 6 * BLOCK * F)
    for degree in range(N.degrees):
        k, K, node = N.channels[degree], N.K[degree], (2 * degree + 3) * N.K[degree]
        scatter_channels(
            layer == 0,
            m,
            degree,
            k,
            K,
            node,
            pairs,
            x,
            moved(geometry, degree * (degree + 2)),
            stride,
            gates,
            N.E2,
            to,
            width,
        )
        x, to, gates = (
            moved(x, N.nodes * node),
            moved(to, node),
            moved(gates, 2 * k if layer > 0 else k),
        )
