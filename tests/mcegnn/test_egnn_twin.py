"""The network against a plain twin of the published layers, written edge by edge as the papers have
them (arXiv 2102.09844, 2309.03139)."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu

from mcegnn.graph import Graph, complete
from mcegnn.models.mcegnn import EGNN, MCEGNN

LIMIT = 100.0  # of a message's components, in the public code

# relative to the largest number: the two differ in the order of sums only
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
CHANNELS = pytest.mark.parametrize("m", [1, 3])

Weights = dict[str, Tensor]


def perceptron(w: Weights, name: str, x: Tensor) -> Tensor:
    return silu(x @ w[f"{name}.0.weight"].T + w[f"{name}.0.bias"]) @ w[f"{name}.2.weight"].T


def shortened(vectors: Tensor) -> Tensor:
    """Our clamp: [..., 3], none longer than the limit."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return torch.where(length > LIMIT, vectors * LIMIT / length, vectors)


def clamped(vectors: Tensor) -> Tensor:
    """The published one."""
    return torch.clamp(vectors, -LIMIT, LIMIT)


def twin_layer(
    w: Weights, h: Tensor, x: Tensor, v: Tensor, a: Tensor, graph: Graph, limit: Any
) -> tuple[Tensor, Tensor]:
    """h [n, F], x [n, K_in, 3], v [n, 3], a [edges, |a|] -> h, x [n, K_out, 3]."""
    i, j, n, n_in = graph.i, graph.j, len(h), x.shape[1]
    difference = x[i] - x[j]
    r2 = (difference**2).sum(2)
    m = silu(torch.cat([h[i], h[j], r2, a], 1) @ w["edge.weight"].T + w["edge.bias"])
    m = silu(m @ w["message.weight"].T + w["message.bias"])

    matrix = perceptron(w, "mix", m)
    n_out = matrix.shape[1] // n_in
    matrix = matrix.reshape(len(i), n_in, n_out)
    vectors = limit(torch.einsum("eca,eck->eka", difference, matrix))
    counts = torch.zeros(n, dtype=x.dtype).index_add(0, i, torch.ones(len(i), dtype=x.dtype))
    moves = (
        torch.zeros(n, n_out, 3, dtype=x.dtype).index_add(0, i, vectors)
        / counts.clamp(min=1.0)[:, None, None]
    )

    speeds = (perceptron(w, "drift", h) + w["drift.2.bias"]).reshape(n, n_in, n_out)
    drift = torch.einsum("nca,nck->nka", v[:, None, :].expand(n, n_in, 3), speeds)

    if n_in == 1 and n_out > 1:
        start = x.repeat(1, n_out, 1)
    elif n_in > 1 and n_out == 1:
        start = x.mean(1, keepdim=True)
    else:
        start = x
    gathered = torch.zeros(n, m.shape[1], dtype=x.dtype).index_add(0, i, m)
    return (
        h + perceptron(w, "update", torch.cat([h, gathered], 1)) + w["update.2.bias"],
        start + moves + drift,
    )


def twin(
    weights: Weights,
    n_layers: int,
    h: Tensor,
    x: Tensor,
    v: Tensor,
    a: Tensor,
    graph: Graph,
    limit: Any = clamped,
) -> tuple[Tensor, Tensor]:
    h, x = h @ weights["embedding.weight"].T + weights["embedding.bias"], x[:, None, :]
    for k in range(n_layers):
        prefix = f"layers.{k}."
        own = {
            name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)
        }
        h, x = twin_layer(own, h, x, v, a, graph, limit)
    return h, x


def build(m: int, dtype: torch.dtype, seed: int, n_layers: int = 4, **options: Any) -> MCEGNN:
    """Every weight spread as torch spreads those of a Linear, the mix's too: vectors matter as much
    as features, and none is clamped."""
    net, stream = MCEGNN(16, m, n_layers, **options).to(dtype), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(
                torch.randn(p.shape, generator=stream, dtype=torch.float64)
                * ((3.0 * p.shape[-1]) ** -0.5 if p.ndim == 2 else 0.3)
            )
    return net


def inputs(
    seed: int, n: int, graph: Graph, dtype: torch.dtype, size: float = 1.0
) -> tuple[Any, ...]:
    stream = torch.Generator().manual_seed(seed)
    h, x, v, a = (
        torch.randn(*s, generator=stream, dtype=torch.float64).to(dtype)
        for s in ((n, 1), (n, 3), (n, 3), (len(graph.i), 2))
    )
    return h, size * x, v, a, graph


