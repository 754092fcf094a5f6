# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""The layers' work at nodes, forth and back, and the energies.

Nodes are worked upon in blocks; what the parts' pairs have added to them is summed in the parts'
order, and cleared for the next time.
"""

from functools import partial

from systems.kernel import jit
from systems.messages._couplings import couple_nodes, uncouple_nodes
from systems.messages._lane_math import add, clear, copy, increase, silu
from systems.messages._lanes import count, load, moved, number, put, store, total
from systems.messages._room import NODES
from systems.messages._tiles import product

kernel = partial(jit, reorder=False)


@kernel
def collect(node, from_, size, N, room, out):
    """out [size] += the parts' sums of a node from a place on, which are cleared."""
    width, blocks = 2 * N.F + N.W, (N.nodes + NODES - 1) // NODES
    for part in range(N.parts):
        if number(room.touched, part * blocks + node // NODES):
            sums = moved(room.sums, (part * N.nodes + node) * width + from_)
            for k in range(0, size, count(out)):
                add(out, k, load(sums, k))
            clear(sums, size)


@kernel
def collect_channels(first, last, N, room, x):
    """x += the parts' sums of channels of a block of nodes."""
    from_ = 2 * N.F
    for degree in range(N.degrees):
        size = (2 * degree + 3) * N.K[degree]
        for node in range(first, last):
            collect(node, from_, size, N, room, moved(x, node * size))
        from_, x = from_ + size, moved(x, N.nodes * size)


@kernel
def forget(first, N, room):
    """All has been collected."""
    for part in range(N.parts):
        put(room.touched, part * ((N.nodes + NODES - 1) // NODES) + first // NODES, 0)


@kernel
def enter(first, last, w, N, room):
    """Features and what is said of a block of nodes in the first layer: both depend on the species
    alone."""
    F = N.F
    for node in range(first, last):
        copy(moved(w.embedding, number(room.kinds, node) * F), F, moved(room.h, node * F))
        copy(
            moved(w.first, number(room.kinds, node) * 2 * F), 2 * F, moved(room.sides, node * 2 * F)
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
def combine(layer, first, m, w, N, room, heard, width):
    """<P X, Q X> of a block of nodes, by channel, behind the messages in what it heard."""
    x, factors = (
        moved(room.x, (layer + 1) * N.nodes * N.W),
        moved(room.factors, layer * 2 * N.nodes * N.W),
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
            clear(moved(heard, node * width + to), K)
            for row in range(parts * node, parts * (node + 1)):
                for k in range(0, K, count(x)):
                    add(
                        heard,
                        node * width + to + k,
                        load(found, 2 * K * row + k) * load(found, 2 * K * row + K + k),
                    )
        x, factors, to = (
            moved(x, N.nodes * parts * K),
            moved(factors, 2 * N.nodes * parts * K),
            to + K,
        )


@kernel
def settle(layer, first, last, w, N, room, scratch):
    """A block of nodes after they have heard: channels, products and features, and what they say in
    the next layer."""
    F, m, n, width = N.F, last - first, N.nodes, N.heard
    heard, z, value = scratch, moved(scratch, NODES * width), moved(scratch, NODES * (width + F))
    h, x = moved(room.h, first * F), moved(room.x, (layer + 1) * n * N.W)
    before = moved(room.x, layer * n * N.W)
    offset = 0
    for degree in range(N.degrees):
        size = (2 * degree + 3) * N.K[degree]
        copy(moved(before, offset + first * size), m * size, moved(x, offset + first * size))
        offset += n * size
    for node in range(m):
        copy(moved(h, node * F), F, moved(heard, node * width))
        clear(moved(heard, node * width + F), F)
        collect(first + node, 0, F, N, room, moved(heard, node * width + F))
    collect_channels(first, last, N, room, x)
    forget(first, N, room)
    combine(layer, first, m, w, N, room, heard, width)
    if N.C:
        more = moved(scratch, NODES * (width + 2 * F))
        couple_nodes(
            layer, first, m, w, N, room, heard, more, moved(more, NODES * N.components * N.C)
        )
    product(
        m,
        width,
        F,
        heard,
        width,
        moved(w.update, layer * width * F),
        F,
        moved(w.update_bias, layer * F),
        0,
        z,
        F,
    )
    slopes = moved(room.slopes, (layer * n + first) * F)
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
            moved(room.sides, ((layer + 1) * n + first) * 2 * F),
            2 * F,
        )


@kernel
def conclude(first, last, w, N, room, scratch):
    """Energies of a block of nodes, and derivatives by what the last layer made of them."""
    F, m = N.F, last - first
    h, z = moved(room.h, first * F), scratch
    product(m, F, F, h, F, w.readout, F, w.readout_bias, 0, z, F)
    for node in range(m):
        energy = 0.0
        for k in range(0, F, count(h)):
            y, d = silu(load(z, node * F + k))
            share = load(w.energy, k)
            energy += total(y * share)
            store(z, node * F + k, d * share)
        increase(room.energies, first + node, energy)
    product(m, F, F, z, F, w.readout_back, F, w.zeros, 0, moved(room.by_h, first * F), F)
    offset = 0
    for degree in range(N.degrees):
        size = (2 * degree + 3) * N.K[degree]
        clear(moved(room.by_x, offset + first * size), m * size)
        offset += N.nodes * size


@kernel
def uncombine(layer, first, m, w, N, room, by_heard, width, scratch):
    """Add what comes back through products and couplings to the derivatives by channels of a block
    of nodes."""
    by_x, by_factors = room.by_x, scratch
    factors, to = moved(room.factors, layer * 2 * N.nodes * N.W), 2 * N.F
    for degree in range(N.degrees):
        parts, K = 2 * degree + 3, N.K[degree]
        found = moved(factors, 2 * first * parts * K)
        for row in range(parts * m):
            at = row // parts * width + to
            for k in range(0, K, count(by_x)):
                share = load(by_heard, at + k)
                store(by_factors, 2 * K * row + k, share * load(found, 2 * K * row + K + k))
                store(by_factors, 2 * K * row + K + k, share * load(found, 2 * K * row + k))
        factors, to = moved(factors, 2 * N.nodes * parts * K), to + K
        by_factors = moved(by_factors, 2 * NODES * parts * K)
    if N.C:
        more = moved(scratch, 2 * NODES * N.W)
        uncouple_nodes(
            layer,
            first,
            m,
            w,
            N,
            room,
            by_heard,
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


@kernel
def unsettle(layer, first, last, w, N, room, scratch):
    """Derivatives by what a block of nodes heard in a layer, given those by what became of them."""
    F, m, n, width = N.F, last - first, N.nodes, N.heard
    by_heard, z, by_factors = (
        scratch,
        moved(scratch, NODES * width),
        moved(scratch, NODES * (width + 2 * F)),
    )
    by_h = moved(room.by_h, first * F)
    if layer + 1 < N.layers:
        clear(z, m * 2 * F)
        for node in range(m):
            collect(first + node, 0, 2 * F, N, room, moved(z, node * 2 * F))
        collect_channels(first, last, N, room, room.by_x)
        forget(first, N, room)
        product(
            m, 2 * F, F, z, 2 * F, moved(w.sides_back, (layer + 1) * 2 * F * F), F, by_h, F, by_h, F
        )
    product(m, F, F, by_h, F, moved(w.output_back, layer * F * F), F, w.zeros, 0, z, F)
    slopes = moved(room.slopes, (layer * n + first) * F)
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
        by_heard,
        width,
    )
    for node in range(m):
        here = moved(by_heard, node * width)
        copy(moved(here, F), F, moved(room.by_messages, (first + node) * F))
        for k in range(0, F, count(by_h)):
            add(by_h, node * F + k, load(here, k))
    uncombine(layer, first, m, w, N, room, by_heard, width, by_factors)
