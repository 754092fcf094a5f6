"""Networks that know nothing of rotations, to be put into canonical poses: of states of particles,
[n_nodes, n_systems, n_inputs] to [n_nodes, n_systems, n_outputs]."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mcegnn.graph import Batch, Graph
from mcegnn.nn.convolution import perceptron


class GraphLayer(nn.Module):
    """Messages between particles that take and move positions as the numbers they are::

        m_ij = phi_e([h_i, h_j, x_i - x_j, |x_i - x_j|^2, a_ij])
        x_i <- x_i + mean_j (x_i - x_j) * M m_ij  # component by component
        h_i <- h_i + phi_h([h_i, sum_j m_ij])

    With the same factor for all components, and without x_i - x_j in the messages, this is EGNN's.
    """

    def __init__(self, n_features: int, n_edge_features: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(n_features, n_features)
        self.sender = nn.Linear(n_features, n_features, bias=False)
        self.edge = nn.Linear(4 + n_edge_features, n_features, bias=False)
        self.message = nn.Linear(n_features, n_features)
        self.mix = nn.Linear(n_features, 3, bias=False)
        nn.init.xavier_uniform_(self.mix.weight, gain=1e-3)  # positions at first stay in place
        self.update = perceptron(2 * n_features, n_features, n_features)

    def forward(self, h: Tensor, x: Tensor, a: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """h [n, ..., F], x [n, ..., 3], a [edges, ..., A]."""
        d = graph.differences(x)
        edges = torch.cat([d, d.square().sum(-1, keepdim=True), a], -1)
        first = graph.pairs(self.receiver(h), self.sender(h)) + self.edge(edges)
        m = functional.silu(self.message(functional.silu(first)))
        moved = x + graph.mean(d * self.mix(m))
        return h + self.update(torch.cat([h, graph.sum(m)], -1)), moved


class GraphLayers(nn.Module):
    """Layers of `GraphLayer` on the particles' states, to which subclasses add a readout."""

    def __init__(self, n_in: int, n_edge_features: int, n_features: int, n_layers: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(n_in, n_features)
        self.layers: Any = nn.ModuleList(
            GraphLayer(n_features, n_edge_features) for _ in range(n_layers)
        )

    def updated(self, rows: Tensor, edges: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Features and positions after all layers; ``rows`` begin with positions."""
        h, x = self.embedding(rows), rows[..., :3]
        for layer in self.layers:
            h, x = layer(h, x, edges, graph)
        return h, x


class GraphNetwork(GraphLayers):
    """The output is how far positions have moved in the layers, beside what a readout of each
    particle says."""

    def __init__(
        self, n_in: int, n_edge_features: int, n_out: int, n_features: int, n_layers: int
    ) -> None:
        super().__init__(n_in, n_edge_features, n_features, n_layers)
        self.readout = perceptron(n_features, n_features, n_out)

    def forward(self, rows: Tensor, edges: Tensor, graph: Graph) -> Tensor:
        """``rows`` begin with positions, ``edges`` [n_edges, n_systems, n_edge_features]."""
        h, x = self.updated(rows, edges, graph)
        out = self.readout(h)
        return torch.cat([out[..., :3] + x - rows[..., :3], out[..., 3:]], -1)


class AtomNumbers(GraphLayers):
    """One number for each atom of molecules of any sizes."""

    def __init__(self, n_species: int, n_radial: int, n_features: int, n_layers: int) -> None:
        super().__init__(3 + n_species, n_radial, n_features, n_layers)
        self.readout = perceptron(n_features, n_features, 1)

    def forward(self, nodes: Tensor, x: Tensor, radial: Tensor, batch: Batch) -> Tensor:
        """nodes [n_atoms, n_species], x [n_atoms, 3], radial [n_edges, n_radial] to [n_atoms]."""
        h, _ = self.updated(torch.cat([x, nodes], -1), radial, batch.graph)
        out: Tensor = self.readout(h).squeeze(-1)
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
