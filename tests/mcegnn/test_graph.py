"""Graphs: which edges there are and in which order, sums and means at nodes against loops, and
batches of systems side by side."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mcegnn.graph import Graph, collate, complete


def pairs_of(graph: Graph) -> list[tuple[int, int]]:
    return list(zip(graph.i.tolist(), graph.j.tolist(), strict=True))


def of(edges: list[tuple[int, int]], n_nodes: int) -> Graph:
    i, j = torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T
    return Graph.of(i, j, n_nodes)


def shuffled(graph: Graph, seed: int = 0) -> Graph:
    """The same edges given in another order."""
    return of(
        [pairs_of(graph)[k] for k in np.random.default_rng(seed).permutation(len(graph.i))],
        graph.n_nodes,
    )


RING = [(k, (k + step) % 6) for k in range(6) for step in (1, 5)]
IRREGULAR = [
    (4, 0),
    (0, 1),
    (0, 3),
    (2, 2),
    (4, 1),
    (0, 2),
    (4, 4),
]  # nodes 1, 3 and 5 receive nothing, 5 is alone
GRAPHS = {
    "complete": complete(5),
    "one node": complete(1),
    "ring": of(RING, 6),
    "irregular": of(IRREGULAR, 6),
    "without edges": of([], 3),
}


@pytest.fixture(params=GRAPHS)
def graph(request: pytest.FixtureRequest) -> Graph:
    return GRAPHS[request.param]


def draw(*shape: int) -> Tensor:
    """Whole numbers below 1000: sums of them are exact, in whatever order."""
    return torch.randint(
        -999, 999, shape, generator=torch.Generator().manual_seed(sum(shape))
    ).double()


def looped_sum(graph: Graph, messages: Tensor, dim: int) -> Tensor:
    rows, out = (
        messages.movedim(dim, 0),
        torch.zeros(graph.n_nodes, *messages.movedim(dim, 0).shape[1:], dtype=messages.dtype),
    )
    for edge, receiver in enumerate(graph.i.tolist()):
        out[receiver] += rows[edge]
    return out.movedim(0, dim)


@pytest.mark.parametrize("n", range(9))
def test_the_complete_graph_has_every_pair_once(n: int) -> None:
    """Brute force lists them in the promised order: by receiver."""
    graph = complete(n)
    assert pairs_of(graph) == [(i, j) for i in range(n) for j in range(n) if i != j]
    assert graph.n_nodes == n
    assert graph.degree == (n - 1 if n > 1 else None)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_the_complete_graph_is_one_of_graph_of(n: int) -> None:
    """Given in another order they come back with receivers in order, and with the same degree."""
    found = shuffled(complete(n))
    assert found.degree == complete(n).degree
    assert found.i.tolist() == complete(n).i.tolist()
    assert sorted(pairs_of(found)) == pairs_of(complete(n))


def test_edges_are_sorted_by_receiver_and_keep_their_order_otherwise() -> None:
    assert pairs_of(of(IRREGULAR, 6)) == [(0, 1), (0, 3), (0, 2), (2, 2), (4, 0), (4, 1), (4, 4)]


@pytest.mark.parametrize(
    ("edges", "n_nodes", "degree"),
    [
        (RING, 6, 2),
        (RING[::-1], 6, 2),
        (RING, 7, None),  # the seventh node receives nothing
        (RING[1:], 6, None),
        (IRREGULAR, 6, None),
        ([(0, 0)], 1, 1),
        ([], 3, None),
        ([], 0, None),
    ],
)
def test_degree_is_there_where_all_nodes_receive_as_much(
    edges: list[tuple[int, int]], n_nodes: int, degree: int | None
) -> None:
    assert of(edges, n_nodes).degree == degree


@pytest.mark.parametrize("edge", [(0, 3), (3, 0), (-1, 0), (0, -1), (7, 1)])
def test_nodes_that_are_not_there_are_refused(edge: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"edges name nodes outside 0 \.\.\. 2"):
        of([(0, 1), edge], 3)


@pytest.mark.parametrize(
    ("i", "j", "words"),
    [
        ([0, 1], [1], r"\(2,\) and \(1,\)"),
        ([[0, 1]], [[1, 0]], r"\(1, 2\) and \(1, 2\)"),
        (0, 1, r"\(\) and \(\)"),
    ],
)
def test_lists_that_do_not_fit_are_refused(i: Any, j: Any, words: str) -> None:
    with pytest.raises(ValueError, match="edges are two lists of the same length, not " + words):
        Graph.of(torch.tensor(i), torch.tensor(j), 3)


LAYOUTS = [
    ((), 0, ()),
    ((), 0, (4,)),
    ((), 0, (2, 3)),
    ((2,), 1, ()),
    ((2,), 1, (3,)),
    ((2, 3), 2, (4,)),
    ((2, 3), 2, ()),
]


@pytest.mark.parametrize(("before", "dim", "after"), LAYOUTS)
def test_sums_equal_a_loop(
    graph: Graph, before: tuple[int, ...], dim: int, after: tuple[int, ...]
) -> None:
    messages = draw(*before, len(graph.i), *after)
    np.testing.assert_array_equal(graph.sum(messages, dim), looped_sum(graph, messages, dim))


@pytest.mark.parametrize(("before", "dim", "after"), LAYOUTS)
def test_means_equal_a_loop(
    graph: Graph, before: tuple[int, ...], dim: int, after: tuple[int, ...]
) -> None:
    messages = draw(*before, len(graph.i), *after)
    counts = torch.tensor(
        [float(max(1, graph.i.tolist().count(node))) for node in range(graph.n_nodes)]
    )
    expected = (looped_sum(graph, messages, dim).movedim(dim, -1) / counts).movedim(-1, dim)
    # one rounding, of the division; a multiplication by the inverse would make two
    np.testing.assert_allclose(graph.mean(messages, dim), expected, rtol=1e-15, atol=0)


def test_nodes_without_edges_get_zero() -> None:
    """Not 0 / 0; and whatever the others get, in every precision."""
    for dtype in (torch.float32, torch.float64):
        messages = draw(7, 2).to(dtype)
        for gathered in (GRAPHS["irregular"].sum(messages), GRAPHS["irregular"].mean(messages)):
            assert gathered.dtype == dtype
            assert (gathered[[1, 3, 5]] == 0).all()
            assert (gathered[[0, 2, 4]] != 0).any(1).all()


@pytest.mark.parametrize(("before", "dim", "after"), LAYOUTS)
def test_pairs_add_what_receiver_and_sender_have(
    graph: Graph, before: tuple[int, ...], dim: int, after: tuple[int, ...]
) -> None:
    nodes, others = (
        draw(*before, graph.n_nodes, *after),
        draw(*before, graph.n_nodes, *after) * 1000,
    )
    rows, other_rows = nodes.movedim(dim, 0), others.movedim(dim, 0)
    expected = torch.zeros(len(graph.i), *rows.shape[1:], dtype=rows.dtype)
    for edge, (i, j) in enumerate(pairs_of(graph)):
        expected[edge] = rows[i] + other_rows[j]
    np.testing.assert_array_equal(graph.pairs(nodes, others, dim), expected.movedim(0, dim))
    np.testing.assert_array_equal(
        graph.receivers(nodes, dim) + graph.senders(others, dim), expected.movedim(0, dim)
    )


def test_gradients_of_sums_go_back_to_every_message(graph: Graph) -> None:
    messages = draw(len(graph.i), 2).requires_grad_()
    weights = draw(graph.n_nodes, 2)
    (graph.sum(messages) * weights).sum().backward()
    np.testing.assert_array_equal(messages.grad, weights[graph.i])


BATCHES = {
    "of different sizes": ["complete", "irregular", "ring", "one node", "without edges"],
    "of one size": ["complete"] * 3,
    "of one graph": ["irregular"],
    "of one degree": ["ring", "another ring", "ring"],
}
GRAPHS_TO_BATCH = GRAPHS | {
    "another ring": of([(k, (k + step) % 4) for k in range(4) for step in (1, 3)], 4)
}


@pytest.mark.parametrize("names", BATCHES.values(), ids=BATCHES)
def test_a_batch_gathers_as_its_systems_do(names: list[str]) -> None:
    graphs = [GRAPHS_TO_BATCH[name] for name in names]
    batch = collate(graphs)
    messages = draw(sum(len(g.i) for g in graphs), 3)
    parts = list(zip(graphs, messages.split([len(g.i) for g in graphs]), strict=True))
    np.testing.assert_array_equal(
        batch.graph.sum(messages), torch.cat([g.sum(part) for g, part in parts])
    )
    np.testing.assert_allclose(
        batch.graph.mean(messages),
        torch.cat([g.mean(part) for g, part in parts]),
        rtol=1e-15,
        atol=0,
    )
    nodes = draw(sum(g.n_nodes for g in graphs), 2)
    own = nodes.split([g.n_nodes for g in graphs])
    expected = torch.cat([g.pairs(x, -10000 * x) for g, x in zip(graphs, own, strict=True)])
    np.testing.assert_array_equal(batch.graph.pairs(nodes, -10000 * nodes), expected)


@pytest.mark.parametrize("names", BATCHES.values(), ids=BATCHES)
def test_a_batch_knows_whose_each_node_is(names: list[str]) -> None:
    graphs = [GRAPHS_TO_BATCH[name] for name in names]
    batch = collate(graphs)
    assert batch.n_systems == len(graphs)
    assert batch.system.tolist() == [
        k for k, graph in enumerate(graphs) for _ in range(graph.n_nodes)
    ]
    assert (batch.system[batch.graph.i] == batch.system[batch.graph.j]).all()
    assert batch.graph.n_nodes == len(batch.system)
    degrees = {graph.degree for graph in graphs}
    assert batch.graph.degree == (degrees.pop() if len(degrees) == 1 else None)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch needs at least one graph"):
        collate([])


def test_a_graph_moves_whole(graph: Graph) -> None:
    assert graph.to(torch.device("cpu")) is graph
    moved = graph.to(torch.device("meta"))
    assert (moved.i.device.type, moved.j.device.type) == ("meta", "meta")
    assert (moved.n_nodes, moved.degree, len(moved.i)) == (
        graph.n_nodes,
        graph.degree,
        len(graph.i),
    )


def test_what_is_kept_serves_training_after_inference() -> None:
    """The complete graph is made once; where that happened must not matter."""
    with torch.inference_mode():
        graph = complete(13)
    x = torch.ones(13, 2, requires_grad=True)
    graph.sum(graph.senders(x) * graph.receivers(x)).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full((13, 2), 24.0))
