"""Real spherical harmonics of a direction, of degrees one to three: how a direction turns as a vector, and as tensors of higher rank."""

import math

import torch
from torch import Tensor

MOST = 3  # degrees


def harmonics(u: Tensor, n_degrees: int) -> list[Tensor]:
    """Unit vectors u [n, 3] to the harmonics of degree l = 1 ... n_degrees, each [2 l + 1, n], of unit length for every direction.

    They transform under rotations among themselves; the inner product of those of two directions is the Legendre polynomial P_l of the
    cosine of the angle between them. Those of degree 1 are x, y, z.
    """
    x, y, z = u.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    a, b, c, d = math.sqrt(3.0), math.sqrt(15.0), math.sqrt(5.0 / 8.0), math.sqrt(3.0 / 8.0)
    by_degree = [
        [x, y, z],
        [a * x * y, a * y * z, a * x * z, 0.5 * a * (xx - yy), 0.5 * (3.0 * zz - 1.0)],
        [
            c * y * (3.0 * xx - yy), b * x * y * z, d * y * (5.0 * zz - 1.0), 0.5 * z * (5.0 * zz - 3.0),
            d * x * (5.0 * zz - 1.0), 0.5 * b * z * (xx - yy), c * x * (xx - 3.0 * yy),
        ],
    ]  # fmt: skip
    return [torch.stack(parts) for parts in by_degree[:n_degrees]]
