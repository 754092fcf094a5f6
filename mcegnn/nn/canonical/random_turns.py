"""Random rotations and reflections of systems, the augmentation of a training."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_ANY = 3.0  # radians from which on all rotations are equally likely


def stream_of(key: Sequence[int]) -> torch.Generator:
    """Random numbers that belong to some whole numbers, such as a seed and an update."""
    (seed,) = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed) % 2**63)


def random_turns(
    n: int, spread: float, like: Tensor, stream: torch.Generator | None = None, *, proper: bool
) -> Tensor:
    """Rotations [n, 3, 3], half of them with an inversion unless ``proper``: by normal vectors with
    a standard deviation of ``spread`` radians, or, from three radians on, all equally likely.
    ``like`` says in which precision and on which device; ``stream`` is torch's own if None."""
    if spread >= _ANY:
        drawn = torch.randn(n, 3, 3, generator=stream, dtype=torch.float64)
        q, r = torch.linalg.qr(drawn)
        q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
        turns = q * torch.linalg.det(q).view(-1, 1, 1)
    else:
        around = torch.randn(n, 3, generator=stream, dtype=torch.float64)
        turns = torch.linalg.matrix_exp(skew(spread * around))
    if not proper:
        turns = turns * (1.0 - 2.0 * torch.randint(0, 2, (n, 1, 1), generator=stream))
    return turns.to(like)


def skew(v: Tensor) -> Tensor:
    """The matrices [..., 3, 3] with skew(v) u = v x u."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
