"""Learned scores of particles' vectors, by which `mcegnn.nn.canonical.smooth` weighs its frames."""

from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.nn.canonical.points import Points

_N_SUMS = 4
_APART = 2.0  # between the scores of unlike species at the start
_SHARPEST = 5.0  # learned scores are between plus and minus this


class Invariants(nn.Module):
    """Features of particles [n_nodes, n_hidden] that no rotation or reflection changes, and smooth
    functions of the vectors: two rounds of inner products with sums over all particles of the
    vectors, weighed by the features there are."""

    def __init__(self, n_vectors: int, n_scalars: int, n_hidden: int) -> None:
        super().__init__()
        n_pairs = n_vectors * n_vectors
        self.first = nn.Sequential(
            nn.Linear(n_scalars + n_pairs, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_hidden)
        )
        self.weigh = nn.Linear(n_hidden, _N_SUMS)
        self.second = nn.Sequential(
            nn.Linear(n_hidden + n_vectors * _N_SUMS * n_vectors, n_hidden),
            nn.SiLU(),
            nn.Linear(n_hidden, n_hidden),
        )

    def forward(self, vectors: Tensor, points: Points) -> Tensor:
        """``vectors`` [n_nodes, n_vectors, 3]."""
        size = points.spread(points.mean(vectors.square().mean((1, 2)))).clamp(
            min=torch.finfo(vectors.dtype).tiny ** 0.5
        )
        v = vectors / size.sqrt().view(-1, 1, 1)
        gram = (v @ v.mT).flatten(1)
        h = self.first(torch.cat([points.scalars, gram / (1.0 + gram.square()).sqrt()], 1))
        weighed = self.weigh(h)[:, :, None, None] * v.unsqueeze(1)
        sums = points.spread(points.mean(weighed).flatten(1, 2))
        products = (v @ sums.mT).flatten(1)
        out: Tensor = self.second(torch.cat([h, products / (1.0 + products.square()).sqrt()], 1))
        return out


class ByItself(nn.Module):
    """Scores of a particle's vectors [n_nodes, n_vectors] by its scalars alone. They begin far
    apart for unlike species and for the vectors of a particle, so that few frames have a weight
    from the start."""

    def __init__(self, n_scalars: int, n_vectors: int) -> None:
        super().__init__()
        spread = torch.linspace(-1.0, 1.0, n_scalars) if n_scalars > 1 else torch.ones(n_scalars)
        self.weight = nn.Parameter(_APART * spread.unsqueeze(1).repeat(1, n_vectors))
        self.bias = nn.Parameter(-_APART * torch.arange(float(n_vectors)))

    def forward(self, scalars: Tensor) -> Tensor:
        """scalars [n_nodes, n_scalars]."""
        return scalars @ self.weight + self.bias


def readout(n_in: int, n_out: int) -> Any:
    """A perceptron from features of particles to numbers of each."""
    return nn.Sequential(nn.Linear(n_in, n_in), nn.SiLU(), nn.Linear(n_in, n_out))


def bounded(scores: Tensor) -> Tensor:
    """Scores between plus and minus `_SHARPEST`, so that none outweighs a frame's decay."""
    return _SHARPEST * torch.tanh(scores / _SHARPEST)
