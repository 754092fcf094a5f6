"""Canonical poses of charged five-body systems by equiadapt and by ours: how equivariant, how fast.

    pip install --no-deps --target .peers/equiadapt equiadapt==0.1.2

equiadapt's package imports libraries for images at once, which are not needed here and hidden, and
takes sums from torch_scatter, in whose place torch's own are.
"""

import os
import statistics
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import torch
from record import Row
from torch import Tensor

from mcegnn.graph import complete
from mcegnn.models.store import Stored

_HERE = Path(__file__).parent
_N_SYSTEMS, _N = 100, 5
#: canonical positions and velocities of positions, velocities [n_systems, n, 3] and charges
Canonical = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def measure() -> list[Row]:
    """How far canonical coordinates of turned and moved systems are from those of the systems, and
    the time of a batch of 100 on one thread; networks with fresh weights of the same sizes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    theirs, version = _theirs()
    works = {f"equiadapt {version}": theirs, "ours, direct": _ours()}
    torch.manual_seed(1)
    x, v = torch.randn(2, _N_SYSTEMS, _N, 3, dtype=torch.float64)
    charges = torch.randint(0, 2, (_N_SYSTEMS, _N)).double() * 2.0 - 1.0
    turn, _ = torch.linalg.qr(torch.randn(_N_SYSTEMS, 3, 3, dtype=torch.float64))
    shift = torch.randn(_N_SYSTEMS, 1, 3, dtype=torch.float64)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    rows = []
    with torch.no_grad():
        for _ in range(21):
            for name, work in works.items():
                began = time.perf_counter()
                work(x, v, charges)
                seconds[name].append(time.perf_counter() - began)
        for name, work in works.items():
            one = torch.cat(work(x, v, charges), -1)
            other = torch.cat(work(x @ turn.mT + shift, v @ turn.mT, charges), -1)
            wrong = (one - other).flatten(1).norm(dim=1) / one.flatten(1).norm(dim=1)
            figure = (
                f"relative error of equivariance {float(wrong.median()):.1e} in the median,"
                f" {float(wrong.max()):.1e} at most; a batch of {_N_SYSTEMS}"
                f" {1e3 * statistics.median(seconds[name]):.2f} ms in double precision"
            )
            rows.append(Row(name, figure, "at most 1e-10" if name.startswith("ours") else ""))
    return rows


def _ours() -> Canonical:
    given = {"model": "UnconstrainedDynamics", "group": "E(3)", "canonicalizer": "direct"}
    stored = Stored.make("Canonicalized", given)
    model: Any = stored.model.double().eval()
    seen: list[tuple[Tensor, Tensor]] = []

    class Watch(torch.nn.Module):
        def forward(
            self, x: Tensor, v: Tensor, marks: Tensor, graph: object
        ) -> tuple[Tensor, Tensor]:
            seen[:] = [(x.transpose(0, 1), v.transpose(0, 1))]
            return x, v

    model.model.network.network = Watch()

    def work(x: Tensor, v: Tensor, charges: Tensor) -> tuple[Tensor, Tensor]:
        model.predict(x.transpose(0, 1), v.transpose(0, 1), charges.t(), complete(_N))
        return seen[0]

    return work


def _theirs() -> tuple[Canonical, str]:
    folder = Path(os.environ.get("MCEGNN_PEERS", _HERE.parents[1] / ".peers")) / "equiadapt"
    if not (folder / "equiadapt").is_dir():
        raise FileNotFoundError(
            f"{folder} has no equiadapt; pip install --no-deps --target {folder} equiadapt==0.1.2"
        )
    found = next(one for one in distributions(path=[str(folder)]) if one.name == "equiadapt")
    sys.path.insert(0, str(folder))
    for name in ("common", "images", "nbody"):  # the package's own begins with images
        path = folder / "equiadapt"
        package = types.ModuleType("equiadapt" if name == "common" else f"equiadapt.{name}")
        package.__path__ = [str(path if name == "common" else path / name)]
        sys.modules[package.__name__] = package
    scatter = types.ModuleType("torch_scatter")
    scatter.scatter = _scatter  # type: ignore[attr-defined]
    sys.modules["torch_scatter"] = scatter
    from equiadapt.nbody.canonicalization.euclidean_group import (  # type: ignore[import-not-found]
        EuclideanGroupNBody,
    )
    from equiadapt.nbody.canonicalization_networks.custom_equivariant_networks import (  # type: ignore[import-not-found]
        VNDeepSets,
    )

    # those of its example of this system
    sizes = MagicMock(
        batch_size=_N_SYSTEMS,
        hidden_dim=16,
        num_layers=4,
        out_dim=4,
        layer_pooling="mean",
        final_pooling="mean",
        nonlinearity="relu",
        canon_feature="p",
        canon_translation=False,
        angular_feature="pv",
        dropout=0.5,
    )
    made = EuclideanGroupNBody(VNDeepSets(sizes, device="cpu")).double().eval()
    graph = complete(_N)
    starts = _N * torch.arange(_N_SYSTEMS).repeat_interleave(len(graph.i))
    edges = [part.repeat(_N_SYSTEMS) + starts for part in (graph.j, graph.i)]

    def work(x: Tensor, v: Tensor, charges: Tensor) -> tuple[Tensor, Tensor]:
        flat = {
            "loc": x.reshape(-1, 3),
            "edges": edges,
            "vel": v.reshape(-1, 3),
            "edge_attr": None,
            "charges": charges.reshape(-1, 1),
        }
        at, moving = made(flat["vel"].norm(dim=1, keepdim=True), **flat)
        return at.view(x.shape), moving.view(v.shape)

    return work, str(found.version)


def _scatter(source: Tensor, index: Tensor, dim: int, reduce: str) -> Tensor:
    """As torch_scatter's, for the first axis."""
    n = int(index.max()) + 1
    wide = index.view(-1, *[1] * (source.ndim - 1)).expand_as(source)
    zeros = source.new_zeros(n, *source.shape[1:])
    return zeros.scatter_reduce(dim, wide, source, reduce, include_self=False)
