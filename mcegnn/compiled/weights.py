"""`Network`: the weights of a network that passes messages, as plain arrays, and how the kernels
want them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcegnn.compiled._simd import BYTES
from mcegnn.compiled._workspace import DEGREES, Stacked
from mcegnn.harmonics import couplings


@dataclass(frozen=True, eq=False)
class Layer:
    """Matrices [outputs, inputs] of one layer of F features and B radial functions, in the letters
    of the layer, where Y are the harmonics:

    e_ij = [radial_ij, <X_i, Y_ij>, <X_j, Y_ij>, <X_i, X_j>]                  channel by channel, of
    each degree m_ij = silu(L silu(A h_i + a + B h_j + C e_ij) + l) * envelope_ij X_i <- X_i + sum_j
    (V m_ij Y_ij + G m_ij X_j)                             channel by channel, of each degree Z_i =
    couple(P X_i, Q X_i)                                                the first c channels of all
    degrees (`couplings`) h_i <- h_i + O silu(U [h_i, sum_j m_ij, <P X_i, Q X_i>, <P X_i, Z_i>] + p)
    + o X_i <- X_i + S Z_i

    k_l is the number of channels of a degree, E that of all, D that of degrees. The first layer has
    no channels yet: its C is [F, B], its gates are V alone. The last layer has no S, and where
    nothing is coupled (c = 0) none has.
    """

    receiver: np.ndarray  # A [F, F]
    receiver_bias: np.ndarray  # a [F]
    sender: np.ndarray  # B [F, F]
    edge: np.ndarray  # C [F, B + 3E], degree by degree
    message: np.ndarray  # L [F, F]
    message_bias: np.ndarray  # l [F]
    gates: np.ndarray  # V over G, degree by degree [2E, F]
    products: tuple[np.ndarray, ...]  # P over Q of each degree [2 k_l, k_l]
    coupled: tuple[np.ndarray, ...]  # S of each degree [k_l, c]
    update: np.ndarray  # U [F, 2F + E + D c]
    update_bias: np.ndarray  # p [F]
    output: np.ndarray  # O [F, F]
    output_bias: np.ndarray  # o [F]


@dataclass(frozen=True, eq=False)
class Network:
    """A network whose energy of an atom is scale (energy . silu(readout h + readout_bias) +
    energy_bias), and a reference energy.

    Features begin as the species' row of ``embedding`` [n_species, F]. Radial functions are
    sin(frequencies r / cutoff) envelope / r; the envelope that ends messages is divided by the root
    of ``n_neighbors``. ``short_range`` [6, n_species, n_species] has what acts on near pairs:
    strengths (eV Angstrom), screening lengths and ends (Angstrom) of Ziegler, Biersack and
    Littmark's repulsion; heights (eV) of walls (1 - r / end)^3; the distances below which those
    that are softened come to rest; and the nearest distances of training. Zeros are where there is
    none. Energies are in eV, lengths in Angstrom. ``periodic`` is whether it knows periodic
    systems, ``fewest`` the least mean number of neighbours an atom in training, zero where nobody
    knows.
    """

    species: tuple[int, ...]
    embedding: np.ndarray
    frequencies: np.ndarray
    layers: Sequence[Layer]
    readout: np.ndarray
    readout_bias: np.ndarray
    energy: np.ndarray
    energy_bias: float
    cutoff: float
    n_neighbors: float
    scale: float
    reference_energies: np.ndarray
    short_range: np.ndarray
    periodic: bool
    fewest: float = 0.0

    @property
    def n_channels(self) -> tuple[int, ...]:
        """Of each degree."""
        return tuple(product.shape[1] for product in self.layers[0].products)

    @property
    def n_couplings(self) -> int:
        """Channels of each degree that are coupled."""
        layer, F = self.layers[0], self.embedding.shape[1]
        return (layer.update.shape[1] - 2 * F - sum(self.n_channels)) // len(self.n_channels)


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that begin where a line of the cache does: lanes across two lines take twice as
    long."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def whole(count: int, dtype: Any) -> int:
    """The count, filled up to whole lanes."""
    lanes = BYTES // np.dtype(dtype).itemsize
    return -(-count // lanes) * lanes


def sizes(network: Network, dtype: Any) -> dict[str, Any]:
    """The sizes that are the network's, as `mcegnn.compiled._workspace.Numbers` has them."""
    k = network.n_channels
    wide = [whole(each, dtype) for each in k]
    padded = [0] * (DEGREES - len(k))
    F, C = whole(network.embedding.shape[1], dtype), whole(network.n_couplings, dtype)
    return {
        "F": F,
        "C": C,
        "n_inputs": 2 * F + sum(wide) + len(k) * C,
        "B": whole(len(network.frequencies), dtype),
        "layers": len(network.layers),
        "degrees": len(k),
        "channels": (*k, *padded),
        "K": (*wide, *padded),
        "E": whole(sum(k), dtype),
        "E2": whole(2 * sum(k), dtype),
        "W": sum((2 * degree + 3) * each for degree, each in enumerate(wide)),
        "components": len(k) * (len(k) + 2),
        "cutoff": network.cutoff,
        "end": network.n_neighbors**-0.5,
    }


