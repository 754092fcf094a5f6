"""Networks of energies that take the directions of neighbours as the numbers they are, and so know
nothing of rotations: messages, and attention among an atom's neighbours."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mcegnn.neighborhood import Neighborhood
from mcegnn.nn.convolution import perceptron
from mcegnn.nn.radial import BesselBasis

Heard = Callable[[Tensor], Tensor]


def pair_features(
    basis: BesselBasis, offsets: Tensor, heard: Heard | None
) -> tuple[Tensor, Tensor]:
    """Of each place [n, degree]: radial functions, and directions times the first few of them; and
    the envelope [n, degree, 1]."""
    r = offsets.square().sum(-1).sqrt()
    radial, ends = basis((r if heard is None else heard(r)).unsqueeze(-1))
    u = offsets / r.unsqueeze(-1)
    # the components and their products: what an unconstrained network would have to make of them
    x, y, z = u.unbind(-1)
    products = torch.stack([x * y, y * z, z * x, x * x - y * y, 3.0 * z * z - 1.0], -1)
    return torch.cat([radial, u * ends, products * ends], -1), ends


N_DIRECTION = 8  # numbers of a direction among the features of a pair


class DirectionLayer(nn.Module):
    """m_ij = silu(L silu(A h_i + B h_j + C e_ij)) envelope_ij; h_i <- h_i + U[h_i, sum_j m_ij]."""

    def __init__(self, n_features: int, n_pair: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(n_features, n_features)
        self.sender = nn.Linear(n_features, n_features, bias=False)
        self.edge = nn.Linear(n_pair, n_features, bias=False)
        self.message = nn.Linear(n_features, n_features)
        self.update = perceptron(2 * n_features, n_features, n_features)

    def forward(self, h: Tensor, pairs: Tensor, weights: Tensor, hood: Neighborhood) -> Tensor:
        """h [n, F], pairs [n, degree, n_pair], weights [n, degree, 1]."""
        first = self.receiver(h).unsqueeze(1) + hood.sent(self.sender(h)) + self.edge(pairs)
        m = functional.silu(self.message(functional.silu(first))) * weights
        out: Tensor = h + self.update(torch.cat([h, m.sum(1)], -1))
        return out


class DirectionNetwork(nn.Module):
    """Layers of `DirectionLayer` between an embedding of the species and a readout, one number for
    each atom; called as `mcegnn.nn.energy.EnergyNetwork` is."""

    def __init__(
        self, n_species: int, n_features: int, n_layers: int, basis: BesselBasis, n_neighbors: float
    ) -> None:
        super().__init__()
        self.basis, self.n_neighbors = basis, n_neighbors
        self.embedding = nn.Embedding(n_species, n_features)
        n_pair = len(basis.frequencies) + N_DIRECTION
        self.layers: Any = nn.ModuleList(
            DirectionLayer(n_features, n_pair) for _ in range(n_layers)
        )
        self.readout = perceptron(n_features, n_features, 1)

    def forward(
        self, kinds: Tensor, offsets: Tensor, hood: Neighborhood, heard: Heard | None = None
    ) -> Tensor:
        """Kinds [n] and offsets r_j - r_i [n, degree, 3] to one number for each node [n]."""
        pairs, ends = pair_features(self.basis, offsets, heard)
        h, weights = self.embedding(kinds), ends / math.sqrt(self.n_neighbors)
        for layer in self.layers:
            h = layer(h, pairs, weights, hood)
        out: Tensor = self.readout(h).squeeze(-1)
        return out


class NeighborAttention(nn.Module):
    """Attention of an atom and its neighbours to each other, as tokens; those at the cutoff are not
    attended to."""

    def __init__(self, n_features: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm, self.inner = nn.LayerNorm(n_features), nn.LayerNorm(n_features)
        self.projections = nn.Linear(n_features, 3 * n_features)
        self.out = nn.Linear(n_features, n_features)
        self.feed = perceptron(n_features, 2 * n_features, n_features)

    def forward(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Tokens [n, 1 + degree, F] with weights [n, 1 + degree]."""
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.projections(self.norm(tokens)).chunk(3, -1)
        )
        scores = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) * weights[:, None, None, :]
        scores = scores / (scores.sum(-1, keepdim=True) + torch.finfo(scores.dtype).tiny)
        tokens = tokens + self.out((scores @ v).transpose(1, 2).flatten(-2))
        out: Tensor = tokens + self.feed(self.inner(tokens))
        return out


class NeighborTransformer(nn.Module):
    """A transformer over each atom's neighbours as tokens, which send what they are to the token of
    the pair seen from the other side (after Pozdnyakov and Ceriotti 2023, arXiv 2305.19302); called
    as `mcegnn.nn.energy.EnergyNetwork` is."""

    def __init__(
        self, n_species: int, n_features: int, n_layers: int, basis: BesselBasis, n_neighbors: float
    ) -> None:
        super().__init__()
        self.basis = basis
        n_heads = next(k for k in (4, 2, 1) if n_features % k == 0)
        self.embedding = nn.Embedding(n_species, n_features)
        self.pair = nn.Linear(len(basis.frequencies) + N_DIRECTION, n_features)
        self.merge: Any = nn.ModuleList(
            perceptron(2 * n_features, n_features, n_features) for _ in range(n_layers)
        )
        self.layers: Any = nn.ModuleList(
            NeighborAttention(n_features, n_heads) for _ in range(n_layers)
        )
        self.readout = perceptron(n_features, n_features, 1)
        self.of_pairs = perceptron(n_features, n_features, 1)

    def forward(
        self, kinds: Tensor, offsets: Tensor, hood: Neighborhood, heard: Heard | None = None
    ) -> Tensor:
        """Kinds [n] and offsets r_j - r_i [n, degree, 3] to one number for each node [n]."""
        pairs, ends = pair_features(self.basis, offsets, heard)
        centre = self.embedding(kinds)
        messages = hood.sent(centre)
        weights = torch.cat([torch.ones_like(ends[:, :1]), ends], 1).squeeze(-1)
        own = self.pair(pairs)
        for merge, layer in zip(self.merge, self.layers, strict=True):
            tokens = own + merge(torch.cat([messages, own], -1))
            said = layer(torch.cat([centre.unsqueeze(1), tokens], 1), weights)
            centre, tokens = said[:, 0], said[:, 1:]
            back = tokens.flatten(0, 1).index_select(0, hood.mirror).view_as(tokens)
            messages = messages + back
        of_pairs = (self.of_pairs(tokens) * ends).sum((1, 2))
        out: Tensor = self.readout(centre).squeeze(-1) + of_pairs
        return out
