"""The multichannel equivariant convolution of MC-EGNN (Levy, Kaba, Gonzales, Miret and Ravanbakhsh
2023, arXiv 2309.03139)."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mcegnn.graph import Graph

ClampName = Literal["norm", "components"]

LIMIT = 100.0  #: of a message's vector


def clamp_norm(vectors: Tensor, limit: float) -> Tensor:
    """Vectors [channels, 3, ...] shortened to at most ``limit``: keeps rotation symmetry."""
    # most batches need nothing, and one look costs less than the clamp and its gradient
    if not vectors.numel() or bool(vectors.detach().abs().amax() <= limit * 3**-0.5):
        return vectors
    return vectors * (
        limit * vectors.square().sum(1, keepdim=True).clamp(min=limit * limit).rsqrt()
    )


def clamp_components(vectors: Tensor, limit: float) -> Tensor:
    """Each cartesian component clamped to +-limit, as published: breaks rotation symmetry where it
    acts."""
    return vectors.clamp(-limit, limit)


CLAMPS: dict[ClampName, Callable[[Tensor, float], Tensor]] = {
    "norm": clamp_norm,
    "components": clamp_components,
}


def perceptron(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Linear, SiLU, Linear."""
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_out))


class EquivariantConvolution(nn.Module):
    """One layer: messages from squared distances, channel by channel; vectors and features updated
    from them.

    ``n_in`` vector channels come in, ``n_out`` go out: 1 -> m in the first layer, m -> m, m -> 1
    (mean over channels) in the last. With n_in = n_out = 1 it is the layer of EGNN with velocities
    (Satorras, Hoogeboom and Welling 2021). ``n_edge_features`` is the size of a_ij; ``clamp`` tells
    how a message's vector is limited to `LIMIT`; ``normalize`` divides differences by length + 1;
    ``attention`` multiplies each message by a number between zero and one that it decides itself.
    """

    def __init__(
        self,
        n_features: int,
        n_in: int,
        n_out: int,
        n_edge_features: int = 0,
        *,
        clamp: ClampName = "norm",
        normalize: bool = False,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.n_in, self.n_out, self.limit, self.normalize = n_in, n_out, LIMIT, normalize
        self.clamp = CLAMPS[clamp]
        self.edge = nn.Linear(2 * n_features + n_in + n_edge_features, n_features)
        self.message = nn.Linear(n_features, n_features)
        mixing = nn.Linear(n_features, n_in * n_out, bias=False)
        nn.init.xavier_uniform_(mixing.weight, gain=1e-3)
        self.mix = nn.Sequential(nn.Linear(n_features, n_features), nn.SiLU(), mixing)
        self.drift = perceptron(n_features, n_features, n_in * n_out)
        self.update = perceptron(2 * n_features, n_features, n_features)
        self.gate = nn.Linear(n_features, 1) if attention else None

    def forward(
        self, h: Tensor, x: Tensor, v: Tensor, a: Tensor, graph: Graph
    ) -> tuple[Tensor, Tensor]:
        """h [n, ..., F], vectors x [n_in, 3, n, ...], velocities v [3, n, ...], edge inputs a
        [edges, ..., |a|] -> h and x updated."""
        offset = graph.differences(x, dim=2)
        r2 = offset.square().sum(1)
        m = self._messages(h, torch.cat([r2.movedim(0, -1), a], -1), graph)
        if self.normalize:
            offset = offset / (r2.clamp(min=1e-16).sqrt() + 1.0).unsqueeze(1)
        mix = self.mix(m).movedim(-1, 0).contiguous().unflatten(0, (self.n_in, self.n_out))
        moved = (
            (offset.unsqueeze(1) * mix.unsqueeze(2)).sum(0)
            if self.n_in > 1
            else offset * mix[0].unsqueeze(1)
        )
        moves = graph.mean(self.clamp(moved, self.limit), dim=2)
        x = self.base(x) + moves + self._drift(h).movedim(-1, 0).unsqueeze(1) * v
        return h + self.update(torch.cat([h, graph.sum(m)], -1)), x

    def base(self, x: Tensor) -> Tensor:
        """What the vectors [n_out or 1, 3, ...] move away from: themselves, or their mean where the
        number of channels changes."""
        return x if self.n_in == self.n_out else x.mean(0, keepdim=True)

    def _messages(self, h: Tensor, edges: Tensor, graph: Graph) -> Tensor:
        """m_ij = phi_e([h_i, h_j, edges_ij]), times sigmoid(phi_a(m_ij)) where there is attention.

        The first Linear's shares of h_i and h_j are computed once a node, where [h_i, h_j, ...] put
        side by side would cost one an edge.
        """
        n = h.shape[-1]
        receiver, sender, own = self.edge.weight.split([n, n, edges.shape[-1]], 1)
        nodes = graph.pairs(
            functional.linear(h, receiver, self.edge.bias), functional.linear(h, sender)
        )
        first = torch.addmm(nodes.flatten(0, -2), edges.flatten(0, -2), own.t()).view_as(nodes)
        m = functional.silu(self.message(functional.silu(first)))
        return m if self.gate is None else m * torch.sigmoid(self.gate(m))

    def _drift(self, h: Tensor) -> Tensor:
        """sum_c phi_v(h)_ck [n, ..., n_out]: the velocity is one channel, so the rows of B only
        ever act by their sum."""
        out: Any = self.drift[2]
        hidden = self.drift[1](self.drift[0](h))
        shape = (self.n_in, self.n_out)
        return functional.linear(
            hidden, out.weight.unflatten(0, shape).sum(0), out.bias.unflatten(0, shape).sum(0)
        )
