# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""What pairs add to the nodes at their ends."""

from mcegnn.compiled._kernel import kernel
from mcegnn.compiled._pointers import moved, number
from mcegnn.compiled._simd import (
    count,
    filled,
    fma,
    load,
    load_first,
    spread,
)
from mcegnn.compiled._simd_math import add


@kernel
def scatter_messages(m, F, pairs, message, sums, width):
    """Add messages to the nodes that receive them."""
    for e in range(m):
        to_i, to_j = (
            moved(sums, width * number(pairs, 2 * e)),
            moved(sums, width * number(pairs, 2 * e + 1)),
        )
        for q in range(0, F, count(message)):
            add(to_i, q, load(message, F * e + q))
            add(to_j, q, load(message, F * (m + e) + q))


@kernel
def scatter_channels(
    first, m, degree, channels, K, node, pairs, x, Y, stride, gates, E2, sums, width
):
    """Add V m Y + G m X of one degree to nodes; in the first layer V m Y."""
    sign = filled(x, 1.0 if degree % 2 else -1.0)
    for e in range(m):
        a, b = number(pairs, 2 * e), number(pairs, 2 * e + 1)
        i, j, to_i, to_j = (
            moved(x, node * a),
            moved(x, node * b),
            moved(sums, width * a),
            moved(sums, width * b),
        )
        here, there = moved(gates, E2 * e), moved(gates, E2 * (m + e))
        for k in range(0, channels, count(x)):
            left = channels - k
            mine, its = load_first(here, k, left), load_first(there, k, left) * sign
            if first:
                for c in range(2 * degree + 3):
                    u = spread(Y, stride * e + c)
                    add(to_i, K * c + k, mine * u)
                    add(to_j, K * c + k, its * u)
            else:
                mix, its_mix = (
                    load_first(here, channels + k, left),
                    load_first(there, channels + k, left),
                )
                for c in range(2 * degree + 3):
                    u, q = spread(Y, stride * e + c), K * c + k
                    add(to_i, q, fma(mine, u, mix * load(j, q)))
                    add(to_j, q, fma(its, u, its_mix * load(i, q)))
