"""A trained potential's weights as the plain arrays that the compiled kernels of
`mcegnn.compiled.potential` take."""

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mcegnn.compiled.weights import Layer, Network
from mcegnn.nn.repulsion import estimated

if TYPE_CHECKING:
    from mcegnn.models.potential import ConservativePotential


def packed(model: "ConservativePotential") -> Network:
    """A copy of the weights, in float64, and of all else that the energies depend on."""
    network = model.network
    readout: Any = network.readout
    hidden, last = readout[0], readout[2]
    return Network(
        species=model.species,
        embedding=_array(network.embedding.weight),
        frequencies=_array(network.basis.frequencies),
        layers=tuple(_layer(layer, _array(network.basis.sizes)) for layer in network.layers),
        readout=_array(hidden.weight),
        readout_bias=_array(hidden.bias),
        energy=_array(last.weight)[0],
        energy_bias=float(_array(last.bias)[0]),
        cutoff=model.cutoff,
        n_neighbors=network.n_neighbors,
        scale=model.scale,
        reference_energies=model.reference_energies,
        short_range=_short_range(model),
        periodic=model.periodic,
        fewest=model.fewest,
    )


def _short_range(model: "ConservativePotential") -> np.ndarray:
    """The tables of pairs of species, zero where there is nothing of the kind (`Network`)."""
    guard, none = model.repulsion, np.zeros((len(model.species), len(model.species)))
    acting = (
        [none] * 5
        if guard is None
        else [*guard.tables(), none if guard.inner is None else guard.inner]
    )
    return np.stack(
        [
            *acting,
            none
            if model.nearest is None
            else estimated(model.species, model.nearest, model.cutoff),
        ]
    )


def _layer(layer: Any, sizes: np.ndarray) -> Layer:
    """The sizes of radial functions become the weights'."""
    edge = _array(layer.edge.weight)
    edge[:, : len(sizes)] *= sizes
    hidden, output = layer.update[0], layer.update[2]
    return Layer(
        receiver=_array(layer.receiver.weight),
        receiver_bias=_array(layer.receiver.bias),
        sender=_array(layer.sender.weight),
        edge=edge,
        message=_array(layer.message.weight),
        message_bias=_array(layer.message.bias),
        gates=_array(layer.gates.weight),
        products=tuple(_array(product.weight) for product in layer.products),
        coupled=tuple(_array(linear.weight) for linear in layer.coupled),
        update=_array(hidden.weight),
        update_bias=_array(hidden.bias),
        output=_array(output.weight),
        output_bias=_array(output.bias),
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy().copy()
