"""Networks that know nothing of rotations, to be put into canonical poses: of states of particles,
[n_nodes, n_systems, n_inputs] to [n_nodes, n_systems, n_outputs]."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mcegnn.graph import Graph
from mcegnn.nn.convolution import perceptron


class GraphLayer(nn.Module):
    """m_ij = phi_e([h_i, h_j, a_ij]); h_i <- h_i + phi_h([h_i, sum_j m_ij])."""

    def __init__(self, n_features: int, n_edge_features: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(n_features, n_features)
        self.sender = nn.Linear(n_features, n_features, bias=False)
        self.edge = nn.Linear(n_edge_features, n_features, bias=False)
        self.message = nn.Linear(n_features, n_features)
        self.update = perceptron(2 * n_features, n_features, n_features)

    def forward(self, h: Tensor, a: Tensor, graph: Graph) -> Tensor:
        """h [n, ..., F], a [edges, ..., A]."""
        first = graph.pairs(self.receiver(h), self.sender(h)) + self.edge(a)
        m = functional.silu(self.message(functional.silu(first)))
        out: Tensor = h + self.update(torch.cat([h, graph.sum(m)], -1))
        return out


class GraphNetwork(nn.Module):
    """Layers of `GraphLayer` on the particles' states."""

    def __init__(
        self, n_in: int, n_edge_features: int, n_out: int, n_features: int, n_layers: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Linear(n_in, n_features)
        self.layers: Any = nn.ModuleList(
            GraphLayer(n_features, n_edge_features) for _ in range(n_layers)
        )
        self.readout = perceptron(n_features, n_features, n_out)

    def forward(self, rows: Tensor, edges: Tensor, graph: Graph) -> Tensor:
        """``edges`` [n_edges, n_systems, n_edge_features]."""
        h = self.embedding(rows)
        for layer in self.layers:
            h = layer(h, edges, graph)
        out: Tensor = self.readout(h)
        return out


class ParticleTransformer(nn.Module):
    """Attention of all particles of a system to each other, their states as tokens."""

    def __init__(
        self, n_in: int, n_edge_features: int, n_out: int, n_features: int, n_layers: int
    ) -> None:
        super().__init__()
        n_heads = next(k for k in (4, 2, 1) if n_features % k == 0)
        self.embedding = nn.Linear(n_in, n_features)
        self.layers: Any = nn.ModuleList(
            nn.TransformerEncoderLayer(
                n_features,
                n_heads,
                2 * n_features,
                dropout=0.0,
                activation=functional.silu,
                norm_first=True,
            )
            for _ in range(n_layers)
        )
        self.readout = perceptron(n_features, n_features, n_out)

    def forward(self, rows: Tensor, edges: Tensor, graph: Graph) -> Tensor:
        """Edges are not used: what particles have is in their tokens."""
        h = self.embedding(rows)  # the layers take [tokens, batch, features]
        for layer in self.layers:
            h = layer(h)
        out: Tensor = self.readout(h)
        return out


class StatePerceptron(nn.Module):
    """A perceptron of the states of ``n_particles`` side by side, which knows the order of the
    particles."""

    def __init__(
        self, n_in: int, n_out: int, n_features: int, n_layers: int, n_particles: int
    ) -> None:
        super().__init__()
        self.n_particles, self.n_out = n_particles, n_out
        widths = [n_particles * n_in, *[n_features] * n_layers]
        layers: list[nn.Module] = []
        for k in range(n_layers):
            layers += [nn.Linear(widths[k], widths[k + 1]), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(n_features, n_particles * n_out))

    def forward(self, rows: Tensor, edges: Tensor, graph: Graph) -> Tensor:
        """Raises ValueError if there are others than ``n_particles``."""
        if len(rows) != self.n_particles:
            raise ValueError(
                f"this perceptron is of {self.n_particles} particles, not of {len(rows)}"
            )
        flat = rows.movedim(0, -2).flatten(-2)
        out: Tensor = self.layers(flat).unflatten(-1, (self.n_particles, self.n_out))
        return out.movedim(-2, 0)
