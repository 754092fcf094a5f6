"""Kinds of quantities: how scalars, vectors, positions and tensors change under a group's elements.

A rotation or reflection R and a shift t take a position x to R x + t, a vector v to R v, a tensor T
to R T R^T. Pseudo quantities have a factor det R besides, as an angular momentum has.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mcegnn.names import nearest

PER_PARTICLE, PER_SYSTEM = " per particle", " per system"


@dataclass(frozen=True)
class Kind:
    """How a quantity changes: its ``rank``, whether it has a factor det R (``pseudo``), whether it
    ``moves`` with the origin, and whether there is one of each particle."""

    name: str
    rank: int = 0
    pseudo: bool = False
    moves: bool = False
    per_particle: bool = True

    def act(self, values: Tensor, rotations: Tensor, shifts: Tensor) -> Tensor:
        """Values [n, ...] moved by rotations [n, 3, 3] and shifts [n, 3], element by element."""
        if self.rank == 2:
            values = rotations @ values @ rotations.mT
        elif self.rank == 1:
            values = (rotations @ values.unsqueeze(-1)).squeeze(-1)
        if self.pseudo:
            sign = torch.linalg.det(rotations).round()
            values = values * sign.view(-1, *[1] * (values.ndim - 1))
        return values + shifts if self.moves else values

    def act_back(self, values: Tensor, rotations: Tensor, shifts: Tensor) -> Tensor:
        """The inverse of `act`."""
        if self.moves:
            values = values - shifts
        return replace(self, moves=False).act(values, rotations.mT, shifts)


_KINDS = (
    Kind("scalar"),
    Kind("pseudoscalar", pseudo=True),
    Kind("vector", 1),
    Kind("pseudovector", 1, pseudo=True),
    Kind("position", 1, moves=True),
    Kind("tensor", 2),
    Kind("pseudotensor", 2, pseudo=True),
)
KINDS = {kind.name: kind for kind in _KINDS}


def kind_of(name: str, *, per_particle: bool = True) -> Kind:
    """The kind of a name, such as "vector", "scalar per particle" or "tensor per system"; whether
    one that does not say so is of each particle is the caller's to say. Raises ValueError, naming
    the nearest, if there is none."""
    bare = name
    for ending, each in ((PER_PARTICLE, True), (PER_SYSTEM, False)):
        if name.endswith(ending):
            bare, per_particle = name.removesuffix(ending), each
    if bare not in KINDS:
        raise ValueError(
            f"there is no kind of quantity {name!r}; did you mean {nearest(bare, KINDS)}? (known:"
            f" {', '.join(KINDS)}, each also with '{PER_PARTICLE.strip()}' or"
            f" '{PER_SYSTEM.strip()}')"
        )
    return replace(KINDS[bare], per_particle=per_particle)
