"""What the kernels of message passing read and write: weights as stacked matrices, and arrays for
one system that is used again and again.

Arrays are contiguous; T is float32 or float64. F, B and K_l are the numbers of features, of radial
functions, and of channels of degree l + 1, C of those that are coupled, filled up with zeros to
whole lanes; E is the number of all channels, Y that of components of the harmonics, L of layers, D
of degrees, S of species, P of parts. Channels X lie degree by degree, [nodes, 2 l + 3, K_l] each, W
= sum_l (2 l + 3) K_l numbers for each node. What there is of channels along pairs lies close
together, [E] by degree, [2E] as two numbers for each channel of a degree, filled up as a whole.
"""

from typing import NamedTuple

import numpy as np

BLOCK = 24  # pairs whose rows are multiplied at once: what they need stays in the nearest cache
NODES = 24  # nodes, likewise
DEGREES = 3  # at most


class Stacked(NamedTuple):
    """Weights [inputs, outputs] of all layers, and ``*_back`` their transposes; the first layer's
    that it does not have are zero."""

    frequencies: np.ndarray  # [B], over pi
    embedding: np.ndarray  # [S, F]
    first: np.ndarray  # [S, 2F]: what receivers and senders say in the first layer
    sides: np.ndarray  # [L, F, 2F]
    sides_bias: np.ndarray  # [L, 2F]
    sides_back: np.ndarray
    near: np.ndarray  # [L, B, F]: of radial functions
    near_back: np.ndarray
    # [L, 2E, F]: of <X_i, X_j> and of what is the same seen from the other side of <X_i, Y> and
    # <X_j, Y>
    even: np.ndarray
    even_back: np.ndarray
    odd: np.ndarray  # [L, E, F]: of what there has the other sign
    odd_back: np.ndarray
    message: np.ndarray  # [L, F, F]
    message_bias: np.ndarray  # [L, F]
    message_back: np.ndarray
    gates: np.ndarray  # [L, F, 2E]; the first layer's have [E] columns at the beginning
    gates_back: np.ndarray
    products: np.ndarray  # [L, sum of 2 K_l^2]: [K_l, 2 K_l] degree by degree
    products_back: np.ndarray
    coupled: np.ndarray  # [L, sum of C K_l]: [C, K_l] degree by degree; the last layer's is zero
    coupled_back: np.ndarray
    begins: (
        np.ndarray
    )  # int64 [Y + 1]: where the products begin that make a component, degree after degree
    factors: np.ndarray  # int64 [t, 2]: the components whose product each is
    strengths: np.ndarray  # [t]
    update: np.ndarray  # [L, 2F + sum of K_l + D C, F]
    update_bias: np.ndarray  # [L, F]
    update_back: np.ndarray
    output: np.ndarray  # [L, F, F]
    output_bias: np.ndarray  # [L, F]
    output_back: np.ndarray
    readout: np.ndarray  # [F, F]
    readout_bias: np.ndarray  # [F]
    readout_back: np.ndarray
    energy: np.ndarray  # [F]
    zeros: np.ndarray  # as many as the longest row
    short_range: (
        np.ndarray
    )  # float64 [7, S, S]: `Network`'s tables, and below which distance there is any of it


class Numbers(NamedTuple):
    """Sizes and constants; capital letters are sizes that are filled up."""

    F: int
    C: int  # channels of each degree that are coupled
    n_inputs: int  # of the update of a node in a layer
    B: int
    layers: int
    degrees: int
    channels: tuple[int, int, int]
    K: tuple[int, int, int]
    E: int
    E2: int
    W: int
    components: int
    parts: int
    nodes: int
    scratch: int  # of each part
    kept: int  # blocks of pairs
    cutoff: float
    end: float  # what the envelope is multiplied by


class Workspace(NamedTuple):
    """Of a system of n atoms and at most m pairs, each pair once."""

    counts: np.ndarray  # int64 [1]: pairs nearer than the cutoff
    species_index: np.ndarray  # int64 [n]
    energies: np.ndarray  # float64 [n]
    pairs: np.ndarray  # int32 [m, 2]
    # float64 [m, 7]: r_j - r_i, its length, the derivative of the repulsion by it, the length that
    # is softened, its slope
    offsets: np.ndarray
    closest: np.ndarray  # float64 [4]: `systems.system.Evaluation`'s
    geometry: np.ndarray  # T [m, Y + 2]: the harmonics, the envelope and its derivative
    basis: np.ndarray  # T [m, 2B]: radial functions and their derivatives
    gradient: np.ndarray  # T [m, Y + 1]: by the harmonics and by the distance
    h: np.ndarray  # T [n, F]
    sides: np.ndarray  # T [L, n, 2F]
    x: np.ndarray  # T [L + 1, n W], at the beginning of each layer
    factors: np.ndarray  # T [L, 2 n W]: P X and Q X
    slopes: np.ndarray  # T [L, n, F]: of the update's activation
    by_h: np.ndarray  # T [n, F]: derivatives of the energy
    by_messages: np.ndarray  # T [n, F]
    by_x: np.ndarray  # T [n W]
    sums: np.ndarray  # T [P, n, 2F + W]: what the pairs of each part add to nodes
    touched: np.ndarray  # uint8 [P, blocks of nodes]: whether they do
    scratch: np.ndarray  # T [P, any]
    # T [blocks, L, any]: what the backward pass needs of the forward pass; blocks that have no
    # place there are computed twice
    kept: np.ndarray


def slot_size(F: int, E2: int) -> int:
    """Numbers that the backward pass needs of one block of pairs and one layer."""
    return 2 * BLOCK * (3 * F + E2)


def scratch_size(N: Numbers) -> int:
    """Numbers that a part works with: of a block of pairs, or of one of nodes; and a slot."""
    pairs, coupled = BLOCK * (6 * N.F + 3 * N.E2 + N.E + N.B), N.components * N.C
    nodes = NODES * (2 * N.F + N.n_inputs + 2 * N.W + coupled) + 6 * coupled
    return max(pairs, nodes) + slot_size(N.F, N.E2)
