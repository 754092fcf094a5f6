"""The layer of energy models: MC-EGNN's convolution with channels that start at zero, radial
functions, angles and products.

It is the layer of Levy, Kaba, Gonzales, Miret and Ravanbakhsh 2023 (arXiv 2309.03139), extended
where it is too weak for forces:

- its vectors begin at zero in place of the positions, so that translations and periodic images
  change nothing at all;
- beside channels of vectors there may be channels of tensors of rank two and three, each as the 2 l
  + 1 numbers that spherical harmonics have: a vector says on which side of a node its neighbours
  are, not how they are spread around it;
- distances enter as a radial basis under an envelope that ends at the cutoff, not as one number;
- messages hear how the channels lie to the direction and to each other, not |X_i - X_j|^2 alone;
- the mix of channels W_ij is a gate for each channel of the sender's and of the direction's;
- features hear products of channels, and sums replace means, so that energies of parts add up;
- channels of different degrees make others together: two vectors a tensor, a tensor and a vector a
  vector, which see more atoms at once.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mcegnn.harmonics import couplings
from mcegnn.neighborhood import Neighborhood


class Interaction(nn.Module):
    """Features h and channels X of nodes, updated from their neighbours; Y_ij are the harmonics of
    the direction, by degree::

        e_ij = [radial_ij, <X_i, Y_ij>, <X_j, Y_ij>, <X_i, X_j>]  # by channel and degree
        m_ij = silu(L silu(A h_i + B h_j + C e_ij)) * envelope_ij
        X_i <- X_i + sum_j (V m_ij Y_ij + G m_ij X_j)  # by channel and degree
        Z_i = couple(P X_i, Q X_i)  # the first n_couplings channels of all degrees
        h_i <- h_i + U[h_i, sum_j m_ij, <P X_i, Q X_i>, <P X_i, Z_i>]  # U: Linear, SiLU, Linear
        X_i <- X_i + S Z_i

    `mcegnn.harmonics.couplings` says how to couple, ``n_channels`` how many channels there are of
    each degree. The first layer has no channels yet: ``first`` leaves out all that needs them;
    ``last`` leaves out what becomes of channels in the end.
    """

    table: Tensor  # [Y, Y Y], Y components of the harmonics in all

    def __init__(
        self,
        n_features: int,
        n_channels: Sequence[int],
        n_radial: int,
        *,
        n_couplings: int = 0,
        first: bool,
        last: bool,
    ) -> None:
        super().__init__()
        every = sum(n_channels)
        self.first, self.n_channels, self.n_couplings = first, tuple(n_channels), n_couplings
        self.receiver = nn.Linear(n_features, n_features)
        self.sender = nn.Linear(n_features, n_features, bias=False)
        self.edge = nn.Linear(n_radial + (0 if first else 3 * every), n_features, bias=False)
        nn.init.normal_(self.edge.weight, std=1.0 / math.sqrt(n_radial))
        self.message = nn.Linear(n_features, n_features)
        self.gates = nn.Linear(n_features, every if first else 2 * every, bias=False)
        self.products: Any = nn.ModuleList(nn.Linear(k, 2 * k, bias=False) for k in n_channels)
        heard = 2 * n_features + every + n_couplings * len(n_channels)
        self.update = nn.Sequential(
            nn.Linear(heard, n_features), nn.SiLU(), nn.Linear(n_features, n_features)
        )
        coupled = [
            nn.Linear(n_couplings, k, bias=False) for k in n_channels if n_couplings and not last
        ]
        for linear in coupled:
            nn.init.normal_(linear.weight, std=0.3 / math.sqrt(n_couplings))
        self.coupled: Any = nn.ModuleList(coupled)
        table = couplings(len(n_channels)) if n_couplings else np.zeros((0, 0, 0))
        self.register_buffer("table", torch.from_numpy(table.copy()).flatten(1), persistent=False)

    def forward(
        self,
        h: Tensor,
        x: Sequence[Tensor],
        y: Sequence[Tensor],
        radial: Tensor,
        ends: Tensor,
        hood: Neighborhood,
    ) -> tuple[Tensor, list[Tensor]]:
        """Features h [n, F], channels x of each degree [2 l + 1, n, K], directions y of each degree
        [2 l + 1, pairs, 1], radial [pairs, n_radial] and envelope ends [pairs, 1]. A pair is a
        place of the neighbourhood, pairs = n * degree in all.
        """
        shape = hood.senders.shape
        sent = [hood.sent(part, 1).flatten(1, 2) for part in x]
        edges = (
            radial if self.first else torch.cat([radial, *self._angles(x, y, sent, shape[1])], -1)
        )
        each = (self.receiver(h).unsqueeze(1) + hood.sent(self.sender(h))).flatten(0, 1)
        m = functional.silu(self.message(functional.silu(each + self.edge(edges)))) * ends
        gates = self.gates(m).split(
            self.n_channels if self.first else [2 * k for k in self.n_channels], -1
        )
        if self.first:
            moves = [gate * direction for gate, direction in zip(gates, y, strict=True)]
        else:
            split = [gate.chunk(2, -1) for gate in gates]
            moves = [
                own * direction + mix * other
                for (own, mix), direction, other in zip(split, y, sent, strict=True)
            ]
        moved = [move.unflatten(1, shape).sum(2) for move in moves]
        new = moved if self.first else [part + move for part, move in zip(x, moved, strict=True)]
        products, new = self._combined(new)
        return h + self.update(torch.cat([h, m.unflatten(0, shape).sum(1), *products], -1)), new

    def _angles(
        self, x: Sequence[Tensor], y: Sequence[Tensor], sent: Sequence[Tensor], degree: int
    ) -> list[Tensor]:
        """<X_i, Y>, <X_j, Y> and <X_i, X_j> of each pair and channel [pairs, K], one degree after
        the other."""
        found = []
        for part, direction, other in zip(x, y, sent, strict=True):
            own = part.unsqueeze(2).expand(-1, -1, degree, -1).flatten(1, 2)
            found += [(own * direction).sum(0), (other * direction).sum(0), (own * other).sum(0)]
        return found

    def _combined(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """<P X, Q X> of each node and channel [n, K] and <P X, Z> [n, n_couplings], one degree
        after the other; and X + S Z."""
        pairs = [product(part).chunk(2, -1) for product, part in zip(self.products, x, strict=True)]
        products = [(left * right).sum(0) for left, right in pairs]
        if not self.n_couplings:
            return products, x
        sizes, some = [len(part) for part in x], slice(self.n_couplings)
        left, right = (torch.cat([pair[side][..., some] for pair in pairs]) for side in (0, 1))
        outer = (left.unsqueeze(1) * right.unsqueeze(0)).flatten(0, 1)
        z = (self.table.to(left) @ outer.flatten(1)).view_as(left)
        products += [part.sum(0) for part in (left * z).split(sizes)]
        if self.coupled:
            x = [
                part + linear(other)
                for part, linear, other in zip(x, self.coupled, z.split(sizes), strict=True)
            ]
        return products, x
