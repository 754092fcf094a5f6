"""Radius graphs: every method against a brute force, periodic ones against `neighbor_pairs`;
nothing is cut, nothing bad gets in."""

import sys
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mcegnn import radius
from mcegnn.graph import Graph, collate
from mcegnn.radius import Method, fastest, radius_graph


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Arrays are small: on a busy machine threads would do little but wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["numba", "dense", "torch-cluster", None])
def method(request: pytest.FixtureRequest) -> Method | None:
    if request.param == "torch-cluster":
        pytest.importorskip("torch_cluster", reason="torch-cluster is not installed")
    return request.param


def rows_of(graph: Graph) -> np.ndarray:
    """Receivers and senders of a graph whose types are those that are promised, and shifts where
    there are some: [n_edges, 2 or 5]."""
    assert graph.i.dtype == graph.j.dtype == torch.int64
    columns = [graph.i[:, None], graph.j[:, None]]
    if graph.shifts is not None:
        assert graph.shifts.dtype == torch.int64
        columns.append(graph.shifts)
    return torch.cat(columns, 1).numpy()


def edges_of(graph: Graph) -> list[tuple[int, ...]]:
    return [tuple(row) for row in rows_of(graph).tolist()]


def brute_force(positions: Tensor, cutoff: float, batch: Tensor) -> np.ndarray:
    """All pairs of all nodes in order, [n_edges, 2]; float64 holds the coordinates of every dtype
    as they are."""
    x, owner = positions.double().numpy(), batch.numpy()
    dx, dy, dz = (x[None] - x[:, None]).transpose(2, 0, 1)
    near = (
        (dx**2 + dy**2 + dz**2 < cutoff**2)
        & (owner[None] == owner[:, None])
        & ~np.eye(len(x), dtype=bool)
    )
    return np.argwhere(near)


@cache
def random_batch(seed: int) -> tuple[Tensor, float, Tensor, np.ndarray]:
    """Some graphs, of which some are empty: clouds, clusters or lattices, near or far from the
    origin, here and there two nodes at a place.

    Lattices get a cutoff that is a distance in them: sqrt(k) spacings, up to rounding. The brute
    force's edges come last.
    """
    stream = np.random.default_rng(seed)
    sizes = stream.integers(0, 61, stream.integers(1, 9)) * (stream.random() < 0.95)
    n, spacing = int(sizes.sum()), float(stream.choice([0.1, 0.3, 1.0, 1.7]))
    kind = stream.choice(["cloud", "cluster", "lattice"])
    if kind == "cloud":
        x = stream.uniform(0, stream.choice([1.0, 4.0, 10.0]), (n, 3))
    elif kind == "cluster":
        x = stream.normal(0, 5, (4, 3))[stream.integers(0, 4, n)] + stream.normal(0, 0.3, (n, 3))
    else:
        x = stream.integers(-2, 3, (n, 3)) * spacing
    x += stream.choice([0.0, 0.0, 100.0])
    copies = stream.random(n) < stream.choice([0.0, 0.2])
    x[copies] = x[np.maximum(np.flatnonzero(copies) - 1, 0)]
    dtype = torch.float32 if seed % 2 else torch.float64
    cutoff = (
        spacing * int(stream.integers(1, 13)) ** 0.5
        if kind == "lattice"
        else 10.0 ** stream.uniform(-1, 1)
    )
    positions, batch = (
        torch.tensor(x).to(dtype),
        torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)),
    )
    return positions, cutoff, batch, brute_force(positions, cutoff, batch)


def test_random_batches_are_the_brute_force(method: Method | None) -> None:
    """The same edges in the same order, of 500 batches."""
    found = 0
    for seed in range(500):
        positions, cutoff, batch, expected = random_batch(seed)
        graph = radius_graph(positions, cutoff, batch, method=method)
        np.testing.assert_array_equal(rows_of(graph), expected, err_msg=f"seed {seed}")
        assert (graph.n_nodes, graph.shifts) == (len(positions), None)
        found += len(expected)
    assert found > 100_000


