"""The weights of a network as the kernels want them: of all layers together, filled up to whole
lanes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcegnn.compiled._workspace import Stacked
from mcegnn.compiled.weights import Layer, Network, aligned, sizes, whole
from mcegnn.harmonics import couplings


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


def stacked(network: Network, dtype: Any) -> Stacked:
    """The weights as the kernels want them."""
    fill, layers, k = _Filler(dtype), network.layers, network.n_channels
    F, c = [network.embedding.shape[1]], network.n_couplings
    inputs = [*F, *F, *k, *([c] * len(k) if c else [])]  # of the update
    own = sizes(network, dtype)
    widest = max(own["n_inputs"], own["E2"], own["B"], 2 * max(own["K"]))
    sides = [np.concatenate([layer.receiver, layer.sender]) for layer in layers]
    side_biases = [np.append(layer.receiver_bias, np.zeros(F)) for layer in layers]
    return Stacked(
        **_ends(network, fill, sides[0], side_biases[0]),
        **fill.matrices("sides", sides, F + F, F),
        **fill.biases("sides", side_biases, F + F),
        **_messages(network, fill),
        **_products(network, fill),
        **_couplings(network, fill),
        **fill.matrices("update", [layer.update for layer in layers], F, inputs),
        **fill.biases("update", [layer.update_bias for layer in layers], F),
        **fill.matrices("output", [layer.output for layer in layers], F, F),
        **fill.biases("output", [layer.output_bias for layer in layers], F),
        zeros=aligned((widest,), dtype),
    )


def _messages(network: Network, fill: _Filler) -> dict[str, np.ndarray]:
    """What makes messages of edges: C in its parts, L, and the gates V and G."""
    layers, k = network.layers, network.n_channels
    F, B, E = [network.embedding.shape[1]], [len(network.frequencies)], sum(k)
    near, even, odd = zip(*(_edges(layer, B[0], k) for layer in layers), strict=True)
    gates = [np.pad(layer.gates, ((0, 2 * E - len(layer.gates)), (0, 0))) for layer in layers]
    return {
        **fill.matrices("near", near, F, B),
        **fill.matrices("even", even, F, [2 * E]),
        **fill.matrices("odd", odd, F, [E]),
        **fill.matrices("message", [layer.message for layer in layers], F, F),
        **fill.biases("message", [layer.message_bias for layer in layers], F),
        **fill.matrices("gates", gates, [2 * E], F),
    }


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
