"""What learning costs and brings: training steps, channels, learned forces; trained runs are kept
in ``learned/`` and not run again."""

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from egnn_twin import Twin
from record import Row, ratio, shown

from mcegnn.data.charged import charged, frames
from mcegnn.data.dataset import Dataset
from mcegnn.graph import collate, complete
from mcegnn.models.mcegnn import MCEGNN
from mcegnn.models.store import Stored, load
from mcegnn.training.options import parse_recorded, read
from mcegnn.training.scoring import errors
from systems.sources.charged import charged_systems

RUNS = Path("learned")
_MCEGNN = [sys.executable, "-c", "from mcegnn.cli.app import main; main()"]


def step() -> list[Row]:
    """A training step, batch 100, F = 64, four layers, two threads, against the twin."""
    torch.set_num_threads(2)
    rows = []
    graph, flat = complete(5), collate([complete(5)] * 100).graph
    for m in (1, 3, 10):
        x, v, q, y = (
            torch.randn(5, 100, 3),
            torch.randn(5, 100, 3),
            torch.randn(5, 100),
            torch.randn(5, 100, 3),
        )
        ours, twin = MCEGNN(64, m, 4), Twin(64, m, 4)
        optimizers = [
            torch.optim.Adam(ours.parameters(), 5e-4, fused=True),
            torch.optim.Adam(twin.parameters(), 5e-4),
        ]

        def own(
            net: MCEGNN = ours,
            optimizer: torch.optim.Adam = optimizers[0],
            data: tuple[torch.Tensor, ...] = (x, v, q, y),
        ) -> None:
            x, v, q, y = data
            edges = torch.stack(
                [q[graph.i] * q[graph.j], (x[graph.i] - x[graph.j]).square().sum(-1)], -1
            )
            _, out = net(v.norm(dim=-1, keepdim=True), x, v, edges, graph)
            _learn(optimizer, (out.squeeze(-2) - y).square().mean())

        parts = [a.transpose(0, 1).reshape(500, *a.shape[2:]) for a in (x, v, q, y)]

        def other(
            net: Twin = twin,
            optimizer: torch.optim.Adam = optimizers[1],
            data: list[torch.Tensor] = parts,
        ) -> None:
            x, v, q, y = data
            edges = torch.stack([q[flat.i] * q[flat.j], ((x[flat.i] - x[flat.j]) ** 2).sum(1)], 1)
            _learn(
                optimizer,
                ((net(v.norm(dim=1, keepdim=True), x, v, edges, flat.i, flat.j) - y) ** 2).mean(),
            )

        for work in (own, other):
            _ten(work)
        mean, low, high = ratio(
            lambda work=other: _ten(work), lambda work=own: _ten(work), repeats=15
        )
        bar = "at most 0.7; aim 0.5" if m == 3 else ""
        rows.append(
            Row(
                f"training step, batch 100, m = {m}, time over the index-based twin's",
                shown((mean, low, high)),
                bar,
            )
        )
    return rows