def test_a_batch_is_its_graphs_side_by_side(method: Method | None) -> None:
    for seed in range(20):
        positions, cutoff, batch, _ = random_batch(seed)
        parts = (
            [
                radius_graph(positions[batch == k], cutoff, method=method)
                for k in range(int(batch.max()) + 1)
            ]
            if len(batch)
            else []
        )
        if parts:
            np.testing.assert_array_equal(
                rows_of(radius_graph(positions, cutoff, batch, method=method)),
                rows_of(collate(parts).graph),
            )


@pytest.mark.parametrize("n", [33, 65, 100, 300])
def test_no_neighbour_is_cut(method: Method | None, n: int) -> None:
    """torch-cluster left to itself would keep 32 of each node."""
    cloud = torch.rand(n, 3, generator=torch.Generator().manual_seed(n))
    graph = radius_graph(cloud, 2.0, method=method)
    assert edges_of(graph) == [(i, j) for i in range(n) for j in range(n) if i != j]
    assert graph.degree == n - 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [0.1, 0.3, 1.0, 1.7, 2.0**0.5, 3e4, 1e-30])
def test_near_is_strictly_nearer_than_the_cutoff(
    method: Method | None, distance: float, dtype: torch.dtype
) -> None:
    """At the distance itself, and one float64 on: float32 cannot tell them apart, and 1e-30 squared
    is zero to it."""
    pair = torch.tensor([[0.0, 0.0, 0.0], [0.0, distance, 0.0]], dtype=dtype)
    exactly = pair[1, 1].item()
    assert edges_of(radius_graph(pair, exactly, method=method)) == []
    assert edges_of(radius_graph(pair, np.nextafter(exactly, np.inf), method=method)) == [
        (0, 1),
        (1, 0),
    ]


@pytest.mark.parametrize("room", [1, 59, 200, 5000])
def test_dense_in_parts_finds_the_same(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(radius, "_ROOM", room)
    for seed in range(10):
        positions, cutoff, batch, expected = random_batch(seed)
        np.testing.assert_array_equal(
            rows_of(radius_graph(positions, cutoff, batch, method="dense")), expected
        )


def test_graphs_without_nodes(method: Method | None) -> None:
    nothing = radius_graph(torch.zeros(0, 3), 1.0, method=method)
    assert (edges_of(nothing), nothing.n_nodes, nothing.degree) == ([], 0, None)
    assert (
        edges_of(
            radius_graph(torch.zeros(0, 3), 1.0, torch.zeros(0, dtype=torch.long), method=method)
        )
        == []
    )
    assert edges_of(radius_graph(torch.zeros(1, 3), 1.0, method=method)) == []
    assert edges_of(
        radius_graph(torch.zeros(3, 3), 1.0, torch.tensor([2, 5, 5]), method=method)
    ) == [(1, 2), (2, 1)]


def test_positions_with_a_gradient_and_other_integers(method: Method | None) -> None:
    """Whatever a model has at hand: leaves of a gradient, columns of a larger array, labels that
    would index as a mask."""
    x = torch.tensor([[0.0, 1, 2, 9], [0, 1, 2.5, 9], [0, 1, 7, 9]], requires_grad=True)
    graph = radius_graph(x[:, :3], 1.0, torch.zeros(3, dtype=torch.uint8), method=method)
    assert edges_of(graph) == [(0, 1), (1, 0)]
    graph.differences(x).square().sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad[:, 2], [-2.0, 2.0, 0.0])


def random_crystals(seed: int) -> tuple[Tensor, float, Tensor, np.ndarray, np.ndarray]:
    """Graphs in triclinic cells of their own, any mix of periodic directions; some nodes are far
    outside."""
    stream = np.random.default_rng(seed)
    sizes = stream.integers(1, 15, stream.integers(1, 4))
    cells = np.eye(3) * stream.uniform(2.0, 5.0, (len(sizes), 1, 3)) + stream.uniform(
        -0.8, 0.8, (len(sizes), 3, 3)
    )
    batch = np.repeat(np.arange(len(sizes)), sizes)
    x = np.einsum("na,nab->nb", stream.uniform(-1.5, 2.5, (len(batch), 3)), cells[batch])
    pbc = stream.random((len(sizes), 3)) < 0.6
    return torch.tensor(x), float(stream.uniform(1.0, 4.5)), torch.tensor(batch), cells, pbc


