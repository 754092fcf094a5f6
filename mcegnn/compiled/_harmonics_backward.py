# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""Derivatives by the harmonics of pairs, and by the channels that they were multiplied with."""

from mcegnn.compiled._kernel import kernel
from mcegnn.compiled._pointers import moved, number
from mcegnn.compiled._simd import (
    count,
    filled,
    fma,
    load,
    load_first,
    spread,
    total,
)
from mcegnn.compiled._simd_math import add, increase


@kernel
def grad_harmonics_first(m, degree, channels, K, node, pairs, by_x, by_Y, by_stride, gates, E2):
    """Derivatives by the harmonics of one degree, in the first layer."""
    sign = filled(by_x, 1.0 if degree % 2 else -1.0)
    for e in range(m):
        di, dj = (
            moved(by_x, node * number(pairs, 2 * e)),
            moved(by_x, node * number(pairs, 2 * e + 1)),
        )
        for c in range(2 * degree + 3):
            sum_ = filled(by_x, 0.0)
            for k in range(0, channels, count(by_x)):
                left = channels - k
                mine, its = (
                    load_first(gates, E2 * e + k, left),
                    load_first(gates, E2 * (m + e) + k, left) * sign,
                )
                sum_ = fma(mine, load(di, K * c + k), fma(its, load(dj, K * c + k), sum_))
            increase(by_Y, by_stride * e + c, total(sum_))


@kernel
def grad_harmonics(
    m,
    degree,
    channels,
    K,
    node,
    pairs,
    x,
    by_x,
    Y,
    stride,
    by_Y,
    by_stride,
    gates,
    E2,
    mixed,
    odd,
    E,
    sums,
    width,
):
    """Derivatives by the harmonics of one degree, and by channels, which are added to nodes."""
    sign = filled(x, 1.0 if degree % 2 else -1.0)
    for e in range(m):
        a, b = number(pairs, 2 * e), number(pairs, 2 * e + 1)
        i, j, di, dj = (
            moved(x, node * a),
            moved(x, node * b),
            moved(by_x, node * a),
            moved(by_x, node * b),
        )
        to_i, to_j = moved(sums, width * a), moved(sums, width * b)
        here, there = moved(gates, E2 * e), moved(gates, E2 * (m + e))
        for k in range(0, channels, count(x)):
            left = channels - k
            mine, its = load_first(here, k, left), load_first(there, k, left) * sign
            mix, its_mix = (
                load_first(here, channels + k, left),
                load_first(there, channels + k, left),
            )
            inner, sum_ = (
                load_first(mixed, E2 * e + k, left),
                load_first(mixed, E2 * e + channels + k, left),
            )
            difference = load_first(odd, E * e + k, left)
            p, q = sum_ + difference, (sum_ - difference) * sign
            for c in range(2 * degree + 3):
                u, at = spread(Y, stride * e + c), K * c + k
                at_i, at_j, xi, xj = load(di, at), load(dj, at), load(i, at), load(j, at)
                add(to_i, at, fma(p, u, fma(inner, xj, its_mix * at_j)))
                add(to_j, at, fma(q, u, fma(inner, xi, mix * at_i)))
                increase(
                    by_Y,
                    by_stride * e + c,
                    total(fma(p, xi, fma(q, xj, fma(mine, at_i, its * at_j)))),
                )


@kernel
def grad_all_harmonics(layer, m, N, workspace, pairs, geometry, gradient, gates, mixed, odd, sums):
    """Derivatives by all harmonics and channels."""
    stride, x, by_x, to = (
        N.components + 2,
        moved(workspace.x, layer * N.nodes * N.W),
        workspace.by_x,
        moved(sums, 2 * N.F),
    )
    for degree in range(N.degrees):
        k, K, node, by_Y = (
            N.channels[degree],
            N.K[degree],
            (2 * degree + 3) * N.K[degree],
            moved(gradient, degree * (degree + 2)),
        )
        if layer > 0:
            Y, width = moved(geometry, degree * (degree + 2)), 2 * N.F + N.W
            grad_harmonics(
                m,
                degree,
                k,
                K,
                node,
                pairs,
                x,
                by_x,
                Y,
                stride,
                by_Y,
                stride - 1,
                gates,
                N.E2,
                mixed,
                odd,
                N.E,
                to,
                width,
            )
        else:
            grad_harmonics_first(m, degree, k, K, node, pairs, by_x, by_Y, stride - 1, gates, N.E2)
        x, by_x, to = moved(x, N.nodes * node), moved(by_x, N.nodes * node), moved(to, node)
        gates, mixed, odd = (
            moved(gates, 2 * k if layer > 0 else k),
            moved(mixed, 2 * k),
            moved(odd, k),
        )
