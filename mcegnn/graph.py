"""Graphs: edges between nodes, and how messages along edges are summed at nodes.

Node arrays are [n_nodes, ..., features], edge arrays [n_edges, ..., features]. The axes in between
are copies that share one graph: an ensemble of equal-size systems is one small graph with a batch
axis, systems of different sizes are one large graph without (`Batch`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """Edges from sender j to receiver i [n_edges] among ``n_nodes`` nodes; `of` and `complete` sort
    them by receiver.

    ``degree`` is the number of edges that end at each node, where it is the same for all: sums then
    need no scattering. ``shifts``, int64 [n_edges, 3], are there where nodes have periodic images:
    the lattice vectors to add, r_ij = x[j] - x[i] + shifts @ cell.
    """

    i: Tensor
    j: Tensor
    n_nodes: int
    degree: int | None = None
    shifts: Tensor | None = None

    @classmethod
    def of(cls, i: Tensor, j: Tensor, n_nodes: int, shifts: Tensor | None = None) -> "Graph":
        """The graph of these edges. Raises ValueError if they do not fit together or name a node
        that is not there."""
        if i.ndim != 1 or i.shape != j.shape:
            raise ValueError(
                f"edges are two lists of the same length, not {tuple(i.shape)} and {tuple(j.shape)}"
            )
        if (
            len(i)
            and not 0 <= int(torch.minimum(i, j).min()) <= int(torch.maximum(i, j).max()) < n_nodes
        ):
            raise ValueError(f"edges name nodes outside 0 ... {n_nodes - 1}")
        if shifts is not None and shifts.shape != (len(i), 3):
            raise ValueError(
                f"shifts of {len(i)} edges have shape {(len(i), 3)}, not {tuple(shifts.shape)}"
            )
        order = torch.argsort(i, stable=True)
        return cls(
            i[order],
            j[order],
            n_nodes,
            regular_degree(i, n_nodes),
            None if shifts is None else shifts[order],
        )

    def pairs(self, receivers: Tensor, senders: Tensor, dim: int = 0) -> Tensor:
        """receivers_i + senders_j of each edge; the node axis, which becomes the edge axis, is
        ``dim``."""
        if self.degree is None:
            return receivers.index_select(dim, self.i) + senders.index_select(dim, self.j)
        sent = senders.index_select(dim, self.j).unflatten(dim, (self.n_nodes, self.degree))
        return (receivers.unsqueeze(dim + 1) + sent).flatten(dim, dim + 1)

    def differences(self, nodes: Tensor, dim: int = 0) -> Tensor:
        """nodes_i - nodes_j of each edge, as `pairs`. Raises ValueError if there are shifts, which
        need a cell."""
        if self.shifts is not None:
            raise ValueError(
                "differences between periodic images need the cell: subtract senders and shifts @"
                " cell from receivers"
            )
        if self.degree is None:
            return nodes.index_select(dim, self.i) - nodes.index_select(dim, self.j)
        sent = nodes.index_select(dim, self.j).unflatten(dim, (self.n_nodes, self.degree))
        return (nodes.unsqueeze(dim + 1) - sent).flatten(dim, dim + 1)

    def receivers(self, nodes: Tensor, dim: int = 0) -> Tensor:
        """The values of each edge's receiver."""
        return nodes.index_select(dim, self.i)

    def senders(self, nodes: Tensor, dim: int = 0) -> Tensor:
        """The values of each edge's sender."""
        return nodes.index_select(dim, self.j)

    def sum(self, messages: Tensor, dim: int = 0) -> Tensor:
        """Sum of the messages that end at each node; the edge axis, which becomes the node axis, is
        ``dim``."""
        if self.degree is not None:
            return messages.unflatten(dim, (self.n_nodes, self.degree)).sum(dim + 1)
        shape = (*messages.shape[:dim], self.n_nodes, *messages.shape[dim + 1 :])
        return messages.new_zeros(shape).index_add(dim, self.i, messages)

    def mean(self, messages: Tensor, dim: int = 0) -> Tensor:
        """Mean of the messages that end at each node; zero where there are none."""
        if self.degree is not None:
            return messages.unflatten(dim, (self.n_nodes, self.degree)).mean(dim + 1)
        counts = torch.bincount(self.i, minlength=self.n_nodes).clamp(min=1).to(messages.dtype)
        return self.sum(messages, dim) / counts.view(-1, *[1] * (messages.ndim - 1 - dim))

    def to(self, device: torch.device) -> "Graph":
        """The same graph on another device."""
        if self.i.device == device:
            return self
        shifts = None if self.shifts is None else self.shifts.to(device)
        return Graph(self.i.to(device), self.j.to(device), self.n_nodes, self.degree, shifts)


def regular_degree(i: Tensor, n_nodes: int) -> int | None:
    """How many edges end at each node, for edges with receivers i [n_edges]; None where nodes
    differ or there are no edges."""
    counts = torch.bincount(i, minlength=n_nodes)
    regular = n_nodes > 0 and bool((counts == counts[0]).all()) and int(counts[0]) > 0
    return int(counts[0]) if regular else None


@cache
def complete(n_nodes: int) -> Graph:
    """Every node with every other: n (n - 1) edges, sorted by receiver."""
    with torch.inference_mode(False):  # what is kept must serve training too
        i, j = torch.meshgrid(torch.arange(n_nodes), torch.arange(n_nodes), indexing="ij")
        off = i != j
        return Graph(i[off], j[off], n_nodes, n_nodes - 1 if n_nodes > 1 else None)


@dataclass(frozen=True, eq=False)
class Batch:
    """Systems of any sizes as one graph without edges between them; ``system`` [n_nodes] tells
    whose each node is."""

    graph: Graph
    system: Tensor
    n_systems: int

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(self.graph.to(device), self.system.to(device), self.n_systems)


def collate(graphs: Sequence[Graph]) -> Batch:
    """Join graphs into one without edges between them; nodes and edges keep their order. Raises
    ValueError if there are none."""
    if not graphs:
        raise ValueError("a batch needs at least one graph")
    sizes = torch.tensor([graph.n_nodes for graph in graphs])
    first = torch.cumsum(sizes, 0) - sizes
    i = torch.cat([graph.i + at for graph, at in zip(graphs, first, strict=True)])
    j = torch.cat([graph.j + at for graph, at in zip(graphs, first, strict=True)])
    degrees = {graph.degree for graph in graphs}
    shifts = None
    if any(graph.shifts is not None for graph in graphs):
        shifts = torch.cat(
            [
                graph.i.new_zeros(len(graph.i), 3) if graph.shifts is None else graph.shifts
                for graph in graphs
            ]
        )
    merged = Graph(i, j, int(sizes.sum()), degrees.pop() if len(degrees) == 1 else None, shifts)
    return Batch(merged, torch.repeat_interleave(torch.arange(len(graphs)), sizes), len(graphs))
