"""`StatesInPoses`: a network of states of particles, in canonical poses."""

from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.graph import Graph
from mcegnn.nn.canonical.canonicalization import Canonicalization
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.kinds import KINDS
from mcegnn.nn.canonical.points import Poses

_POSITION, _VECTOR, _SCALAR = KINDS["position"], KINDS["vector"], KINDS["scalar"]


class StatesInPoses(nn.Module):
    """A network from positions, velocities and what marks particles to displacements and changes of
    velocity, which are vectors, evaluated in canonical poses."""

    def __init__(self, network: nn.Module, group: Group, canonicalizer: str, **options: Any):
        super().__init__()
        self.network = network
        kinds = (_POSITION, _VECTOR)
        self.canonicalization = Canonicalization(group, canonicalizer, kinds, 1, **options)

    def forward(self, x: Tensor, v: Tensor, marks: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """As the network's."""
        shape, n = x.shape, len(x)
        flat_x, flat_v, flat_marks = self._flat(x, v, marks)
        n_systems = len(flat_x) // n
        owner = torch.arange(n_systems, device=x.device).repeat_interleave(n)
        poses: Poses = self.canonicalization([flat_x, flat_v], flat_marks, owner, n_systems)

        def nodes_first(copies: Tensor) -> Tensor:
            return copies.unflatten(0, (-1, n)).transpose(0, 1)

        said = self.network(
            nodes_first(poses.enter(flat_x, _POSITION)),
            nodes_first(poses.enter(flat_v, _VECTOR)),
            nodes_first(poses.enter(flat_marks, _SCALAR)).squeeze(-1),
            graph,
        )
        moved, changed = (
            nodes_first(poses.leave(part.transpose(0, 1).flatten(0, 1), _VECTOR)).reshape(shape)
            for part in said
        )
        return moved, changed

    @staticmethod
    def _flat(x: Tensor, v: Tensor, marks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Systems side by side: [n_systems n, 3] twice, and marks [n_systems n, 1]."""
        n = len(x)
        return (
            x.reshape(n, -1, 3).transpose(0, 1).flatten(0, 1),
            v.reshape(n, -1, 3).transpose(0, 1).flatten(0, 1),
            marks.reshape(n, -1).t().reshape(-1, 1),
        )