def defined(
    neighbor_pairs: Any,
    x: np.ndarray,
    cutoff: float,
    cell: np.ndarray,
    pbc: np.ndarray,
    first: int = 0,
) -> list[tuple[int, ...]]:
    pairs = neighbor_pairs(x, cell, (bool(pbc[0]), bool(pbc[1]), bool(pbc[2])), cutoff)
    return [
        tuple(row)
        for row in np.column_stack([pairs.i + first, pairs.j + first, pairs.shift]).tolist()
    ]


def test_periodic_batches_are_neighbor_pairs(neighbor_pairs: Any) -> None:
    """As edges with shifts, in order; and the lengths that the shifts give are below the cutoff."""
    shifted = 0
    for seed in range(100):
        x, cutoff, batch, cells, pbc = random_crystals(seed)
        graph = radius_graph(x, cutoff, batch, cell=torch.tensor(cells), pbc=torch.tensor(pbc))
        if not pbc.any():
            assert graph.shifts is None
            np.testing.assert_array_equal(rows_of(graph), brute_force(x, cutoff, batch))
            continue
        expected = []
        for k, (cell, directions) in enumerate(zip(cells, pbc, strict=True)):
            expected += defined(
                neighbor_pairs,
                x[batch == k].numpy(),
                cutoff,
                cell,
                directions,
                int((batch < k).sum()),
            )
        assert edges_of(graph) == expected, seed
        assert graph.shifts is not None
        shifts = torch.einsum(
            "ea,eab->eb", graph.shifts.double(), torch.tensor(cells)[batch[graph.i]]
        )
        lengths = (x[graph.j] - x[graph.i] + shifts).norm(dim=-1)
        assert (lengths < cutoff * (1 + 1e-9)).all()
        shifted += int(graph.shifts.any(1).sum())
    assert shifted > 10_000


def test_one_cell_serves_all_graphs_and_is_periodic_all_around_unless_told(
    neighbor_pairs: Any,
) -> None:
    x, _, batch, cells, _ = random_crystals(3)
    cell, cutoff = torch.tensor(cells[0]), 3.0
    told = radius_graph(x, cutoff, batch, cell=cell, pbc=[True, True, True])
    assert int(batch.max()) > 0
    assert edges_of(radius_graph(x, cutoff, batch, cell=cell)) == edges_of(told)
    assert edges_of(
        radius_graph(x, cutoff, batch, cell=cell.expand(len(cells), 3, 3), method="numba")
    ) == edges_of(told)
    assert (
        edges_of(told)[0]
        == defined(neighbor_pairs, x[batch == 0].numpy(), cutoff, cells[0], np.ones(3))[0]
    )


def test_a_node_is_a_neighbour_of_its_images() -> None:
    graph = radius_graph(torch.zeros(1, 3), 1.1, cell=torch.eye(3), pbc=(True, False, False))
    assert edges_of(graph) == [(0, 0, -1, 0, 0), (0, 0, 1, 0, 0)]
    assert graph.degree == 2


def test_a_cell_that_nothing_repeats_in_is_none(method: Method | None) -> None:
    positions, cutoff, batch, expected = random_batch(2)
    graph = radius_graph(
        positions, cutoff, batch, cell=torch.eye(3), pbc=(False, False, False), method=method
    )
    assert graph.shifts is None
    np.testing.assert_array_equal(rows_of(graph), expected)