def _learn(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _ten(work) -> None:  # type: ignore[no-untyped-def]
    for _ in range(10):
        work()


def together() -> list[Row]:
    """Updates of four models as one, batched over the models by vmap, against one after the other:
    the same losses and gradients."""
    from torch.func import functional_call, stack_module_state, vmap

    from mcegnn.nn import convolution

    rows = []
    graph = complete(5)
    # the clamp's look at its numbers is no operation that can be batched
    look, convolution.CLAMPS["norm"] = convolution.CLAMPS["norm"], _clamp_without_a_look
    for threads, batch in ((1, 100), (2, 100), (1, 10)):
        torch.set_num_threads(threads)
        x, v, q, y = (
            torch.randn(5, batch, 3),
            torch.randn(5, batch, 3),
            torch.randn(5, batch),
            torch.randn(5, batch, 3),
        )
        edges = torch.stack(
            [q[graph.i] * q[graph.j], (x[graph.i] - x[graph.j]).square().sum(-1)], -1
        )
        inputs = (v.norm(dim=-1, keepdim=True), x, v, edges, graph)
        nets = [MCEGNN(64, 3, 4) for _ in range(4)]
        parameters = {
            name: value.detach().requires_grad_()
            for name, value in stack_module_state(nets)[0].items()
        }
        optimizers = [torch.optim.Adam(net.parameters(), 5e-4, fused=True) for net in nets]
        stacked = torch.optim.Adam(parameters.values(), 5e-4, fused=True)

        def loss(
            values: dict[str, torch.Tensor],
            net: MCEGNN = nets[0],
            data=inputs,
            true: torch.Tensor = y,
        ) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return (functional_call(net, values, data)[1].squeeze(-2) - true).square().mean()

        def at_once(loss=loss, parameters=parameters, stacked=stacked) -> None:  # type: ignore[no-untyped-def]
            _learn(stacked, vmap(loss)(parameters).sum())

        def in_turn(loss=loss, nets=nets, optimizers=optimizers) -> None:  # type: ignore[no-untyped-def]
            for net, optimizer in zip(nets, optimizers, strict=True):
                _learn(optimizer, loss(dict(net.named_parameters()), net))

        for work in (at_once, in_turn):
            work()
        measured = ratio(in_turn, at_once, repeats=9)
        rows.append(
            Row(
                f"four models as one, batch {batch}, {threads} threads, time over that of one after"
                " the other",
                shown(measured),
                "",
            )
        )
    convolution.CLAMPS["norm"] = look
    return rows


def _clamp_without_a_look(vectors: torch.Tensor, limit: float) -> torch.Tensor:
    return vectors * (
        limit * vectors.square().sum(1, keepdim=True).clamp(min=limit * limit).rsqrt()
    )


def trained(
    name: str, preset: str, *changes: str, threads: int = 1, arguments: Sequence[str] = ()
) -> tuple[Stored, float]:
    """The best model of a run of ``mcegnn train``, with further ``arguments``, made where it is not
    there yet, or was of other options or stopped, and the minutes it took."""
    folder, told = RUNS / name, RUNS / f"{name}.json"
    options = read(preset, list(changes), started="--from" in arguments).model_dump()
    asked = json.dumps({"options": options, "arguments": list(arguments)})
    if not told.is_file() or told.read_text() != asked:
        RUNS.mkdir(exist_ok=True)
        sets = [part for change in changes for part in ("--set", change)]
        subprocess.run(
            [
                *_MCEGNN,
                "train",
                preset,
                "-o",
                str(folder),
                "--threads",
                str(threads),
                "--quiet",
                "--force",
                *arguments,
                *sets,
            ],
            check=True,
        )
        told.write_text(asked)  # it is complete
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        *_, last = csv.DictReader(file)
    return load(folder / "best.safetensors"), float(last["seconds"]) / 60


def channels() -> list[Row]:
    """One stroke on the official split: five numbers of channels, three seeds for one channel and
    for the number validation chooses."""
    from scipy.stats import wilcoxon

    test = charged().test

    def run(case: tuple[int, int]) -> tuple[Stored, float]:
        m, seed = case
        return trained(
            f"channels-{m}-{seed}",
            "charged-mcegnn",
            f"model.hyperparameters.n_channels={m}",
            f"seed={seed}",
        )

    def score(stored: Stored) -> np.ndarray:
        return errors(stored.model, test, parse_recorded(stored.record["options"]).task)

    counts = (1, 2, 3, 5, 10)
    with ThreadPoolExecutor(2) as pool:
        first = dict(zip(counts, pool.map(run, [(m, 0) for m in counts]), strict=True))
        chosen = min(counts[1:], key=lambda m: first[m][0].record["validation"])
        more = [(m, seed) for m in (1, chosen) for seed in (1, 2)]
        runs = {(m, 0): first[m] for m in counts} | dict(
            zip(more, pool.map(run, more), strict=True)
        )
    found = {case: score(stored) for case, (stored, _) in runs.items()}
    rows = []
    for (m, seed), (stored, minutes) in sorted(runs.items()):
        e = found[m, seed]
        figure = (
            f"test mean {e.mean():.4f}, median {np.median(e):.1e}; validation"
            f" {stored.record['validation']:.4f}; {minutes:.1f} min"
        )
        rows.append(
            Row(f"one stroke, m = {m}, seed {seed}", figure, "at most .0078" if m == 1 else "")
        )
    one, many = (np.mean([found[m, seed] for seed in range(3)], 0) for m in (1, chosen))
    p = wilcoxon(one, many).pvalue
    better = (
        f"{one.mean():.4f} and {many.mean():.4f}; better on {(many < one).mean():.0%} of 2,000"
        f" samples, Wilcoxon p = {p:.1e}"
    )
    rows.append(
        Row(
            f"EGNN and MC-EGNN with m = {chosen} (chosen on validation), mean of three seeds",
            better,
            "the chosen m better",
        )
    )
    return rows


def _force_row(what: str, e: np.ndarray, note: str, bar: str = "") -> Row:
    return Row(
        what,
        f"mean {e.mean():.2e}, median {np.median(e):.1e}, 99 % {np.quantile(e, 0.99):.1e}; {note}",
        bar,
    )


def force() -> list[Row]:
    """The learned force on the official test samples, with fewer training samples, and on more
    particles."""
    counts = (3000, 1000, 300, 100, 30)

    def run(n: int) -> tuple[Stored, float]:
        return trained("force" if n == 3000 else f"force-{n}", "charged-force", f"data.n_train={n}")

    with ThreadPoolExecutor(2) as pool:
        runs = dict(zip(counts, pool.map(run, counts), strict=True))
    options, test = parse_recorded(runs[3000][0].record["options"]).task, charged().test
    rows = []
    for n, (stored, minutes) in runs.items():
        bar = "mean at most .0020, aim 3.5e-4; median at most 1e-5; 15 minutes" if n == 3000 else ""
        rows.append(
            _force_row(
                f"learned force, {n:,} training samples",
                errors(stored.model, test, options),
                f"{minutes:.1f} min",
                bar,
            )
        )
    model = runs[3000][0].model
    for n in (10, 20):
        samples: Dataset = frames(charged_systems(500, seed=43, n_particles=n))
        still = errors_of_standing_still(samples)
        rows.append(
            _force_row(
                f"the same force, {n} particles, 500 systems",
                errors(model, samples, options),
                f"stand still {still:.2f}",
            )
        )
    return rows


def errors_of_standing_still(samples: Dataset) -> float:
    """Mean squared way."""
    start, end = samples.ensemble().positions, samples.of_ensemble("positions")
    return float(((end - start) ** 2).mean())


def rollouts() -> list[Row]:
    """Five units of time of 200 systems: one stroke after the other, the learned force, and the
    exact law in another scheme."""
    models = {"one stroke after the other": "charged-mcegnn", "learned force": "charged-force"}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        common = ["rollout", "charged", "--systems", "200", "--seed", "7", "--quiet"]
        subprocess.run([*_MCEGNN, *common, "-o", f"{folder}/exact.h5md"], check=True)
        for what, model in models.items():
            path = f"{folder}/{model}.h5md"
            subprocess.run(
                [*_MCEGNN, *common, "--model", model, "--time", "5", "-o", path], check=True
            )
            rows.append(_compared(what, path, f"{folder}/exact.h5md"))
        path = f"{folder}/verlet.h5md"
        subprocess.run(
            [*_MCEGNN, *common, "--integrator", "velocity-verlet", "-o", path], check=True
        )
        rows.append(
            _compared("exact force, velocity Verlet, no clip", path, f"{folder}/exact.h5md")
        )
    return rows


def _compared(what: str, path: str, exact: str) -> Row:
    text = subprocess.run(
        [*_MCEGNN, "analyse", path, "--reference", exact, "--json"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(text)
    against, drift = found["against"], found["energy_drift"]["median"]
    error = f"median error at the end {against['median_error_at_the_end']:.2g}"
    figure = (
        f"{error}, valid for {against['median_valid_time']:.3g} (within 0.1), energy drift"
        f" {drift:.1e}"
    )
    return Row(f"200 systems to time 5: {what}", figure)
