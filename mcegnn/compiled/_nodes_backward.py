# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""Derivatives of what happens at nodes (`mcegnn.compiled._nodes_forward`)."""

from mcegnn.compiled._couplings import grad_couple_nodes
from mcegnn.compiled._kernel import kernel, kernel_part
from mcegnn.compiled._matmul import product
from mcegnn.compiled._nodes_forward import (
    clear_touched,
    gather_channel_sums,
    gather_sums,
    products_at,
)
from mcegnn.compiled._pointers import moved
from mcegnn.compiled._simd import (
    count,
    load,
    store,
)
from mcegnn.compiled._simd_math import add, clear, copy
from mcegnn.compiled._workspace import NODES


@kernel
def grad_products(layer, first, m, w, N, workspace, by_inputs, width, scratch):
    """Add the gradients through products and couplings to the derivatives by channels of a block
    of nodes."""
    by_x, by_factors = workspace.by_x, scratch
    factors, to = moved(workspace.factors, layer * 2 * N.nodes * N.W), 2 * N.F
    for degree in range(N.degrees):
        parts, K = 2 * degree + 3, N.K[degree]
        found = moved(factors, 2 * first * parts * K)
        for row in range(parts * m):
            at = row // parts * width + to
            for k in range(0, K, count(by_x)):
                share = load(by_inputs, at + k)
                store(by_factors, 2 * K * row + k, share * load(found, 2 * K * row + K + k))
                store(by_factors, 2 * K * row + K + k, share * load(found, 2 * K * row + k))
        factors, to = moved(factors, 2 * N.nodes * parts * K), to + K
        by_factors = moved(by_factors, 2 * NODES * parts * K)
    if N.C:
        more = moved(scratch, 2 * NODES * N.W)
        grad_couple_nodes(
            layer,
            first,
            m,
            w,
            N,
            workspace,
            by_inputs,
            scratch,
            more,
            moved(more, NODES * N.components * N.C),
        )
    by_factors = scratch
    for degree in range(N.degrees):
        parts, K = 2 * degree + 3, N.K[degree]
        here, back = (
            moved(by_x, first * parts * K),
            moved(w.products_back, products_at(layer, degree, N)),
        )
        product(parts * m, 2 * K, K, by_factors, 2 * K, back, K, here, K, here, K)
        by_x, by_factors = (
            moved(by_x, N.nodes * parts * K),
            moved(by_factors, 2 * NODES * parts * K),
        )


@kernel_part
def grad_update(layer, first, last, w, N, workspace, scratch):
    """Derivatives by the inputs of a block of nodes in a layer, given those by its outputs."""
    F, m, n, width = N.F, last - first, N.nodes, N.n_inputs
    by_inputs, z, by_factors = (
        scratch,
        moved(scratch, NODES * width),
        moved(scratch, NODES * (width + 2 * F)),
    )
    by_h = moved(workspace.by_h, first * F)
    if layer + 1 < N.layers:
        clear(z, m * 2 * F)
        for node in range(m):
            gather_sums(first + node, 0, 2 * F, N, workspace, moved(z, node * 2 * F))
        gather_channel_sums(first, last, N, workspace, workspace.by_x)
        clear_touched(first, N, workspace)
        product(
            m, 2 * F, F, z, 2 * F, moved(w.sides_back, (layer + 1) * 2 * F * F), F, by_h, F, by_h, F
        )
    product(m, F, F, by_h, F, moved(w.output_back, layer * F * F), F, w.zeros, 0, z, F)
    slopes = moved(workspace.slopes, (layer * n + first) * F)
    for k in range(0, m * F, count(by_h)):
        store(z, k, load(z, k) * load(slopes, k))
    product(
        m,
        F,
        width,
        z,
        F,
        moved(w.update_back, layer * width * F),
        width,
        w.zeros,
        0,
        by_inputs,
        width,
    )
    for node in range(m):
        here = moved(by_inputs, node * width)
        copy(moved(here, F), F, moved(workspace.by_messages, (first + node) * F))
        for k in range(0, F, count(by_h)):
            add(by_h, node * F + k, load(here, k))
    grad_products(layer, first, m, w, N, workspace, by_inputs, width, by_factors)
