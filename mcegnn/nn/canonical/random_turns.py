"""Random rotations and reflections of systems, the augmentation of a training."""

import torch
from torch import Tensor

from mcegnn.nn.canonical.points import Points


def stream_of(points: Points) -> torch.Generator:
    """Random numbers by the points themselves, so that a training that goes on draws what it would
    have drawn."""
    seed = abs(hash(float(points.vectors.detach().double().sum())))
    return torch.Generator().manual_seed(seed % 2**63)


def uniform_turns(points: Points, *, proper: bool) -> Tensor:
    """Rotations [n_systems, 3, 3], all equally likely, with reflections unless ``proper``."""
    drawn = torch.randn(points.n_systems, 3, 3, generator=stream_of(points))
    q, r = torch.linalg.qr(drawn.to(points.vectors.device))
    q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    if proper:
        q = q * torch.linalg.det(q).view(-1, 1, 1)
    return q.to(points.vectors)


def normal_turns(points: Points, spread: float, *, proper: bool) -> Tensor:
    """Rotations [n_systems, 3, 3] by normal vectors of this standard deviation (radians), half of
    them followed by an inversion unless ``proper``; more than three radians is as good as any."""
    stream, n = stream_of(points), points.n_systems
    x, y, z = (spread * torch.randn(3, n, generator=stream)).unbind(0)
    none = torch.zeros_like(x)
    around = torch.stack([none, -z, y, z, none, -x, -y, x, none], 1).view(n, 3, 3)
    turns = torch.linalg.matrix_exp(around.to(points.vectors))
    if proper:
        return turns
    signs = 1.0 - 2.0 * torch.randint(0, 2, (n, 1, 1), generator=stream)
    return turns * signs.to(turns)