@dataclass(frozen=True)
class _Filler:
    """Fills axes up to whole lanes; an axis may be made of pieces, each of which is."""

    dtype: Any

    def __call__(self, array: np.ndarray, *axes: Sequence[int]) -> np.ndarray:
        for axis, pieces in enumerate(axes):
            parts = []
            for part in np.split(array, np.cumsum(pieces)[:-1], axis):
                rest = [(0, 0)] * array.ndim
                rest[axis] = (0, whole(part.shape[axis], self.dtype) - part.shape[axis])
                parts.append(np.pad(part, rest))
            array = np.concatenate(parts, axis)
        return array

    def kept(self, array: np.ndarray) -> np.ndarray:
        """In the kernels' kind of numbers."""
        out = aligned(array.shape, self.dtype)
        out[...] = array
        return out

    def matrices(
        self, name: str, arrays: Sequence[np.ndarray], outputs: Sequence[int], inputs: Sequence[int]
    ) -> dict[str, np.ndarray]:
        """[outputs, inputs] of the layers as [inputs, outputs], and back."""
        stack = np.stack([self(array, outputs, inputs) for array in arrays])
        return {name: self.kept(stack.transpose(0, 2, 1)), f"{name}_back": self.kept(stack)}

    def biases(
        self, name: str, arrays: Sequence[np.ndarray], pieces: Sequence[int]
    ) -> dict[str, np.ndarray]:
        """[outputs] of the layers."""
        return {f"{name}_bias": self.kept(np.stack([self(array, pieces) for array in arrays]))}


