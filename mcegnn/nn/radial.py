"""Functions of a pair's distance that networks begin with: a basis, and an envelope that ends it
smoothly at the cutoff."""

import math

import torch
from torch import Tensor, nn


def envelope(t: Tensor) -> Tensor:
    """One at distance zero, zero from the cutoff (t = r / cutoff = 1) on, with two continuous
    derivatives.

    The polynomial of Gasteiger, Groß and Günnemann 2020 (arXiv 2003.03123) with p = 6.
    """
    return torch.where(t < 1.0, 1.0 - t**6 * (28.0 - 48.0 * t + 21.0 * t * t), 0.0)


class BesselBasis(nn.Module):
    """(2 / k)^smoothness sin(w_k r / cutoff) / r under the envelope, k = 1 ... ``n_radial``; the
    frequencies w_k are learned, from k pi on.

    Source: Gasteiger, Groß and Günnemann 2020 (arXiv 2003.03123), where ``smoothness`` is zero.
    Where it is positive, functions that vary fast are smaller and the first is larger, so that what
    is learned of few structures varies slowly where it can. Distances are in the cutoff's unit;
    values are of order one.
    """

    sizes: Tensor  # [n_radial]

    def __init__(self, n_radial: int, cutoff: float, smoothness: float = 0.0) -> None:
        super().__init__()
        self.cutoff = cutoff
        k = torch.arange(1, n_radial + 1)
        self.frequencies = nn.Parameter(math.pi * k)
        self.register_buffer("sizes", (2.0 / k.double()) ** smoothness, persistent=False)

    def forward(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """Distances r [..., 1] to basis values [..., n_radial] and the envelope [..., 1]."""
        t = r / self.cutoff
        ends = envelope(t)
        return (
            torch.sin(self.frequencies * t)
            * (ends / t)
            * (self.sizes.to(r) * (math.sqrt(2.0) / self.cutoff)),
            ends,
        )