IRREGULAR = Graph.of(torch.tensor([0, 0, 1, 3, 4, 4, 4]), torch.tensor([1, 2, 0, 4, 0, 1, 3]), 5)
GRAPHS = pytest.mark.parametrize("graph", [complete(5), IRREGULAR], ids=["complete", "irregular"])


def check(found: Tensor, expected: Tensor, tolerance: float) -> None:
    found, expected = found.detach(), expected.detach()
    scale = float(expected.abs().max())
    assert scale > 1e-3
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clamp", ["components", "norm"])
@GRAPHS
@CHANNELS
@DTYPES
def test_outputs_are_those_of_the_published_layers(
    dtype: torch.dtype, m: int, graph: Graph, clamp: Any, seed: int
) -> None:
    """With either clamp, since neither acts here."""
    net, case = build(m, dtype, seed, clamp=clamp), inputs(seed, 5, graph, dtype)
    expected_h, expected_x = twin(dict(net.named_parameters()), 4, *case)
    h, x = net(*case)
    assert x.dtype == h.dtype == dtype
    check(x, expected_x, TOLERANCE[dtype])
    check(h, expected_h, TOLERANCE[dtype])


@GRAPHS
@CHANNELS
@DTYPES
def test_gradients_are_those_of_the_published_layers(
    dtype: torch.dtype, m: int, graph: Graph
) -> None:
    """By every weight, of a loss that all outputs enter; each weight against its own largest
    gradient."""
    net, case, stream = (
        build(m, dtype, 7),
        inputs(7, 5, graph, dtype),
        torch.Generator().manual_seed(8),
    )
    weights = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    shares = [torch.randn(5, k, generator=stream, dtype=torch.float64).to(dtype) for k in (16, 3)]
    for h, x in (net(*case), twin(weights, 4, *case)):
        ((h * shares[0]).sum() + (x[:, 0] * shares[1]).square().sum()).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        # a gradient is a product through all layers: ten times the round-off of what they put out
        check(p.grad, weights[name].grad, 10 * TOLERANCE[dtype])  # type: ignore[arg-type]


@CHANNELS
def test_clamps_where_they_act(m: int) -> None:
    """Positions of order a hundred, one layer or two; each clamp as its twin, and they differ."""
    graph, n_layers = complete(5), 1 if m == 1 else 2
    case, ends = inputs(1, 5, graph, torch.float64, size=100.0), []
    for clamp, limit in (("components", clamped), ("norm", shortened)):
        net = build(m, torch.float64, 1, n_layers, clamp=clamp)
        expected_h, expected_x = twin(dict(net.named_parameters()), n_layers, *case, limit)
        h, x = net(*case)
        check(x, expected_x, 1e-12)
        check(h, expected_h, 1e-12)
        ends.append(x.detach())
    assert (ends[0] - ends[1]).abs().max() > 1e-2 * ends[0].abs().max()


def test_egnn_is_one_channel() -> None:
    """By the count of its weights and by its outputs."""
    graph = complete(4)
    egnn, net = EGNN(16, 3), build(1, torch.float64, 2, 3)
    egnn.double().load_state_dict(net.state_dict())
    case = inputs(2, 4, graph, torch.float64)
    for found, expected in zip(
        egnn(*case), twin(dict(net.named_parameters()), 3, *case), strict=True
    ):
        check(found, expected, 1e-12)


@pytest.mark.parametrize(
    ("m", "expected"),
    [
        (1, 134_020),
        (2, 135_244),
        (3, 136_984),
        (4, 139_240),
        (5, 142_012),
        (8, 153_424),
        (10, 163_612),
        (16, 206_560),
        (25, 305_812),
    ],
)
def test_numbers_of_parameters(m: int, expected: int) -> None:
    """Those of the authors' public code: four layers of 64 features, one node input, two edge
    inputs."""
    assert sum(p.numel() for p in MCEGNN(64, m, 4).parameters()) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_features": 0}, "n_features must be at least 1, not 0"),
        ({"n_channels": 0}, "n_channels must be at least 1, not 0"),
        ({"n_layers": 0}, "n_layers must be at least 1, not 0"),
        ({"n_out": -1}, "n_out must be at least 1, not -1"),
        (
            {"n_layers": 1, "n_channels": 3},
            "3 channels need at least 2 layers: one opens them, one closes them",
        ),
    ],
)
def test_counts_that_make_no_network_are_refused(options: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MCEGNN(**options)
