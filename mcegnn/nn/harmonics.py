"""Real spherical harmonics of a direction: how a direction turns as a vector, and as tensors of
higher rank."""

import torch
from torch import Tensor

from mcegnn.harmonics import components


def harmonics(u: Tensor, n_degrees: int) -> list[Tensor]:
    """Unit vectors u [n, 3] to the harmonics of degree l = 1 ... n_degrees, each [2 l + 1, n], of
    unit length for every direction.

    The inner product of those of two directions is the Legendre polynomial P_l of the cosine of the
    angle between them.
    """
    x, y, z = u.unbind(-1)
    return [torch.stack(parts) for parts in components(x, y, z, n_degrees)]
