"""The network of energy models: energies of atoms from their neighbourhoods."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.neighborhood import Neighborhood
from mcegnn.nn.harmonics import harmonics
from mcegnn.nn.interaction import Interaction
from mcegnn.nn.radial import BesselBasis


class EnergyNetwork(nn.Module):
    """Layers of `Interaction` between an embedding of the species and a readout, one number for
    each atom.

    ``n_channels`` says how many channels of vectors there are, of tensors of rank two, and so on;
    ``basis`` are the functions of distances, which end at the cutoff; ``n_neighbors`` says how many
    neighbours within it a node has on average, by whose root sums over them are divided;
    ``n_couplings`` how many channels of each degree are coupled with others.
    """

    def __init__(
        self,
        n_species: int,
        n_features: int,
        n_channels: Sequence[int],
        n_layers: int,
        basis: BesselBasis,
        *,
        n_neighbors: float,
        n_couplings: int,
    ) -> None:
        super().__init__()
        self.n_neighbors, self.n_degrees = n_neighbors, len(n_channels)
        self.embedding = nn.Embedding(n_species, n_features)
        self.basis = basis
        self.layers: Any = nn.ModuleList(
            Interaction(
                n_features,
                n_channels,
                len(basis.frequencies),
                n_couplings=n_couplings,
                first=k == 0,
                last=k == n_layers - 1,
            )
            for k in range(n_layers)
        )
        self.readout = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, 1)
        )

    def forward(
        self,
        kinds: Tensor,
        offsets: Tensor,
        hood: Neighborhood,
        heard: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Kinds [n] (which species) and offsets r_j - r_i [n, degree, 3] to one number for each
        node [n].

        ``heard`` maps the offsets' lengths [n, degree] to the distances that the network gets.
        """
        d = offsets.flatten(0, 1)
        r = d.square().sum(-1, keepdim=True).sqrt()
        y = [part.unsqueeze(-1) for part in harmonics(d / r, self.n_degrees)]
        radial, ends = self.basis(
            r if heard is None else heard(r.view(hood.senders.shape)).view(r.shape)
        )
        h: Tensor = self.embedding(kinds)
        x: list[Tensor] = []
        weights = ends / math.sqrt(self.n_neighbors)
        for layer in self.layers:
            h, x = layer(h, x, y, radial, weights, hood)
        energies: Tensor = self.readout(h).squeeze(-1)
        return energies


def derivative(energies: Tensor, offsets: Tensor, *, differentiable: bool) -> Tensor:
    """Of the sum of energies by each offset, of the offsets' shape; of which a graph is kept where
    it is to be differentiated again."""
    (gradient,) = torch.autograd.grad(energies.sum(), offsets, create_graph=differentiable)
    return gradient