def test_shifts_go_where_their_edges_go() -> None:
    """Sorting, moving and batching; a graph without images among others has shifts of zero."""
    chain = radius_graph(torch.zeros(1, 3), 1.1, cell=torch.eye(3), pbc=(True, False, False))
    rows = torch.tensor([[5, 0, 0], [0, 6, 0], [0, 0, 7]])
    assert edges_of(Graph.of(torch.tensor([2, 0, 1]), torch.tensor([1, 2, 0]), 3, rows)) == [
        (0, 2, 0, 6, 0),
        (1, 0, 0, 0, 7),
        (2, 1, 5, 0, 0),
    ]
    moved = chain.to(torch.device("meta")).shifts
    assert moved is not None
    assert (moved.device.type, tuple(moved.shape)) == ("meta", (2, 3))
    pair = radius_graph(torch.zeros(2, 3), 1.0)
    assert edges_of(collate([pair, chain]).graph) == [
        (0, 1, 0, 0, 0),
        (1, 0, 0, 0, 0),
        (2, 2, -1, 0, 0),
        (2, 2, 1, 0, 0),
    ]
    with pytest.raises(ValueError, match=r"shifts of 1 edges have shape \(1, 3\), not \(3, 3\)"):
        Graph.of(torch.tensor([0]), torch.tensor([0]), 1, rows)
    with pytest.raises(ValueError, match="differences between periodic images need the cell"):
        chain.differences(torch.zeros(1, 3))


LARGE = [10_000]


@pytest.mark.parametrize(
    ("device", "sizes", "periodic", "cluster", "expected"),
    [
        ("cpu", [9] * 100, False, False, "dense"),
        ("cpu", [9] * 100, False, True, "dense"),
        ("cpu", LARGE, False, True, "numba"),
        ("cpu", [9] * 100, True, False, "numba"),
        ("cpu", [0], False, False, "dense"),
        ("cuda", LARGE, False, True, "torch-cluster"),
        ("cuda", LARGE, False, False, "dense"),
        ("cuda", LARGE, True, True, "numba"),
        ("mps", [9], False, False, "numba"),  # which has no float64
    ],
)
def test_the_method_that_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    sizes: list[int],
    periodic: bool,
    cluster: bool,
    expected: Method,
) -> None:
    monkeypatch.setattr(radius, "_cluster_has_cuda", lambda: cluster)
    assert fastest(device, sizes, periodic=periodic) == expected


def another_rounding(
    x: Tensor, r: float, batch: Tensor, *, loop: bool, max_num_neighbors: int, batch_size: int
) -> Tensor:
    """A stand-in for torch-cluster's `radius_graph`: it rounds otherwise, as on a GPU, and has
    senders and receivers in its own order.

    Of each node it keeps the last ``max_num_neighbors``.
    """
    assert not loop
    assert batch_size > int(batch[-1])
    lengths = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    near = (
        (lengths * (1 + 4e-16) < r)
        & (batch[:, None] == batch)
        & ~torch.eye(len(x), dtype=torch.bool)
    )
    near &= near.flip(1).cumsum(1).flip(1) <= max_num_neighbors
    return near.nonzero().flip(0, 1).T


def test_torch_clusters_own_rounding_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which pairs are near is decided here; in lattices its rounding would leave some out."""
    monkeypatch.setitem(
        sys.modules, "torch_cluster", SimpleNamespace(radius_graph=another_rounding)
    )
    for seed in range(60):
        positions, cutoff, batch, expected = random_batch(seed)
        if len(positions):
            np.testing.assert_array_equal(
                rows_of(radius_graph(positions, cutoff, batch, method="torch-cluster")), expected
            )
    assert radius_graph(torch.zeros(300, 3), 1.0, method="torch-cluster").degree == 299


def test_without_torch_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, it is told how to get it; unasked, nobody misses it."""
    monkeypatch.setitem(sys.modules, "torch_cluster", None)
    words = (
        r"torch-cluster is not installed; `pip install --no-build-isolation mcegnn\[cluster\]`"
        r" compiles it, which takes some ten minutes"
    )
    with pytest.raises(ImportError, match=f"^{words}$"):
        radius_graph(torch.zeros(2, 3), 1.0, method="torch-cluster")
    assert edges_of(radius_graph(torch.zeros(2, 3), 1.0)) == [(0, 1), (1, 0)]
    assert not radius._cluster_has_cuda.__wrapped__()


