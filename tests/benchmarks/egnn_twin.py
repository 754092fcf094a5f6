"""A twin of the published multichannel EGNN for timing: one flat graph of indices, edge inputs side
by side, scatter_add."""

from itertools import pairwise

import torch
from torch import Tensor, nn


def _sum(values: Tensor, at: Tensor, n: int) -> Tensor:
    index = at.unsqueeze(-1).expand(-1, values.shape[1])
    return values.new_zeros(n, values.shape[1]).scatter_add_(0, index, values)


def _mean(values: Tensor, at: Tensor, n: int) -> Tensor:
    return _sum(values, at, n) / _sum(torch.ones_like(values), at, n).clamp(min=1)


class _Layer(nn.Module):
    def __init__(self, f: int, n_in: int, n_out: int, n_edge: int) -> None:
        super().__init__()
        self.n_in, self.n_out = n_in, n_out
        self.edge = nn.Sequential(
            nn.Linear(2 * f + n_in + n_edge, f), nn.SiLU(), nn.Linear(f, f), nn.SiLU()
        )
        self.coordinate = nn.Sequential(
            nn.Linear(f, f), nn.SiLU(), nn.Linear(f, n_in * n_out, bias=False)
        )
        self.velocity = nn.Sequential(nn.Linear(f, f), nn.SiLU(), nn.Linear(f, n_in * n_out))
        self.node = nn.Sequential(nn.Linear(2 * f, f), nn.SiLU(), nn.Linear(f, f))
        nn.init.xavier_uniform_(self.coordinate[-1].weight, gain=1e-3)

    def forward(
        self, h: Tensor, x: Tensor, v: Tensor, a: Tensor, i: Tensor, j: Tensor
    ) -> tuple[Tensor, Tensor]:
        n = len(h)
        d = x[i] - x[j]
        m = self.edge(torch.cat([h[i], h[j], (d**2).sum(1), a], 1))
        moves = torch.einsum(
            "eac,eck->eak", d, self.coordinate(m).view(-1, self.n_in, self.n_out)
        ).clamp(-100, 100)
        drift = torch.einsum(
            "nac,nck->nak",
            v.unsqueeze(-1).expand(-1, -1, self.n_in),
            self.velocity(h).view(-1, self.n_in, self.n_out),
        )
        base = x if self.n_in == self.n_out else x.mean(2, keepdim=True)
        x = base + _mean(moves.flatten(1), i, n).view(n, 3, self.n_out) + drift
        return h + self.node(torch.cat([h, _sum(m, i, n)], 1)), x


class Twin(nn.Module):
    """Positions [N, 3] from node inputs [N, 1], positions, velocities and edge inputs [E, 2]."""

    def __init__(self, f: int, m: int, n_layers: int) -> None:
        super().__init__()
        widths = [1, *[m] * (n_layers - 1), 1]
        self.embedding = nn.Linear(1, f)
        self.layers = nn.ModuleList(_Layer(f, a, b, 2) for a, b in pairwise(widths))

    def forward(self, h: Tensor, x: Tensor, v: Tensor, a: Tensor, i: Tensor, j: Tensor) -> Tensor:
        h, x = self.embedding(h), x.unsqueeze(-1)
        for layer in self.layers:
            h, x = layer(h, x, v, a, i, j)
        return x.squeeze(-1)
