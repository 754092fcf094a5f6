"""Vector neurons (Deng et al. 2021, arXiv 2104.12229): linear maps between channels of vectors,
without bias, and a nonlinearity that cuts vectors off at a plane they choose themselves."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.nn.canonical.points import Points

_LEAK = 0.2  # of what lies behind the plane


class VectorLayer(nn.Module):
    """One layer of Deep Sets on vectors: v_i <- phi(A v_i + B mean_j v_j), where phi takes most of
    what lies behind the plane across C v_i off. No bias: a constant vector would not turn."""

    def __init__(self, n_in: int, n_out: int, *, last: bool = False) -> None:
        super().__init__()
        self.own = nn.Linear(n_in, n_out, bias=False)
        self.others = nn.Linear(n_in, n_out, bias=False)
        self.plane = None if last else nn.Linear(n_out, n_out, bias=False)
        for linear in (self.own, self.others):  # so that lengths are kept
            nn.init.normal_(linear.weight, std=n_in**-0.5)

    def forward(self, v: Tensor, points: Points) -> Tensor:
        """Channels last: [n_nodes, 3, n_in] to [n_nodes, 3, n_out]."""
        v = self.own(v) + points.spread(self.others(points.mean(v)))
        if self.plane is None:
            return v
        k = self.plane(v)
        behind = (v * k).sum(1, keepdim=True).clamp(max=0.0)
        # of two vanishing vectors neither is behind the other
        length = k.square().sum(1, keepdim=True).clamp(min=torch.finfo(k.dtype).tiny ** 0.5)
        return v - (1.0 - _LEAK) * behind / length * k


class VectorNetwork(nn.Module):
    """Vectors of whole systems [n_systems, n_out, 3] that turn with them and do not depend on the
    order of particles: layers of `VectorLayer` and a mean.

    The inputs are each particle's vectors, and those times each of its scalars.
    """

    def __init__(
        self, n_vectors: int, n_scalars: int, n_out: int, n_hidden: int = 16, n_layers: int = 4
    ) -> None:
        super().__init__()
        widths = [n_vectors * (1 + n_scalars), *[n_hidden] * (n_layers - 1), n_out]
        self.layers: Any = nn.ModuleList(
            VectorLayer(a, b, last=k == n_layers - 1) for k, (a, b) in enumerate(pairwise(widths))
        )

    def forward(self, vectors: Tensor, points: Points) -> Tensor:
        """``vectors`` [n_nodes, n_vectors, 3]."""
        ones = points.scalars.new_ones(len(points.scalars), 1)
        weights = torch.cat([ones, points.scalars], 1)
        v = (vectors.mT.unsqueeze(-1) * weights[:, None, None, :]).flatten(2)
        for layer in self.layers:
            v = layer(v, points)
        return points.mean(v).mT
