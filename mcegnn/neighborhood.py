"""Neighbourhoods: the near pairs of structures of any sizes as arrays with as many places for each
node, so that nothing is scattered.

A graph's sums over senders and their derivatives scatter, which is slow and on many threads without
a fixed order. Here each node has ``degree`` places, some of them empty, and each pair knows the
place of its mirror image: the derivative of what is sent along all pairs is what comes back along
their mirror images, a sum over places.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from mcegnn.graph import Graph
from systems.neighbors.lists import NeighborList
from systems.neighbors.pairs import Pairs
from systems.system import System


class _Sent(torch.autograd.Function):
    """What each place's sender has: [..., n_nodes, ...] to [..., n_nodes, degree, ...]."""

    @staticmethod
    def forward(ctx: Any, nodes: Tensor, senders: Tensor, mirror: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(senders, mirror)
        ctx.dim = dim
        return nodes.index_select(dim, senders.reshape(-1)).unflatten(dim, senders.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Returned.apply(gradient, *ctx.saved_tensors, ctx.dim), None, None, None


class _Returned(torch.autograd.Function):
    """The sum of what the mirror images of each node's places have: the adjoint of `_Sent`."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, senders: Tensor, mirror: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(senders, mirror)
        ctx.dim = dim
        return (
            places.flatten(dim, dim + 1)
            .index_select(dim, mirror)
            .unflatten(dim, senders.shape)
            .sum(dim + 1)
        )

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Sent.apply(gradient, *ctx.saved_tensors, ctx.dim), None, None, None


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Neighbours of each node: ``senders`` int64 [n_nodes, degree], empty places naming the node
    itself.

    ``mirror`` int64 [n_nodes * degree] is the place (row by row) of the pair seen from the other
    side, for empty places their own. ``owner`` int64 [n_nodes], sorted, tells whose each node is;
    None where all are of one system.
    """

    senders: Tensor
    mirror: Tensor
    owner: Tensor | None = None

    def owners(self) -> tuple[Tensor, int]:
        """Whose each node is [n_nodes], and how many systems there are."""
        if self.owner is None:
            return self.senders.new_zeros(len(self.senders)), 1
        return self.owner, int(self.owner[-1]) + 1 if len(self.owner) else 0

    def sent(self, nodes: Tensor, dim: int = 0) -> Tensor:
        """What each place's sender has; the node axis ``dim`` becomes two, nodes and places."""
        return _Sent.apply(nodes, self.senders, self.mirror, dim)

    def returned(self, places: Tensor, dim: int = 0) -> Tensor:
        """The sum, at each node, of what the mirror images of its places have; the axes ``dim`` and
        ``dim`` + 1 become one.

        Empty places are their own mirror images, so they must hold zeros.
        """
        return _Returned.apply(places, self.senders, self.mirror, dim)

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        owner = None if self.owner is None else self.owner.to(device)
        return type(self)(self.senders.to(device), self.mirror.to(device), owner)


@dataclass(frozen=True, eq=False)
class Places:
    """One structure's near pairs in NumPy: ``senders`` and ``mirror`` [n, degree], ``offsets`` [n,
    degree, 3] from node to sender.

    Empty places have the offset (cutoff, 0, 0): there nothing acts any more, and nothing is divided
    by zero.
    """

    senders: np.ndarray
    mirror: np.ndarray
    offsets: np.ndarray

    @property
    def hood(self) -> Neighborhood:
        """The neighbourhood on torch."""
        return Neighborhood(torch.from_numpy(self.senders), torch.from_numpy(self.mirror.ravel()))


def from_graph(
    graph: Graph, positions: Tensor, cutoff: float, cells: Tensor | None = None
) -> tuple[Neighborhood, Tensor]:
    """The neighbourhood of a graph whose edges are in order (`mcegnn.radius.radius_graph`), and the
    offsets [n_nodes, degree, 3] from each node to its senders, on the graph's device.

    ``cells`` [n_nodes, 3, 3] are those of the nodes' systems, where the graph has shifts. Empty
    places are as those of `Places`.
    """
    i, j, n = graph.i, graph.j, graph.n_nodes
    counts = torch.bincount(i, minlength=n)
    degree = max(1, int(counts.max())) if n else 1
    edges = torch.arange(len(i), device=i.device)
    at = i * degree + edges - (counts.cumsum(0) - counts)[i]
    d = positions[j] - positions[i]
    if graph.shifts is not None and cells is not None:
        d = d + (graph.shifts.to(d)[:, None] @ cells[i])[:, 0]
    nodes = torch.arange(n, device=i.device)
    senders, mirror = nodes.repeat_interleave(degree), torch.arange(n * degree, device=i.device)
    offsets = positions.new_zeros(n * degree, 3)
    offsets[:, 0] = cutoff
    senders[at], mirror[at], offsets[at] = j, at[_mirror_of_edges(graph)], d
    return Neighborhood(senders.view(n, degree), mirror), offsets.view(n, degree, 3)


def _mirror_of_edges(graph: Graph) -> Tensor:
    """As `mirror_of`, of a graph's edges: sorted by sender, receiver and opposite shift, by the
    last key first."""
    keys = [graph.i, graph.j]
    if graph.shifts is not None:
        keys = [*(-graph.shifts.flip(1)).unbind(1), *keys]
    order = torch.arange(len(graph.i), device=graph.i.device)
    for key in keys:
        order = order[torch.argsort(key[order], stable=True)]
    return order


def mirror_of(pairs: Pairs) -> np.ndarray:
    """The index [n_pairs] of each pair's mirror image in a list that is sorted by centre, neighbour
    and shift."""
    shift = pairs.shift
    # the list sorted by neighbour, centre and opposite shift has the mirror images in the list's
    # own order
    return np.lexsort(
        (
            -shift[:, 2].astype(int),
            -shift[:, 1].astype(int),
            -shift[:, 0].astype(int),
            pairs.i,
            pairs.j,
        )
    )


def places(system: System, cutoff: float) -> Places:
    """The pairs of a single system nearer than ``cutoff``, with as many places for each node as the
    node with most neighbours has."""
    pairs = NeighborList(cutoff)(*system.geometry)
    n, counts = len(pairs.starts) - 1, np.diff(pairs.starts)
    degree = max(1, int(counts.max(initial=0)))
    at = pairs.i * np.int64(degree) + np.arange(len(pairs)) - pairs.starts[pairs.i]
    senders, mirror = np.repeat(np.arange(n), degree), np.arange(n * degree)
    offsets = np.zeros((n * degree, 3))
    offsets[:, 0] = cutoff
    senders[at], mirror[at] = pairs.j, at[mirror_of(pairs)]
    offsets[at] = pairs.offsets(system.positions, system.cell)
    shape = (n, degree)
    return Places(senders.reshape(shape), mirror.reshape(shape), offsets.reshape(*shape, 3))
