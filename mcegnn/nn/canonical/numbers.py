"""`NumbersInPoses`: a network of one number for each atom of molecules, in canonical poses."""

from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.graph import Batch, Graph
from mcegnn.nn.canonical.canonicalization import Canonicalization
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.kinds import KINDS
from mcegnn.nn.canonical.points import Poses, entries_of


class NumbersInPoses(nn.Module):
    """A network from atoms' species and positions to one number for each atom, of molecules of any
    sizes, evaluated in canonical poses and averaged over them. Raises ValueError if the group has
    permutations, which change no property."""

    def __init__(
        self,
        network: nn.Module,
        group: Group,
        canonicalizer: str,
        *,
        n_species: int,
        **options: Any,
    ) -> None:
        super().__init__()
        if group.permutations:
            raise ValueError(
                f"{group.name} permutes atoms, whose order changes no property; leave that out"
            )
        self.network = network
        kinds = [KINDS["position"]]
        self.canonicalization = Canonicalization(group, canonicalizer, kinds, n_species, **options)

    def forward(self, nodes: Tensor, x: Tensor, radial: Tensor, batch: Batch) -> Tensor:
        """As the network's."""
        poses: Poses = self.canonicalization([x], nodes, batch.system, batch.n_systems)
        copies, edges = _copied(batch, poses)
        numbers: Tensor = self.network(
            nodes[poses.node], poses.enter(x, KINDS["position"]), radial[edges], copies
        )
        return poses.leave(numbers, KINDS["scalar"])


def _copied(batch: Batch, poses: Poses) -> tuple[Batch, Tensor]:
    """The graphs of all copies of systems in their poses, and which of the given edges each of
    theirs is."""
    graph = batch.graph
    if poses.single:
        return batch, torch.arange(len(graph.i), device=graph.i.device)
    sizes = torch.bincount(batch.system, minlength=batch.n_systems)
    copied = sizes[poses.system]
    # from a node of the given ones to its copy in a pose
    shift = copied.cumsum(0) - copied - (sizes.cumsum(0) - sizes)[poses.system]
    pose, edge = entries_of(poses.system, batch.system[graph.i], batch.n_systems)
    i, j = graph.i[edge] + shift[pose], graph.j[edge] + shift[pose]
    whole = Graph(i, j, len(poses.node), graph.degree)
    return Batch(whole, poses.pose, len(poses.system)), edge