TWO = torch.zeros(2, 3)


def batch_of(*owners: Any) -> Tensor:
    return torch.tensor(owners)


@pytest.mark.parametrize(
    ("positions", "cutoff", "options", "words"),
    [
        (TWO, 0.0, {}, "the cutoff must be a positive number, not 0.0"),
        (TWO, -1.0, {}, "the cutoff must be a positive number, not -1.0"),
        (TWO, float("nan"), {}, "the cutoff must be a positive number, not nan"),
        (TWO, float("inf"), {}, "the cutoff must be a positive number, not inf"),
        (torch.zeros(2, 2), 1.0, {}, r"positions have shape \(2, 2\); they must be \[n_nodes, 3\]"),
        (torch.zeros(4, 2, 3), 1.0, {}, r"positions have shape \(4, 2, 3\)"),
        (torch.tensor([[0.0, 0, 0], [0, torch.nan, 0]]), 1.0, {}, "node 1 has no finite position"),
        (torch.tensor([[0.0, 0, torch.inf]]), 1.0, {}, "node 0 has no finite position"),
        (
            TWO,
            1.0,
            {"batch": batch_of(0)},
            r"batch has shape \(1,\); for these positions it must be \(2,\)",
        ),
        (TWO, 1.0, {"batch": torch.zeros(2, 1)}, r"batch has shape \(2, 1\)"),
        (TWO, 1.0, {"batch": batch_of(1, 0)}, "batch must be sorted, from 0 on"),
        (TWO, 1.0, {"batch": batch_of(-1, 0)}, "batch must be sorted, from 0 on"),
        (TWO, 1.0, {"batch": batch_of(0.0, 1.0)}, "it holds integers, not torch.float32"),
        (TWO, 1.0, {"batch": batch_of(False, True)}, "it holds integers, not torch.bool"),
        (
            TWO,
            1.0,
            {"pbc": (True, False, False)},
            "a periodic direction needs a lattice vector: give the cell",
        ),
        (
            TWO,
            1.0,
            {"cell": torch.diag(torch.tensor([1.0, 1, 0]))},
            "a periodic direction needs a lattice vector",
        ),
        (TWO, 1.0, {"cell": torch.ones(3, 3)}, "the cell has no volume"),
        (
            TWO,
            1.0,
            {"cell": torch.eye(2)},
            r"cell and pbc have shapes \(2, 2\) and \(\); they must be \[3, 3\] and \[3\]",
        ),
        (
            TWO,
            1.0,
            {"cell": torch.eye(3), "pbc": (True, False)},
            r"cell and pbc have shapes \(3, 3\) and \(2,\)",
        ),
        (
            TWO,
            1.0,
            {"cell": torch.eye(3), "batch": batch_of(0, 1), "pbc": torch.ones(3, 3)},
            r"such for each of 2 graphs",
        ),
        (
            TWO,
            1.0,
            {"cell": torch.eye(3)[None], "batch": batch_of(0, 1)},
            "batch names graph 1, but there are 1 cells",
        ),
        (
            TWO,
            1.0,
            {"cell": torch.eye(3), "method": "dense"},
            "dense knows no periodic images; leave the method out or make it 'numba'",
        ),
        (
            TWO,
            1.0,
            {"cell": torch.eye(3), "method": "torch-cluster"},
            "torch-cluster knows no periodic images",
        ),
        (
            TWO,
            1.0,
            {"method": "sparse"},
            "there is no method 'sparse'; there are 'numba', 'dense' and 'torch-cluster'",
        ),
        (TWO, 1.0, {"cell": torch.eye(3), "method": ""}, "there is no method ''"),
    ],
)
def test_bad_input_is_refused(
    positions: Tensor, cutoff: float, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        radius_graph(positions, cutoff, **options)
