# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""Channels of a node coupled with each other, forward and backward: Z = couple(P X, Q X), <P X, Z>,
and X + S Z (`mcegnn.compiled.weights`).

Z lies degree by degree as channels do, [nodes of a block, 2 l + 3, C] each. Beyond the channels
that are coupled, what is read of P X and Q X may be anything: there S and the update's weights are
zero, and so are derivatives.
"""

from mcegnn.compiled._kernel import kernel
from mcegnn.compiled._matmul import product
from mcegnn.compiled._pointers import moved, number
from mcegnn.compiled._simd import count, filled, fma, load, spread, store
from mcegnn.compiled._simd_math import add, clear, copy
from mcegnn.compiled._workspace import NODES


@kernel
def gather(node, N, factors, left, right):
    """Components of P X and Q X of a node [Y, C], one degree after the other."""
    row = 0
    for degree in range(N.degrees):
        K = N.K[degree]
        for part in range(2 * degree + 3):
            here = moved(factors, 2 * K * ((2 * degree + 3) * node + part))
            copy(here, N.C, moved(left, row * N.C))
            copy(moved(here, K), N.C, moved(right, row * N.C))
            row += 1
        factors = moved(factors, 2 * N.nodes * (2 * degree + 3) * K)


@kernel
def couple(w, N, left, right, z):
    """z [Y, C] of left and right."""
    C = N.C
    for k in range(0, C, count(z)):
        for c in range(N.components):
            made = filled(z, 0.0)
            for t in range(number(w.begins, c), number(w.begins, c + 1)):
                a, b = number(w.factors, 2 * t), number(w.factors, 2 * t + 1)
                made = fma(
                    spread(w.strengths, t) * load(left, C * a + k), load(right, C * b + k), made
                )
            store(z, C * c + k, made)


@kernel
def grad_couple(w, N, left, right, by_z, by_left, by_right):
    """Add derivatives by left and right [Y, C] to what there is."""
    C = N.C
    for k in range(0, C, count(by_z)):
        for c in range(N.components):
            by = load(by_z, C * c + k)
            for t in range(number(w.begins, c), number(w.begins, c + 1)):
                a, b = C * number(w.factors, 2 * t) + k, C * number(w.factors, 2 * t + 1) + k
                share = spread(w.strengths, t) * by
                add(by_left, a, share * load(right, b))
                add(by_right, b, share * load(left, a))


@kernel
def coupling_at(layer, degree, N):
    """Where S of a degree begins."""
    before = size = 0
    for lower in range(N.degrees):
        if lower == degree:
            before = size
        size += N.C * N.K[lower]
    return layer * size + before


@kernel
def couple_nodes(layer, first, m, w, N, workspace, inputs, z, spare):
    """<P X, Z> of a block of nodes to the very end of their inputs, and S Z added to their
    channels, given P X and Q X."""
    C, parts = N.C, N.components
    left, right, own = spare, moved(spare, parts * C), moved(spare, 2 * parts * C)
    factors = moved(workspace.factors, layer * 2 * N.nodes * N.W)
    for node in range(m):
        gather(first + node, N, factors, left, right)
        couple(w, N, left, right, own)
        to = moved(inputs, (node + 1) * N.n_inputs - N.degrees * C)
        clear(to, N.degrees * C)
        row = 0
        for degree in range(N.degrees):
            rows = 2 * degree + 3
            copy(moved(own, row * C), rows * C, moved(z, (row * NODES + rows * node) * C))
            for part in range(row, row + rows):
                for k in range(0, C, count(z)):
                    add(to, degree * C + k, load(left, part * C + k) * load(own, part * C + k))
            row += rows
    if layer + 1 < N.layers:
        row, x = 0, moved(workspace.x, (layer + 1) * N.nodes * N.W)
        for degree in range(N.degrees):
            rows, K = 2 * degree + 3, N.K[degree]
            here, S = moved(x, first * rows * K), moved(w.coupled, coupling_at(layer, degree, N))
            product(rows * m, C, K, moved(z, row * NODES * C), C, S, K, here, K, here, K)
            row, x = row + rows, moved(x, N.nodes * rows * K)


@kernel
def grad_couple_nodes(layer, first, m, w, N, workspace, by_inputs, by_factors, by_z, spare):
    """Add the gradient through Z to the derivatives by P X and Q X of a block of nodes, [nodes
    of a block, 2 l + 3, 2 K_l] by degree."""
    C, parts = N.C, N.components
    left, right, own = spare, moved(spare, parts * C), moved(spare, 2 * parts * C)
    by_left, by_right, by_own = (
        moved(spare, 3 * parts * C),
        moved(spare, 4 * parts * C),
        moved(spare, 5 * parts * C),
    )
    factors = moved(workspace.factors, layer * 2 * N.nodes * N.W)
    grad_mixed(layer, first, m, w, N, workspace, by_z)
    for node in range(m):
        gather(first + node, N, factors, left, right)
        couple(w, N, left, right, own)
        clear(by_left, 2 * parts * C)
        from_ = moved(by_inputs, (node + 1) * N.n_inputs - N.degrees * C)
        row = 0
        for degree in range(N.degrees):
            rows = 2 * degree + 3
            copy(moved(by_z, (row * NODES + rows * node) * C), rows * C, moved(by_own, row * C))
            for part in range(row, row + rows):
                for k in range(0, C, count(own)):
                    share = load(from_, degree * C + k)
                    add(by_left, part * C + k, share * load(own, part * C + k))
                    add(by_own, part * C + k, share * load(left, part * C + k))
            row += rows
        grad_couple(w, N, left, right, by_own, by_left, by_right)
        scatter(node, N, by_left, by_right, by_factors)


@kernel
def grad_mixed(layer, first, m, w, N, workspace, by_z):
    """Derivatives by Z of a block of nodes, from those by the channels that it was added to."""
    C, row, by_x = N.C, 0, workspace.by_x
    if layer + 1 == N.layers:
        clear(by_z, NODES * N.components * C)
        return
    for degree in range(N.degrees):
        rows, K = 2 * degree + 3, N.K[degree]
        back = moved(w.coupled_back, coupling_at(layer, degree, N))
        product(
            rows * m,
            K,
            C,
            moved(by_x, first * rows * K),
            K,
            back,
            C,
            w.zeros,
            0,
            moved(by_z, row * NODES * C),
            C,
        )
        row, by_x = row + rows, moved(by_x, N.nodes * rows * K)


@kernel
def scatter(node, N, by_left, by_right, by_factors):
    """Add derivatives by P X and Q X of a node [Y, C] to those of its block."""
    row = 0
    for degree in range(N.degrees):
        K, rows = N.K[degree], 2 * degree + 3
        for part in range(rows):
            here = moved(by_factors, 2 * K * (rows * node + part))
            for k in range(0, N.C, count(by_left)):
                add(here, k, load(by_left, row * N.C + k))
                add(here, K + k, load(by_right, row * N.C + k))
            row += 1
        by_factors = moved(by_factors, 2 * NODES * rows * K)
