"""Radius graphs: the edges between all nodes nearer than a cutoff, found by one of three methods
that give the same edges.

Whether a pair is near is decided in float64, dx² + dy² + dz² < cutoff² term by term, whatever the
method, the device and the dtype of the positions: a library's own arithmetic would decide otherwise
for some pairs at just that distance, which are many in a lattice.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mcegnn.graph import Graph, regular_degree
from systems.neighbors.lists import NeighborList

Method = Literal["numba", "dense", "torch-cluster"]
Lattice = tuple[
    np.ndarray | None, tuple[bool, bool, bool]
]  # a cell, and the directions in which it is periodic

_DENSE = (
    100**2
)  # candidate pairs of a graph below which looking at all of them is faster than a cell list
_ROOM = 2**20  # candidate pairs in memory at once


def radius_graph(
    positions: Tensor,
    cutoff: float,
    batch: Tensor | None = None,
    *,
    cell: Tensor | None = None,
    pbc: Sequence[bool] | Tensor | None = None,
    method: Method | None = None,
) -> Graph:
    """Every node with all others of its graph that are nearer than ``cutoff``: edges sorted by
    receiver, then sender, then shift.

    Shapes: positions [n_nodes, 3]; ``batch`` [n_nodes], in ascending order, tells whose each node
    is (`Batch.system`), and without it there is one graph. ``cell`` [3, 3] or [n_graphs, 3, 3] has
    lattice vectors as rows; graphs are periodic in the directions that ``pbc`` [3] or [n_graphs, 3]
    names, without it in all three. Then edges have shifts, and a node is a neighbour of its own
    images, not of itself.

    Methods: "numba" (a cell list on the CPU, graph after graph; the only one for periodic graphs),
    "dense" (all pairs, on any device that has float64), "torch-cluster" (the extra `cluster`).
    Without one it is the fastest there is. Edges are on the device of the positions.

    Raises ValueError if inputs do not fit together or are not finite, or if a method is unknown or
    cannot be used, and ImportError if torch-cluster is requested and not installed.
    """
    _check_arguments(positions, cutoff, batch)
    x, cutoff = positions.detach(), float(cutoff)
    system = (
        torch.zeros(len(x), dtype=torch.long, device=x.device)
        if batch is None
        else batch.to(x.device, torch.long)
    )
    lattices = _lattices(cell, pbc, int(system[-1]) + 1 if len(system) else 0)
    sizes = torch.bincount(system, minlength=len(lattices) if lattices else 1)
    if method is None:
        method = fastest(x.device.type, sizes.tolist(), periodic=bool(lattices))
    if method == "numba":
        return _cell_lists(x, cutoff, sizes.tolist(), lattices)
    if method not in _WITHOUT_CELL:
        raise ValueError(
            f"there is no method {method!r}; there are 'numba', 'dense' and 'torch-cluster'"
        )
    if lattices:
        raise ValueError(
            f"{method} knows no periodic images; leave the method out or make it 'numba'"
        )
    i, j = _WITHOUT_CELL[method](x.double(), cutoff, system, sizes)
    return Graph(i, j, len(x), regular_degree(i, len(x)))


def fastest(device: str, sizes: Sequence[int], *, periodic: bool) -> Method:
    """The method for graphs of these sizes on such a device."""
    if periodic:
        return "numba"
    if device == "cuda":
        return "torch-cluster" if _cluster_has_cuda() else "dense"
    small = sum(sizes) * max(sizes) <= _DENSE * len(sizes)
    return "dense" if device == "cpu" and small else "numba"


@cache
def _cluster_has_cuda() -> bool:
    try:
        import torch_cluster
    except (
        ImportError,
        OSError,
        RuntimeError,
    ):  # not installed, or compiled for another torch or another CUDA
        return False
    return bool(torch_cluster.cuda_version != -1)  # compiled where there was no CUDA


def _check_arguments(positions: Tensor, cutoff: float, batch: Tensor | None) -> None:
    if not (cutoff > 0 and math.isfinite(cutoff)):
        raise ValueError(f"the cutoff must be a positive number, not {float(cutoff)}")
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError(
            f"positions have shape {tuple(positions.shape)}; they must be [n_nodes, 3]"
        )
    broken = ~positions.isfinite().all(1)
    if broken.any():
        raise ValueError(
            f"node {int(broken.nonzero()[0])} has no finite position, so it has no neighbours"
        )
    if batch is None:
        return
    if batch.shape != (len(positions),):
        raise ValueError(
            f"batch has shape {tuple(batch.shape)}; for these positions it must be"
            f" {(len(positions),)}"
        )
    if batch.is_floating_point() or batch.is_complex() or batch.dtype == torch.bool:
        raise ValueError(f"batch numbers graphs: it holds integers, not {batch.dtype}")
    if len(batch) and (int(batch[0]) < 0 or bool((batch[1:] < batch[:-1]).any())):
        raise ValueError("batch must be sorted, from 0 on: the nodes of a graph stand side by side")


def _lattices(
    cell: Tensor | None, pbc: Sequence[bool] | Tensor | None, n_graphs: int
) -> list[Lattice]:
    """One of each graph; none where no graph is periodic."""
    periodic = torch.as_tensor(cell is not None if pbc is None else pbc).bool().cpu()
    if not periodic.any():
        return []
    if cell is None:
        raise ValueError("a periodic direction needs a lattice vector: give the cell")
    n_cells = len(cell) if cell.ndim == 3 else max(n_graphs, 1)
    if n_cells < n_graphs:
        raise ValueError(f"batch names graph {n_graphs - 1}, but there are {n_cells} cells")
    try:
        cells, directions = (
            cell.detach().cpu().double().expand(n_cells, 3, 3),
            periodic.expand(n_cells, 3),
        )
    except RuntimeError:
        shapes = f"{tuple(cell.shape)} and {tuple(periodic.shape)}"
        raise ValueError(
            f"cell and pbc have shapes {shapes}; they must be [3, 3] and [3], or such for each of"
            f" {n_cells} graphs"
        ) from None
    return [
        (box, (a, b, c)) for box, (a, b, c) in zip(cells.numpy(), directions.tolist(), strict=True)
    ]


def _cell_lists(
    x: Tensor, cutoff: float, sizes: Sequence[int], lattices: Sequence[Lattice]
) -> Graph:
    """By a cell list of each graph."""
    nodes, first, found = x.cpu().double().numpy(), 0, []
    for size, (cell, pbc) in zip(
        sizes, lattices or [(None, (False, False, False))] * len(sizes), strict=True
    ):
        pairs = NeighborList(cutoff)(nodes[first : first + size], cell, pbc)
        found.append(
            (pairs.i + np.int64(first), pairs.j + np.int64(first), pairs.shift.astype(np.int64))
        )
        first += size
    i, j, shifts = (
        torch.as_tensor(np.concatenate(parts), device=x.device)
        for parts in zip(*found, strict=True)
    )
    return Graph(i, j, len(x), regular_degree(i, len(x)), shifts if lattices else None)


def _dense(x: Tensor, cutoff: float, system: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Receivers and senders: each node looks at all of its graph, at no other."""
    first, largest = (sizes.cumsum(0) - sizes)[system], max(int(sizes.max()), 1)
    place = torch.arange(len(x), device=x.device) - first
    # rows of graphs [3, n_graphs, largest]; where there is no node is NaN, which is near to nothing
    rows = x.new_full((3, len(sizes), largest), torch.nan)
    rows[:, system, place] = x.T
    found = []
    for centres in torch.arange(len(x), device=x.device).split(max(1, _ROOM // largest)):
        near = (
            _squares(
                [
                    row[system[centres]] - own[centres, None]
                    for row, own in zip(rows, x.T, strict=True)
                ]
            )
            < cutoff**2
        )
        near[torch.arange(len(centres)), place[centres]] = False
        at, sender = near.nonzero(as_tuple=True)
        found.append(torch.stack([centres[at], first[centres[at]] + sender]))
    i, j = torch.cat(found, 1)
    return i, j


def _cluster(x: Tensor, cutoff: float, system: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Receivers and senders by torch-cluster."""
    try:
        from torch_cluster import radius_graph as candidates
    except ImportError:
        raise ImportError(
            "torch-cluster is not installed; `pip install --no-build-isolation mcegnn[cluster]`"
            " compiles it, which takes some ten minutes"
        ) from None
    # it keeps so many neighbours of a node, 32 unless told, and drops the others without a word; a
    # GPU needs memory for as many of each
    most, largest = 64, int(sizes.max())
    while True:
        # slightly too many, whatever its rounding, of which the same comparison as everywhere
        # decides
        j, i = candidates(
            x,
            cutoff * (1 + 1e-9),
            system,
            loop=False,
            max_num_neighbors=most,
            batch_size=len(sizes),
        )
        if most >= largest or not len(i) or int(torch.bincount(i).max()) < most:
            break
        most *= 4
    near = _squares([own[j] - own[i] for own in x.T]) < cutoff**2
    i, j = i[near], j[near]
    order = torch.argsort(i * len(x) + j)
    return i[order], j[order]


def _squares(differences: Sequence[Tensor]) -> Tensor:
    """Squared lengths, added in the order in which the cell list does: a sum over an axis may take
    another."""
    dx, dy, dz = differences
    return dx * dx + dy * dy + dz * dz


_WITHOUT_CELL: dict[str, Callable[[Tensor, float, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "dense": _dense,
    "torch-cluster": _cluster,
}