def _edges(
    layer: Layer, B: int, channels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """C in parts: of the radial functions; of what is the same from both sides of a pair; of what
    has the other sign."""
    E = sum(channels)
    C = layer.edge if layer.edge.shape[1] > B else np.pad(layer.edge, ((0, 0), (0, 3 * E)))
    even, odd, begin = [], [], B
    for degree, k in enumerate(channels, 1):
        own, sent, inner = np.split(C[:, begin : begin + 3 * k], 3, 1)
        sign, begin = (-1.0) ** degree, begin + 3 * k
        even += [inner, (own + sign * sent) / 2.0]
        odd.append((own - sign * sent) / 2.0)
    return C[:, :B], np.concatenate(even, 1), np.concatenate(odd, 1)


def _products(network: Network, fill: _Filler) -> dict[str, np.ndarray]:
    """P and Q of all layers and degrees, one after the other."""
    forward, backward = [], []
    for layer in network.layers:
        filled = [
            fill(each, [k, k], [k])
            for each, k in zip(layer.products, network.n_channels, strict=True)
        ]
        forward.append(np.concatenate([each.T.ravel() for each in filled]))
        backward.append(np.concatenate([each.ravel() for each in filled]))
    return {
        "products": fill.kept(np.stack(forward)),
        "products_back": fill.kept(np.stack(backward)),
    }


def _couplings(network: Network, fill: _Filler) -> dict[str, np.ndarray]:
    """S of all layers and degrees, zero where there is none; and the couplings as a list of their
    numbers and of where they are."""
    k, c = network.n_channels, network.n_couplings
    forward, backward = [], []
    for layer in network.layers:
        filled = [
            fill(each, [degree], [c])
            for each, degree in zip(layer.coupled or [np.zeros((n, c)) for n in k], k, strict=True)
        ]
        forward.append(np.concatenate([each.T.ravel() for each in filled]))
        backward.append(np.concatenate([each.ravel() for each in filled]))
    table = couplings(len(k))
    made, *factors = np.nonzero(table)
    return {
        "coupled": fill.kept(np.stack(forward)),
        "coupled_back": fill.kept(np.stack(backward)),
        "begins": np.searchsorted(made, np.arange(len(table) + 1)),
        "factors": np.stack(factors, 1),
        "strengths": fill.kept(table[table != 0.0]),
    }


def _ends(
    network: Network, fill: _Filler, sides: np.ndarray, bias: np.ndarray
) -> dict[str, np.ndarray]:
    """What there is once: at the beginning and at the end."""
    F, n = network.embedding.shape[1], len(network.species)
    wide = whole(F, fill.dtype)
    first = fill((network.embedding @ sides.T + bias).T, [F, F]).T
    return {
        "frequencies": fill.kept(fill(network.frequencies / np.pi, [len(network.frequencies)])),
        "embedding": fill.kept(fill(network.embedding.T, [F]).T),
        "first": fill.kept(first.reshape(n, 2 * wide)),
        "readout": fill.kept(fill(network.readout.T, [F], [F])),
        "readout_bias": fill.kept(fill(network.readout_bias, [F])),
        "readout_back": fill.kept(fill(network.readout, [F], [F])),
        "energy": fill.kept(fill(network.energy * network.scale, [F])),
        "short_range": (
            np.concatenate(
                [network.short_range, network.short_range[[2, 4, 5]].max(0, keepdims=True)]
            ).astype(float)
        ),
    }


def stacked(network: Network, dtype: Any) -> Stacked:
    """The weights as the kernels want them."""
    fill, layers, k, own = _Filler(dtype), network.layers, network.n_channels, sizes(network, dtype)
    F, B, E, c = (
        [network.embedding.shape[1]],
        [len(network.frequencies)],
        sum(k),
        network.n_couplings,
    )
    near, even, odd = zip(*(_edges(layer, B[0], k) for layer in layers), strict=True)
    gates = [np.pad(layer.gates, ((0, 2 * E - len(layer.gates)), (0, 0))) for layer in layers]
    sides = [np.concatenate([layer.receiver, layer.sender]) for layer in layers]
    side_biases = [np.append(layer.receiver_bias, np.zeros(F)) for layer in layers]
    return Stacked(
        **_ends(network, fill, sides[0], side_biases[0]),
        **fill.matrices("sides", sides, F + F, F),
        **fill.biases("sides", side_biases, F + F),
        **fill.matrices("near", near, F, B),
        **fill.matrices("even", even, F, [2 * E]),
        **fill.matrices("odd", odd, F, [E]),
        **fill.matrices("message", [layer.message for layer in layers], F, F),
        **fill.biases("message", [layer.message_bias for layer in layers], F),
        **fill.matrices("gates", gates, [2 * E], F),
        **_products(network, fill),
        **_couplings(network, fill),
        **fill.matrices(
            "update",
            [layer.update for layer in layers],
            F,
            [*F, *F, *k, *([c] * len(k) if c else [])],
        ),
        **fill.biases("update", [layer.update_bias for layer in layers], F),
        **fill.matrices("output", [layer.output for layer in layers], F, F),
        **fill.biases("output", [layer.output_bias for layer in layers], F),
        zeros=aligned((max(own["n_inputs"], own["E2"], own["B"], 2 * max(own["K"])),), dtype),
    )
