# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""What happens at nodes in the forward pass: messages are gathered, channels multiplied, features
updated, energies made.

Nodes are worked upon in blocks; what the parts' pairs have added to them is summed in the parts'
order, and cleared for the next time.
"""

from mcegnn.compiled._couplings import couple_nodes
from mcegnn.compiled._kernel import kernel, kernel_part
from mcegnn.compiled._matmul import product
from mcegnn.compiled._pointers import moved, number, put
from mcegnn.compiled._simd import (
    count,
    load,
    store,
    total,
)
from mcegnn.compiled._simd_math import add, clear, copy, increase, silu
from mcegnn.compiled._workspace import NODES


@kernel
def gather_sums(node, from_, size, N, workspace, out):
    """out [size] += the parts' sums of a node from a place on, which are cleared."""
    width, blocks = 2 * N.F + N.W, (N.nodes + NODES - 1) // NODES
    for part in range(N.parts):
        if number(workspace.touched, part * blocks + node // NODES):
            sums = moved(workspace.sums, (part * N.nodes + node) * width + from_)
            for k in range(0, size, count(out)):
                add(out, k, load(sums, k))
            clear(sums, size)


@kernel
def gather_channel_sums(first, last, N, workspace, x):
    """x += the parts' sums of channels of a block of nodes."""
    from_ = 2 * N.F
    for degree in range(N.degrees):
        size = (2 * degree + 3) * N.K[degree]
        for node in range(first, last):
            gather_sums(node, from_, size, N, workspace, moved(x, node * size))
        from_, x = from_ + size, moved(x, N.nodes * size)


@kernel
def clear_touched(first, N, workspace):
    """All has been collected."""
    for part in range(N.parts):
        put(workspace.touched, part * ((N.nodes + NODES - 1) // NODES) + first // NODES, 0)


@kernel_part
def embed(first, last, w, N, workspace):
    """Features and what is said of a block of nodes in the first layer: both depend on the species
    alone."""
    F = N.F
    for node in range(first, last):
        copy(
            moved(w.embedding, number(workspace.species_index, node) * F),
            F,
            moved(workspace.h, node * F),
        )
        copy(
            moved(w.first, number(workspace.species_index, node) * 2 * F),
            2 * F,
            moved(workspace.sides, node * 2 * F),
        )


@kernel
def products_at(layer, degree, N):
    """Where the matrices P and Q of a degree begin."""
    before = size = 0
    for lower in range(N.degrees):
        if lower == degree:
            before = size
        size += 2 * N.K[lower] * N.K[lower]
    return layer * size + before


@kernel
def channel_products(layer, first, m, w, N, workspace, inputs, width):
    """<P X, Q X> of a block of nodes, by channel, behind the messages in its inputs."""
    x, factors = (
        moved(workspace.x, (layer + 1) * N.nodes * N.W),
        moved(workspace.factors, layer * 2 * N.nodes * N.W),
    )
    to = 2 * N.F
    for degree in range(N.degrees):
        parts, K = 2 * degree + 3, N.K[degree]
        here, found = moved(x, first * parts * K), moved(factors, 2 * first * parts * K)
        product(
            parts * m,
            K,
            2 * K,
            here,
            K,
            moved(w.products, products_at(layer, degree, N)),
            2 * K,
            w.zeros,
            0,
            found,
            2 * K,
        )
        for node in range(m):
            clear(moved(inputs, node * width + to), K)
            for row in range(parts * node, parts * (node + 1)):
                for k in range(0, K, count(x)):
                    add(
                        inputs,
                        node * width + to + k,
                        load(found, 2 * K * row + k) * load(found, 2 * K * row + K + k),
                    )
        x, factors, to = (
            moved(x, N.nodes * parts * K),
            moved(factors, 2 * N.nodes * parts * K),
            to + K,
        )


@kernel_part
def update_nodes(layer, first, last, w, N, workspace, scratch):
    """A block of nodes after their messages: channels, products and features, and what they send in
    the next layer."""
    F, m, n, width = N.F, last - first, N.nodes, N.n_inputs
    inputs, z, value = scratch, moved(scratch, NODES * width), moved(scratch, NODES * (width + F))
    h, x = moved(workspace.h, first * F), moved(workspace.x, (layer + 1) * n * N.W)
    before = moved(workspace.x, layer * n * N.W)
    offset = 0
    for degree in range(N.degrees):
        size = (2 * degree + 3) * N.K[degree]
        copy(moved(before, offset + first * size), m * size, moved(x, offset + first * size))
        offset += n * size
    for node in range(m):
        copy(moved(h, node * F), F, moved(inputs, node * width))
        clear(moved(inputs, node * width + F), F)
        gather_sums(first + node, 0, F, N, workspace, moved(inputs, node * width + F))
    gather_channel_sums(first, last, N, workspace, x)
    clear_touched(first, N, workspace)
    channel_products(layer, first, m, w, N, workspace, inputs, width)
    if N.C:
        more = moved(scratch, NODES * (width + 2 * F))
        couple_nodes(
            layer, first, m, w, N, workspace, inputs, more, moved(more, NODES * N.components * N.C)
        )
    product(
        m,
        width,
        F,
        inputs,
        width,
        moved(w.update, layer * width * F),
        F,
        moved(w.update_bias, layer * F),
        0,
        z,
        F,
    )
    slopes = moved(workspace.slopes, (layer * n + first) * F)
    for k in range(0, m * F, count(h)):
        y, d = silu(load(z, k))
        store(value, k, y)
        store(slopes, k, d)
    product(
        m,
        F,
        F,
        value,
        F,
        moved(w.output, layer * F * F),
        F,
        moved(w.output_bias, layer * F),
        0,
        z,
        F,
    )
    for k in range(0, m * F, count(h)):
        add(h, k, load(z, k))
    if layer + 1 < N.layers:
        sides, bias = (
            moved(w.sides, (layer + 1) * 2 * F * F),
            moved(w.sides_bias, (layer + 1) * 2 * F),
        )
        product(
            m,
            F,
            2 * F,
            h,
            F,
            sides,
            2 * F,
            bias,
            0,
            moved(workspace.sides, ((layer + 1) * n + first) * 2 * F),
            2 * F,
        )


@kernel_part
def atomic_energies(first, last, w, N, workspace, scratch):
    """Energies of a block of nodes, and derivatives by what the last layer made of them."""
    F, m = N.F, last - first
    h, z = moved(workspace.h, first * F), scratch
    product(m, F, F, h, F, w.readout, F, w.readout_bias, 0, z, F)
    for node in range(m):
        energy = 0.0
        for k in range(0, F, count(h)):
            y, d = silu(load(z, node * F + k))
            share = load(w.energy, k)
            energy += total(y * share)
            store(z, node * F + k, d * share)
        increase(workspace.energies, first + node, energy)
    product(m, F, F, z, F, w.readout_back, F, w.zeros, 0, moved(workspace.by_h, first * F), F)
    offset = 0
    for degree in range(N.degrees):
        size = (2 * degree + 3) * N.K[degree]
        clear(moved(workspace.by_x, offset + first * size), m * size)
        offset += N.nodes * size
