"""`Network`: the weights of a network that passes messages, as plain arrays, and how the kernels
want them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcegnn.compiled._registers import BYTES
from mcegnn.compiled._workspace import DEGREES


@dataclass(frozen=True, eq=False)
class Layer:
    """Matrices [outputs, inputs] of one layer of F features and B radial functions, in the letters
    of the layer, where Y are the harmonics::

        e_ij = [radial_ij, <X_i, Y_ij>, <X_j, Y_ij>, <X_i, X_j>]  # by channel and degree
        m_ij = silu(L silu(A h_i + a + B h_j + C e_ij) + l) * envelope_ij
        X_i <- X_i + sum_j (V m_ij Y_ij + G m_ij X_j)  # by channel and degree
        Z_i = couple(P X_i, Q X_i)  # the first c channels of all degrees (`couplings`)
        h_i <- h_i + O silu(U [h_i, sum_j m_ij, <P X_i, Q X_i>, <P X_i, Z_i>] + p) + o
        X_i <- X_i + S Z_i

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
    systems, ``fewest`` the least mean number of neighbours an atom in training, zero if unknown.
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
