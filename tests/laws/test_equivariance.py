"""Symmetries of everything that is learned: turned, mirrored, moved and renumbered systems, alone,
in ensembles and side by side."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mcegnn.graph import Graph, collate, complete
from mcegnn.models.dynamics import DirectDynamics
from mcegnn.models.force import LearnedForce
from mcegnn.models.mcegnn import MCEGNN

seeds = st.integers(0, 10**6)
signs = st.sampled_from([1.0, -1.0])
few = settings(deadline=None, max_examples=6)

# A few hundred thousand operations of round-off 1e-16 and 6e-8 that add up at random, through
# layers whose slopes are of order one.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
EDGES = 2


def weighted(model: Any, seed: int, dtype: torch.dtype) -> Any:
    """The model with weights of order one over the root of their inputs' number, and every bias at
    work.

    The last Linear of a layer's mix starts a thousandth as large, which would hide whatever is
    wrong with the vectors it makes.
    """
    stream, model = torch.Generator().manual_seed(seed), model.to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            scale = p.shape[-1] ** -0.5 if p.ndim == 2 else 0.3
            p.copy_(scale * torch.randn(p.shape, generator=stream, dtype=torch.float64))
    return model.requires_grad_(False)


def network(seed: int, dtype: torch.dtype, **options: Any) -> MCEGNN:
    return weighted(
        MCEGNN(8, n_layers=3, n_node_features=2, n_edge_features=EDGES, **options), seed, dtype
    )


def limited(net: MCEGNN, limit: float) -> MCEGNN:
    for layer in net.layers:
        layer.limit = limit
    return net


def orthogonal(stream: np.random.Generator, sign: float) -> np.ndarray:
    """A matrix of O(3), drawn evenly, with this determinant."""
    q, r = np.linalg.qr(stream.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * (sign * np.linalg.det(q))


class Case:
    """Inputs of order one of n particles: node inputs, positions, velocities, and edge inputs that
    differ for (i, j) and (j, i)."""

    def __init__(self, stream: np.random.Generator, n: int, *copies: int) -> None:
        self.h, self.x, self.v = (
            stream.normal(size=(n, *copies, 2)),
            stream.normal(size=(n, *copies, 3)),
            stream.normal(size=(n, *copies, 3)),
        )
        self.a = stream.normal(size=(n, n, *copies, EDGES))

    def inputs(self, graph: Graph, dtype: torch.dtype) -> tuple[Any, ...]:
        h, x, v, a = (torch.tensor(array).to(dtype) for array in (self.h, self.x, self.v, self.a))
        return h, x, v, a[graph.i, graph.j], graph

    def moved(self, matrix: np.ndarray, shift: Any) -> "Case":
        other = object.__new__(Case)
        other.h, other.x, other.v, other.a = (
            self.h,
            self.x @ matrix.T + shift,
            self.v @ matrix.T,
            self.a,
        )
        return other

    def take(self, which: Any) -> "Case":
        """Particle which[k] becomes particle k."""
        other = object.__new__(Case)
        other.h, other.x, other.v, other.a = (
            self.h[which],
            self.x[which],
            self.v[which],
            self.a[which][:, which],
        )
        return other

    def copy(self, k: int) -> "Case":
        other = object.__new__(Case)
        other.h, other.x, other.v, other.a = (
            self.h[:, k],
            self.x[:, k],
            self.v[:, k],
            self.a[:, :, k],
        )
        return other


def sparse(stream: np.random.Generator, n: int) -> Graph:
    """Some of the pairs, so that nodes receive differently many messages, or none."""
    i, j = np.nonzero((stream.uniform(size=(n, n)) < 0.4) & ~np.eye(n, dtype=bool))
    return Graph.of(torch.tensor(i), torch.tensor(j), n)


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


OPTIONS = [
    {"n_channels": 1},
    {"n_channels": 1, "n_out": 2},
    {"n_channels": 2, "normalize": True},
    {"n_channels": 2, "n_out": 2},
    {"n_channels": 3},
    {"n_channels": 3, "n_out": 2, "normalize": True},
    {"n_channels": 5, "n_out": 2},
    {"n_channels": 5, "normalize": True},
    {"n_channels": 3, "attention": True},
]
NETWORKS = pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda o: "-".join(f"{k}={v}" for k, v in o.items())
)
LIMITS = pytest.mark.parametrize("limit", [100.0, 0.1])


@few
@given(seed=seeds, sign=signs)
@DTYPES
@LIMITS
@NETWORKS
def test_turned_mirrored_and_moved(
    options: dict[str, Any], limit: float, dtype: torch.dtype, seed: int, sign: float
) -> None:
    """Features stay, vectors turn, and only the first of them moves with the origin; with the clamp
    at work too."""
    stream = np.random.default_rng(seed)
    net, case, graph = limited(network(seed, dtype, **options), limit), Case(stream, 5), complete(5)
    matrix, shift = orthogonal(stream, sign), stream.normal(size=3)
    h, vectors = net(*case.inputs(graph, dtype))
    found_h, found = net(*case.moved(matrix, shift).inputs(graph, dtype))
    expected = vectors.double() @ torch.tensor(matrix.T)
    expected[:, 0] += torch.tensor(shift)
    assert vectors.shape == (5, options.get("n_out", 1), 3)
    assert (vectors.dtype, h.dtype) == (dtype, dtype)
    for k in range(
        vectors.shape[1]
    ):  # one after the other, so that a large one does not hide a small one's error
        assert relative(found[:, k], expected[:, k]) < TOLERANCE[dtype]
    assert relative(found_h, h) < TOLERANCE[dtype]


@few
@given(seed=seeds)
@DTYPES
@pytest.mark.parametrize("kind", ["complete", "sparse"])
@NETWORKS
def test_renumbered(options: dict[str, Any], kind: str, dtype: torch.dtype, seed: int) -> None:
    stream = np.random.default_rng(seed)
    net, case, order = network(seed, dtype, **options), Case(stream, 6), stream.permutation(6)
    graph = complete(6) if kind == "complete" else sparse(stream, 6)
    place = torch.tensor(np.argsort(order))
    other = graph if kind == "complete" else Graph.of(place[graph.i], place[graph.j], 6)
    h, vectors = net(*case.inputs(graph, dtype))
    found_h, found = net(*case.take(order).inputs(other, dtype))
    assert relative(found, vectors[order]) < TOLERANCE[dtype]
    assert relative(found_h, h[order]) < TOLERANCE[dtype]


@pytest.mark.parametrize("options", [o for o in OPTIONS if o.get("n_out", 1) == 2], ids=str)
def test_the_second_vector_has_no_origin(options: dict[str, Any]) -> None:
    stream = np.random.default_rng(3)
    net, case, shift = (
        network(3, torch.float64, **options),
        Case(stream, 4),
        np.array([3.0, -2.0, 1.0]),
    )
    _, here = net(*case.inputs(complete(4), torch.float64))
    _, there = net(*case.moved(np.eye(3), shift).inputs(complete(4), torch.float64))
    np.testing.assert_allclose(there[:, 0] - here[:, 0], np.tile(shift, (4, 1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(there[:, 1], here[:, 1], rtol=0, atol=1e-12)
    assert here[:, 1].abs().max() > 0.1


@pytest.mark.parametrize("part", ["mix.2", "drift.2", "update.2", "edge", "message"])
@pytest.mark.parametrize("n_out", [1, 2])
def test_every_part_matters_here(part: str, n_out: int) -> None:
    """What these tests hold for would hold of no part that does nothing: without it, every vector
    is another one."""
    case, graph = Case(np.random.default_rng(1), 5), complete(5)
    net, without = (network(1, torch.float64, n_channels=3, n_out=n_out) for _ in range(2))
    for layer in without.layers:
        for p in layer.get_submodule(part).parameters():
            p.zero_()
    (_, found), (_, expected) = (
        without(*case.inputs(graph, torch.float64)),
        net(*case.inputs(graph, torch.float64)),
    )
    for k in range(n_out):
        assert relative(found[:, k], expected[:, k]) > 1e-2


def test_the_small_limit_acts() -> None:
    """Or the tests above would say nothing about it."""
    case, graph = Case(np.random.default_rng(1), 5), complete(5)
    for options in OPTIONS:
        (_, free), (_, tight) = (
            limited(network(1, torch.float64, **options), limit)(*case.inputs(graph, torch.float64))
            for limit in (100.0, 0.1)
        )
        assert relative(tight, free) > 1e-2


@pytest.mark.parametrize("n_channels", [1, 3])
def test_clamped_components_break_rotations_where_they_act(n_channels: int) -> None:
    """As published: a turn of 90 degrees about an axis or a mirror through one keeps components
    what they are, no other does."""
    stream = np.random.default_rng(5)
    case, graph = Case(stream, 5), complete(5)
    net = network(5, torch.float64, n_channels=n_channels, clamp="components")

    def error(matrix: np.ndarray) -> float:
        (_, expected), (_, found) = (
            net(*c.inputs(graph, torch.float64)) for c in (case, case.moved(matrix, 0.0))
        )
        return relative(found, expected @ torch.tensor(matrix.T))

    turn, quarter = (
        orthogonal(stream, 1.0),
        np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
    )
    assert error(turn) < TOLERANCE[torch.float64]
    limited(net, 0.1)
    assert error(turn) > 1e-2
    assert error(quarter) < TOLERANCE[torch.float64]


@few
@given(seed=seeds)
@DTYPES
@NETWORKS
def test_ensembles_are_systems_one_by_one(
    options: dict[str, Any], dtype: torch.dtype, seed: int
) -> None:
    """And systems side by side in one graph are what they are along an axis."""
    n, copies = 4, 3
    net, case = network(seed, dtype, **options), Case(np.random.default_rng(seed), n, copies)
    graph = complete(n)
    together = net(*case.inputs(graph, dtype))
    alone = [net(*case.copy(k).inputs(graph, dtype)) for k in range(copies)]
    batch = collate([graph] * copies)
    h, x, v, a, _ = case.inputs(graph, dtype)
    side_by_side = net(
        *(array.transpose(0, 1).flatten(0, 1) for array in (h, x, v, a)), batch.graph
    )
    for part in (0, 1):
        expected = torch.stack([one[part] for one in alone], 1)
        assert relative(together[part], expected) < TOLERANCE[dtype]
        assert (
            relative(side_by_side[part].unflatten(0, (copies, n)).transpose(0, 1), expected)
            < TOLERANCE[dtype]
        )


@few
@given(seed=seeds)
@DTYPES
@NETWORKS
def test_systems_of_different_sizes_do_not_feel_one_another(
    options: dict[str, Any], dtype: torch.dtype, seed: int
) -> None:
    stream = np.random.default_rng(seed)
    net, sizes = network(seed, dtype, **options), (3, 1, 5, 2)
    inputs = [
        Case(stream, n).inputs(complete(n) if n != 5 else sparse(stream, n), dtype) for n in sizes
    ]
    alone = [net(*one) for one in inputs]
    batch = collate([one[-1] for one in inputs])
    together = net(*(torch.cat([one[k] for one in inputs]) for k in range(4)), batch.graph)
    for part in (0, 1):
        assert relative(together[part], torch.cat([one[part] for one in alone])) < TOLERANCE[dtype]


Predict = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[Tensor, Tensor]]


def dynamics(seed: int, inputs: Any, dtype: torch.dtype, **options: Any) -> DirectDynamics:
    model = DirectDynamics(8, 3, 3, interval=0.7, length=1.6, inputs=inputs, **options)
    return weighted(model, seed, dtype)


def labels_of(stream: np.random.Generator, inputs: str, *shape: int) -> np.ndarray:
    """Charges of both signs; masses over two decades."""
    return (
        stream.normal(size=shape)
        if inputs == "charges"
        else 10.0 ** stream.uniform(-1.0, 1.0, shape)
    )


def prediction(model: DirectDynamics, dtype: torch.dtype, graph: Graph) -> Predict:
    return lambda x, v, labels: model.predict(
        *(torch.tensor(a).to(dtype) for a in (x, v, labels)), graph
    )


@few
@given(seed=seeds, sign=signs)
@DTYPES
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("inputs", ["charges", "masses"])
def test_predicted_dynamics(
    inputs: str, normalize: bool, dtype: torch.dtype, seed: int, sign: float
) -> None:
    """Positions turn and move, velocities turn; both follow their particles."""
    stream = np.random.default_rng(seed)
    predict = prediction(dynamics(seed, inputs, dtype, normalize=normalize), dtype, complete(5))
    x, v, labels = (
        stream.normal(size=(5, 2, 3)),
        stream.normal(size=(5, 2, 3)),
        labels_of(stream, inputs, 5, 2),
    )
    matrix, shift, order = orthogonal(stream, sign), stream.normal(size=3), stream.permutation(5)
    end_x, end_v = predict(x, v, labels)
    found_x, found_v = predict((x @ matrix.T + shift)[order], (v @ matrix.T)[order], labels[order])
    expected_x, expected_v = (
        end_x.double() @ torch.tensor(matrix.T) + torch.tensor(shift),
        end_v.double() @ torch.tensor(matrix.T),
    )
    assert relative(found_x, expected_x[order]) < TOLERANCE[dtype]
    assert relative(found_v, expected_v[order]) < TOLERANCE[dtype]


@few
@given(seed=seeds)
@DTYPES
@pytest.mark.parametrize("inputs", ["charges", "masses"])
def test_predicted_ensembles(inputs: str, dtype: torch.dtype, seed: int) -> None:
    """One by one, along an axis, along two."""
    stream, model = np.random.default_rng(seed), dynamics(seed, inputs, dtype)
    predict = prediction(model, dtype, complete(4))
    x, v, labels = (
        stream.normal(size=(4, 2, 3, 3)),
        stream.normal(size=(4, 2, 3, 3)),
        labels_of(stream, inputs, 4, 2, 3),
    )
    together = predict(x, v, labels)
    for k in range(2):
        row = predict(x[:, k], v[:, k], labels[:, k])
        for m in range(3):
            alone = predict(x[:, k, m], v[:, k, m], labels[:, k, m])
            for part in (0, 1):
                assert relative(together[part][:, k, m], alone[part]) < TOLERANCE[dtype]
                assert relative(row[part][:, m], alone[part]) < TOLERANCE[dtype]


@few
@given(seed=seeds)
@DTYPES
@pytest.mark.parametrize("inputs", ["charges", "masses"])
def test_predicted_systems_of_different_sizes(inputs: Any, dtype: torch.dtype, seed: int) -> None:
    stream, model, sizes = np.random.default_rng(seed), dynamics(seed, inputs, dtype), (3, 5, 2)
    systems = [
        (stream.normal(size=(n, 3)), stream.normal(size=(n, 3)), stream.uniform(0.1, 2.0, n))
        for n in sizes
    ]
    alone = [prediction(model, dtype, complete(len(system[0])))(*system) for system in systems]
    x, v, labels = (np.concatenate(parts) for parts in zip(*systems, strict=True))
    together = prediction(model, dtype, collate([complete(n) for n in sizes]).graph)(x, v, labels)
    for part in (0, 1):
        assert relative(together[part], torch.cat([one[part] for one in alone])) < TOLERANCE[dtype]


def force(seed: int, coupling: Any, dtype: torch.dtype) -> LearnedForce:
    model = weighted(LearnedForce(8, coupling=coupling), seed, dtype)
    nn.init.constant_(model.size, 0.7)
    return model


@few
@given(seed=seeds, sign=signs, n=st.integers(2, 6), copies=st.sampled_from([(), (3,)]))
@DTYPES
@pytest.mark.parametrize("coupling", ["charges", "masses"])
def test_learned_forces(
    coupling: str, dtype: torch.dtype, seed: int, sign: float, n: int, copies: tuple[int, ...]
) -> None:
    """They turn with the particles, do not know the origin, and follow their particles."""
    stream, model = np.random.default_rng(seed), force(seed, coupling, dtype)
    x, couplings = (
        stream.normal(size=(*copies, n, 3)),
        torch.tensor(labels_of(stream, coupling, n)).to(dtype),
    )
    matrix, shift, order = orthogonal(stream, sign), stream.normal(size=3), stream.permutation(n)
    forces = model.forces(torch.tensor(x).to(dtype), couplings)
    found = model.forces(
        torch.tensor((x @ matrix.T + shift)[..., order, :]).to(dtype), couplings[order]
    )
    assert (
        relative(found, (forces.double() @ torch.tensor(matrix.T))[..., order, :])
        < TOLERANCE[dtype]
    )


@few
@given(seed=seeds, n=st.integers(2, 6))
@DTYPES
@pytest.mark.parametrize("coupling", ["charges", "masses"])
def test_learned_forces_have_their_reactions(
    coupling: str, dtype: torch.dtype, seed: int, n: int
) -> None:
    """Newton's third law, and along the line between two particles: neither a total force nor a
    total torque."""
    stream, model = np.random.default_rng(seed), force(seed, coupling, dtype)
    x, couplings = (
        torch.tensor(stream.normal(size=(2, n, 3))).to(dtype),
        torch.tensor(labels_of(stream, coupling, n)).to(dtype),
    )
    forces = model.forces(x, couplings)
    size = float(forces.abs().max())
    assert size > 0
    assert float(forces.sum(-2).abs().max()) < TOLERANCE[dtype] * size
    assert float(torch.linalg.cross(x, forces).sum(-2).abs().max()) < TOLERANCE[
        dtype
    ] * size * float(x.abs().max())


@few
@given(seed=seeds, n=st.integers(2, 6))
@DTYPES
@pytest.mark.parametrize("coupling", ["charges", "masses"])
def test_learned_forces_of_ensembles(coupling: str, dtype: torch.dtype, seed: int, n: int) -> None:
    """One by one, with couplings for each copy, and as a loop over pairs says."""
    stream, model = np.random.default_rng(seed), force(seed, coupling, dtype)
    x, couplings = (
        torch.tensor(stream.normal(size=(2, n, 3))).to(dtype),
        torch.tensor(labels_of(stream, coupling, 2, n)).to(dtype),
    )
    together = model.forces(x, couplings)
    for k in range(2):
        expected = torch.zeros(n, 3, dtype=dtype)
        for i in range(n):
            for j in {*range(n)} - {i}:
                d = x[k, i] - x[k, j]
                expected[i] += couplings[k, i] * couplings[k, j] * model.law(d @ d) * d
        assert relative(model.forces(x[k], couplings[k]), expected) < TOLERANCE[dtype]
        assert relative(together[k], expected) < TOLERANCE[dtype]
