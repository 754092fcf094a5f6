# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""The phases of a network that passes messages, each of a layer and a part: those of pairs, those
of nodes, and what comes before the first layer."""

import math

from mcegnn.compiled._edges_backward import edges_backward
from mcegnn.compiled._edges_forward import activations, edges_forward
from mcegnn.compiled._functions import envelope, harmonics
from mcegnn.compiled._kernel import kernel, kernel_part
from mcegnn.compiled._nodes_backward import grad_update
from mcegnn.compiled._nodes_forward import atomic_energies, embed, update_nodes
from mcegnn.compiled._pointers import moved, number, put
from mcegnn.compiled._simd import count, filled, fma, load, store
from mcegnn.compiled._simd_math import circular
from mcegnn.compiled._workspace import BLOCK, NODES


@kernel_part
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
def blocks_of_nodes(part, N):
    """The first and the last block of a part."""
    blocks = (N.nodes + NODES - 1) // NODES
    return blocks * part // N.parts, blocks * (part + 1) // N.parts


@kernel
def probe(layer, part, w, N, workspace):
    """Nothing: it is compiled first, and tells at once whether there is code on disk."""


@kernel
def prepare(layer, part, w, N, workspace):
    """A part's pairs and nodes before the first layer."""
    m = number(workspace.counts, 0)
    expand(m * part // N.parts, m * (part + 1) // N.parts, w, N, workspace)
    begin, end = blocks_of_nodes(part, N)
    for block in range(begin, end):
        embed(block * NODES, min((block + 1) * NODES, N.nodes), w, N, workspace)


@kernel
def room_of_pairs(part, N, workspace):
    """Sums, scratch and the spare slot of a part, and where it marks the nodes that it adds to."""
    scratch = moved(workspace.scratch, part * N.scratch)
    return (
        moved(workspace.sums, part * N.nodes * (2 * N.F + N.W)),
        scratch,
        moved(scratch, N.scratch - slot_size(N)),
        moved(workspace.touched, part * ((N.nodes + NODES - 1) // NODES)),
    )


@kernel
def slot_size(N):
    """Numbers that a block of pairs keeps for the backward pass."""
    return 2 * BLOCK * (3 * N.F + N.E2)


@kernel
def blocks_of_pairs(part, N, workspace):
    """The first and the last block of a part."""
    blocks = (number(workspace.counts, 0) + BLOCK - 1) // BLOCK
    return blocks * part // N.parts, blocks * (part + 1) // N.parts


@kernel
def begin_pairs(block, layer, N, workspace, spare, touched):
    """The first pair of a block, how many it has, and its slot, which is the spare one where it is
    not kept; their nodes are marked."""
    first = block * BLOCK
    m = min(BLOCK, number(workspace.counts, 0) - first)
    for e in range(2 * first, 2 * (first + m)):
        put(touched, number(workspace.pairs, e) // NODES, 1)
    if block < N.kept:
        return first, m, moved(workspace.kept, (block * N.layers + layer) * slot_size(N))
    return first, m, spare


@kernel
def forward_pairs(layer, part, w, N, workspace):
    """Messages of a part's pairs."""
    sums, scratch, spare, touched = room_of_pairs(part, N, workspace)
    begin, end = blocks_of_pairs(part, N, workspace)
    for block in range(begin, end):
        first, m, slot = begin_pairs(block, layer, N, workspace, spare, touched)
        edges_forward(layer, first, m, w, N, workspace, slot, scratch, sums)


@kernel
def backward_pairs(layer, part, w, N, workspace):
    """Derivatives by what a part's pairs have said, which is said again where it was not kept."""
    sums, scratch, spare, touched = room_of_pairs(part, N, workspace)
    begin, end = blocks_of_pairs(part, N, workspace)
    for block in range(begin, end):
        first, m, slot = begin_pairs(block, layer, N, workspace, spare, touched)
        if block >= N.kept:
            activations(layer, first, m, w, N, workspace, slot, scratch)
        edges_backward(layer, first, m, w, N, workspace, slot, scratch, sums)


@kernel
def forward_nodes(layer, part, w, N, workspace):
    """A part's nodes take up messages; after the last layer they have energies."""
    scratch = moved(workspace.scratch, part * N.scratch)
    begin, end = blocks_of_nodes(part, N)
    for block in range(begin, end):
        first, last = block * NODES, min((block + 1) * NODES, N.nodes)
        update_nodes(layer, first, last, w, N, workspace, scratch)
        if layer == N.layers - 1:
            atomic_energies(first, last, w, N, workspace, scratch)


@kernel
def backward_nodes(layer, part, w, N, workspace):
    """Derivatives by what a part's nodes have taken up."""
    scratch = moved(workspace.scratch, part * N.scratch)
    begin, end = blocks_of_nodes(part, N)
    for block in range(begin, end):
        first, last = block * NODES, min((block + 1) * NODES, N.nodes)
        grad_update(layer, first, last, w, N, workspace, scratch)
