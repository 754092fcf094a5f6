"""`mcegnn train`, and what can be done with what it leaves: evaluate, rollout with a model, resume;
and mistakes in all of them."""

import csv
import functools
import json
import os
import pickle
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_file
from typer.testing import CliRunner

import mcegnn.cli.progress
from integrators import ensembles
from integrators.ensembles import symplectic_euler
from integrators.state import State
from mcegnn.cli.app import app
from mcegnn.cli.progress import waiting
from mcegnn.data import pairs
from mcegnn.models import store
from mcegnn.models.registry import MODELS
from mcegnn.models.store import Stored
from mcegnn.names import presets
from mcegnn.training import scoring
from mcegnn.training.checkpoint import checkpoint
from mcegnn.training.options import parse
from mcegnn.training.trainer import Progress, Trainer
from systems.sources.charged import charged_systems
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.tensor_file import write_tensors

Run = Callable[..., Any]

DYNAMICS = """
n_updates = 6
batch = 10
warmup = 2
ema = 0.5
validate_every = 2
[data]
name = "charged"
n_train = 20
[model]
kind = "DirectDynamics"
hyperparameters = { n_features = 8, n_channels = 2, n_layers = 2 }
[task]
kind = "direct"
"""
FORCE = """
warmup = 2
validate_every = 2
[data]
name = "charged"
n_train = 20
[model]
kind = "LearnedForce"
hyperparameters = { n_features = 8, n_layers = 2 }
[task]
kind = "unrolled"
n_steps = 20
stages = [
  { n_updates = 3, batch = 10, lr = 3e-2, substeps = [5], clip = false },
  { n_updates = 3, batch = 10, lr = 3e-2, substeps = [5, 10], tolerance = 1e-2, clip = false },
]
"""
RUNS = {"dynamics": DYNAMICS, "force": FORCE}
_split = functools.cache(pairs.split)


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Data sets are rolled out once, and tiny models run in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pairs,
            "split",
            lambda name, n_train=None, without=(): _split(name, n_train, tuple(without)),
        )
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A dynamics model and a learned force, each trained once; nothing below may change them."""
    folder = tmp_path_factory.mktemp("trained")
    for name, text in RUNS.items():
        (folder / f"{name}.toml").write_text(text)
        result = CliRunner().invoke(
            app, ["train", str(folder / f"{name}.toml"), "-o", str(folder / name), "--quiet"]
        )
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", ""), result
    return {name: folder / name for name in RUNS}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The test's folder, with both configurations."""
    for name, text in RUNS.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


@pytest.fixture(params=RUNS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def bits(path: Path) -> dict[str, bytes]:
    return {
        name: tensor.numpy().tobytes()
        for name, tensor in store.load(path).model.state_dict().items()
    }


def metrics(folder: Path) -> list[dict[str, str]]:
    """The rows, but for the time they took."""
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "starting")}
            for row in csv.DictReader(file)
        ]


def assert_same_training(a: Path, b: Path) -> None:
    """To the bit: best weights, metrics and all that a resume needs."""
    assert bits(a / "best.safetensors") == bits(b / "best.safetensors")
    assert metrics(a) == metrics(b)
    (ours, header), (theirs, other) = (checkpoint(folder / "last.checkpoint") for folder in (a, b))
    took = {"seconds": 0.0, "starting": 0.0}
    assert {**header, **took} == {**other, **took}
    assert {name: array.tobytes() for name, array in ours.items()} == {
        name: array.tobytes() for name, array in theirs.items()
    }


def test_the_folder(trained: dict[str, Path], kind: str) -> None:
    folder = trained[kind]
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.safetensors",
        "last.checkpoint",
        "metrics.csv",
        "report.html",
    ]
    rows = metrics(folder)
    assert [row["update"] for row in rows] == ["2", "4", "6"]
    assert list(rows[0]) == ["update", "loss", "error", "median", "best", "lr"]
    stored = store.load(folder / "best.safetensors")
    assert (
        stored.record["validation"]
        == float(rows[-1]["best"])
        == min(float(row["error"]) for row in rows)
    )
    assert stored.record["data"] == _split("charged", 20, ()).train.fingerprint()
    options = parse(stored.record["options"])
    assert options.data.n_train == 20
    assert options.model.hyperparameters == stored.hyperparameters
    # the best weights, not the last ones
    errors = scoring.errors(stored.model, _split("charged", 20, ()).validation, options.task)
    assert errors.mean() == pytest.approx(stored.record["validation"], rel=1e-12)


def test_training_again_gives_the_same_bits(
    succeed: Run, trained: dict[str, Path], here: Path, kind: str
) -> None:
    """Nothing that happened in the process before matters."""
    torch.manual_seed(99)
    succeed("train", f"{kind}.toml", "-o", "again", "--quiet")
    assert_same_training(here / "again", trained[kind])
    succeed("train", f"{kind}.toml", "--set", "seed=1", "-o", "other", "--quiet")
    assert bits(here / "other/best.safetensors") != bits(trained[kind] / "best.safetensors")


def test_what_it_says(cli: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines as it goes on, where that takes a while, and a table at the end."""
    for name in ("_FIRST_SECONDS", "_LINE_SECONDS"):
        monkeypatch.setattr(mcegnn.cli.progress, name, -1.0)
    monkeypatch.setattr(
        threading, "Timer", lambda *given: Mock()
    )  # what is waited for before has a test of its own
    outcome = cli("train", "dynamics.toml")
    assert outcome.code == 0
    assert re.match(r"validation \S+ \(best \S+\): 2 of 6 updates\n", outcome.err)
    assert re.search(
        r"\nvalidation \S+ \(best \S+\): 4 of 6 updates, about \d+ seconds left\n", outcome.err
    )
    assert "6 of 6 updates" in outcome.err
    errors = scoring.errors(
        store.load("dynamics/best.safetensors").model,
        _split("charged", 20, ()).test,
        parse(store.load("dynamics/best.safetensors").record["options"]).task,
    )
    for name, value in (
        ("mean", errors.mean()),
        ("median", np.median(errors)),
        ("largest", errors.max()),
    ):
        assert re.search(
            rf"\ntest, mean-square +{re.escape(f'{value:.5g}')}, {name} of 2,000 samples *\n",
            outcome.out,
        )
    assert "dynamics/report.html" in outcome.out
    assert "dynamics/best.safetensors" in outcome.out


KEYS = [
    "error",
    "mse",
    "median",
    "q90",
    "q99",
    "largest",
    "stand_still",
    "linear",
    "samples",
    "of",
    "part",
    "seconds",
]


def test_evaluate(succeed: Run, trained: dict[str, Path], kind: str) -> None:
    path = trained[kind] / "best.safetensors"
    told = json.loads(succeed("evaluate", path, "charged", "--json").out)
    assert list(told) == KEYS
    stored = store.load(path)
    errors = scoring.errors(
        stored.model, _split("charged", None, ()).test, parse(stored.record["options"]).task
    )
    assert told["error"] == "mean-square"
    assert (told["mse"], told["median"], told["largest"]) == (
        errors.mean(),
        np.median(errors),
        errors.max(),
    )
    assert (told["q90"], told["q99"]) == pytest.approx(tuple(np.quantile(errors, (0.9, 0.99))))
    assert (told["samples"], told["of"], told["part"]) == (2000, 14000, "test")
    assert told["stand_still"] == pytest.approx(0.2715, abs=3e-4)
    assert told["linear"] == pytest.approx(0.107, abs=3e-4)


def test_evaluate_on_validation_samples(succeed: Run, trained: dict[str, Path]) -> None:
    """It is what the training's best was chosen by."""
    path = trained["dynamics"] / "best.safetensors"
    told = json.loads(succeed("evaluate", path, "charged", "--json", "--validation").out)
    assert told["mse"] == pytest.approx(store.load(path).record["validation"], rel=1e-12)
    assert told["part"] == "validation"
    table = succeed("evaluate", path, "charged", "--validation").out
    assert re.search(r"\nscored +validation samples, 2,000 of 14,000 in charged *\n", table)
    assert re.search(
        r"\nvalidation, mean-square +" + re.escape(f"{told['mse']:.5g}, mean of 2,000 samples"),
        table,
    )
    assert "validation, no motion" in table


def test_evaluate_says_what_the_training_said(
    succeed: Run, same_scores: Run, here: Path, kind: str
) -> None:
    """Line by line."""
    rows = same_scores(
        succeed("train", f"{kind}.toml", "-o", "run"), "run/best.safetensors", "charged"
    )
    assert rows[0] == "scored test samples, 2,000 of 14,000 in charged"
    assert [row.partition(" ")[2].rpartition(", ")[2] for row in rows[1:]] == [
        *(
            f"{name} of 2,000 samples"
            for name in ("mean", "median", "90 % quantile", "99 % quantile", "largest")
        ),
        *["without a model"] * 2,
    ]


def test_rollout_with_a_dynamics_model(succeed: Run, trained: dict[str, Path]) -> None:
    """Over the default time, a frame at each of its own steps; the frames are the model's."""
    path = trained["dynamics"] / "best.safetensors"
    succeed("rollout", "charged", "--model", path, "--systems", 3, "--quiet")
    model, state = store.load(path).model, State(charged_systems(3))
    with H5MDReader("charged.h5md") as reader:
        assert list(reader.steps) == [0, 1, 2, 3, 4, 5]
        assert list(reader.times) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        x, v = reader.frames("position"), reader.frames("velocity")
    for k in range(6):
        np.testing.assert_allclose(x[k], state.system.positions, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(v[k], state.system.velocities, rtol=1e-6, atol=1e-6)
        state = model(state, 1.0)
    assert np.abs(x[1] - x[0]).max() > 1e-3


def test_a_dynamics_models_times(succeed: Run, trained: dict[str, Path]) -> None:
    path = trained["dynamics"] / "best.safetensors"
    for options, steps in (
        (("--time", 4), [0, 1, 2, 3, 4]),
        (("--steps", 3), [0, 1, 2, 3]),
        (("--time", 4, "--every", 2), [0, 2, 4]),
        (("--time", 2, "--dt", "1.0"), [0, 1, 2]),
    ):
        succeed(
            "rollout", "charged", "--model", path, "--systems", 2, *options, "--quiet", "--force"
        )
        with H5MDReader("charged.h5md") as reader:
            assert list(reader.steps) == steps
            assert list(reader.times) == [float(step) for step in steps]


def test_rollout_with_a_learned_force(succeed: Run, trained: dict[str, Path]) -> None:
    """The tabulated law through the same scheme; forces are pair forces, so that nothing but
    round-off changes momentum."""
    path = trained["force"] / "best.safetensors"
    succeed("rollout", "charged", "--model", path, "--systems", 10, "--steps", 1000, "--quiet")
    with H5MDReader("charged.h5md") as reader:
        assert list(reader.steps) == list(range(0, 1001, 100))
        x, v = reader.frames("position"), reader.frames("velocity")
    momenta = v.sum(2)
    assert np.abs(momenta - momenta[0]).max() < 1e-12
    # the law is not nothing: it bends the particles' ways
    assert np.abs(v[-1] - v[0]).max() > 1e-3
    law = store.load(path).model.tabulated()
    assert law.kernel is not None
    *_, end = rollout(symplectic_euler(law), State(charged_systems(10)), 1e-3, 1000, 1000)
    np.testing.assert_allclose(x[-1], end.system.positions, rtol=0, atol=1e-10)


@pytest.mark.parametrize("integrator", ["velocity-verlet", "yoshida-4"])
def test_a_learned_force_goes_with_integrators(
    succeed: Run, trained: dict[str, Path], integrator: str
) -> None:
    """By the integrator that was asked for, the tabulated law moves the particles."""
    path = trained["force"] / "best.safetensors"
    succeed(
        "rollout",
        "charged",
        "--model",
        path,
        "--systems",
        2,
        "--steps",
        100,
        "--integrator",
        integrator,
        "--quiet",
    )
    with H5MDReader("charged.h5md") as reader:
        assert reader.configuration["integrator"] == integrator
        x, v = reader.frames("position")[-1], reader.frames("velocity")[-1]
    flow = ensembles.integrator(integrator)(store.load(path).model.tabulated())
    *_, end = rollout(flow, State(charged_systems(2)), 1e-3, 100, 100)
    np.testing.assert_allclose(x, end.system.positions, rtol=0, atol=1e-10)
    np.testing.assert_allclose(v, end.system.velocities, rtol=0, atol=1e-10)


def test_a_rollout_with_a_model_goes_on(
    succeed: Run, equal: Run, trained: dict[str, Path], kind: str
) -> None:
    path = trained[kind] / "best.safetensors"
    steps = {"dynamics": (2, 3, 5), "force": (100, 200, 300)}[kind]
    options = ("rollout", "charged", "--model", path, "--systems", 2, "--quiet")
    succeed(*options, "--steps", steps[2], "-o", "whole.h5md")
    succeed(*options, "--steps", steps[0], "-o", "run.h5md")
    succeed("rollout", "--resume", "run.h5md", "--steps", steps[1], "--quiet")
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_a_rollout_does_not_go_on_with_another_model(
    refuse: Run, succeed: Run, trained: dict[str, Path]
) -> None:
    Path("model.safetensors").write_bytes((trained["force"] / "best.safetensors").read_bytes())
    succeed(
        "rollout",
        "charged",
        "--model",
        "model.safetensors",
        "--systems",
        2,
        "--steps",
        100,
        "--quiet",
    )
    Path("model.safetensors").write_bytes((trained["dynamics"] / "best.safetensors").read_bytes())
    refuse(
        "the model model.safetensors is not the one the run began with",
        "rollout",
        "--resume",
        "charged.h5md",
        "--steps",
        100,
    )


@pytest.mark.parametrize("after", [2, 4])
def test_an_interrupted_training_goes_on(
    cli: Run, trained: dict[str, Path], here: Path, kind: str, after: int
) -> None:
    """Ctrl-C after some updates more than the last validation; what comes out is the run that was
    never stopped."""
    step = Trainer._step

    def interrupted(self: Trainer) -> float:
        if self.update == after + 1:
            raise KeyboardInterrupt
        return step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupted)
        stopped = cli("train", f"{kind}.toml", "-o", "run", "--quiet")
    assert stopped.code == 130
    assert (
        stopped.err == "stopped; go on from the last validation with: mcegnn train --resume run\n"
    )
    assert [row["update"] for row in metrics(here / "run")] == ["2", "4"][: after // 2]
    dry = cli("train", "--resume", "run", "--dry-run")
    assert (dry.code, dry.out) == (0, f"run: {after} of 6 updates are done\n")
    done = cli("train", "--resume", "run")
    assert done.code == 0
    assert re.search(r"\nupdates +6 *\n", done.out)
    assert_same_training(here / "run", trained[kind])


def test_a_complete_training_is_left_as_it_is(
    succeed: Run, trained: dict[str, Path], here: Path, kind: str
) -> None:
    """It is said what can be done instead; nothing is looked at again, not even the data."""
    shutil.copytree(trained[kind], here / "run")
    (here / "run/report.html").write_text("a page of its own")
    before = {path.name: path.read_bytes() for path in (here / "run").iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "split", None)
        out = succeed("train", "--resume", "run").out
        assert succeed("train", "--resume", "run", "--dry-run").out == out
        assert succeed("train", "--resume", "run", "--quiet").out == ""
    assert {path.name: path.read_bytes() for path in (here / "run").iterdir()} == before
    assert (
        out == "run is complete: all 6 updates are done; train on from its best weights with --from"
        " run/best.safetensors and another folder, or make its page anew with: mcegnn report run"
        " --force\n"
    )


def test_a_complete_training_without_its_page(
    succeed: Run, trained: dict[str, Path], here: Path, kind: str
) -> None:
    """It was ended while the page was made; a resume makes it, as does the command that is named
    where there is one."""
    shutil.copytree(trained[kind], here / "run")
    (here / "run/report.html").unlink()
    assert re.search(r"\nupdates +6 *\n", succeed("train", "--resume", "run").out)
    page = (here / "run/report.html").read_bytes()
    assert_same_training(here / "run", trained[kind])
    (here / "run/report.html").write_text("")
    succeed("report", "run", "--force", "--quiet")
    assert (here / "run/report.html").read_bytes() == page


def test_a_training_that_ended_before_its_last_update(succeed: Run, here: Path) -> None:
    """Where validations are not better any more, as they are not at a rate of next to nothing."""
    options = ("--set", "patience=1", "--set", "lr=1e-30", "--set", "n_updates=20")
    succeed("train", "dynamics.toml", "-o", "run", *options, "--quiet")
    out = succeed("train", "--resume", "run").out
    assert out.startswith(
        "run is complete: after 4 of 20 updates more brought nothing better; train on "
    )


def test_a_run_of_before_first_updates_had_a_time(
    cli: Run, succeed: Run, trained: dict[str, Path], here: Path
) -> None:
    """Neither its metrics nor its checkpoint know one; it goes on all the same, and its page is
    always the same."""
    validated = Trainer.run

    def first(trainer: Trainer, *stop: Any) -> Iterator[Progress]:
        yield next(validated(trainer, *stop))
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "run", first)
        assert cli("train", "dynamics.toml", "-o", "run", "--quiet").code == 130
    arrays, header = checkpoint(here / "run/last.checkpoint")
    del header["starting"]
    write_tensors(here / "run/last.checkpoint", header, arrays)
    text = [line.split(",") for line in (here / "run/metrics.csv").read_text().splitlines()]
    assert text[0].pop(7) == "starting"
    text[1].pop(7)
    (here / "run/metrics.csv").write_text("".join(",".join(line) + "\n" for line in text))
    succeed("train", "--resume", "run", "--quiet")
    assert_same_training(here / "run", trained["dynamics"])
    succeed("report", "run", "-o", "again.html", "--quiet")
    assert (here / "again.html").read_bytes() == (here / "run/report.html").read_bytes()


def test_killed_before_the_best_weights_are_kept(
    cli: Run, trained: dict[str, Path], here: Path
) -> None:
    """The checkpoint does not say that the last update is done before its weights are there."""
    save, n = store.save, 0

    def killed(*given: Any) -> None:
        nonlocal n
        n += 1
        if n == 3:
            raise KeyboardInterrupt
        save(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "save", killed)
        assert cli("train", "dynamics.toml", "-o", "run", "--quiet").code == 130
    assert cli("train", "--resume", "run", "--quiet").code == 0
    assert_same_training(here / "run", trained["dynamics"])


def test_metrics_beyond_the_checkpoint(
    succeed: Run, trained: dict[str, Path], here: Path, kind: str
) -> None:
    """Rows that an older checkpoint knows nothing of are made again, not kept twice."""
    old: list[bytes] = []
    save = Trainer.save

    def remembered(self: Trainer, path: Path, record: Any) -> None:
        save(self, path, record)
        old.append(path.read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "save", remembered)
        succeed("train", f"{kind}.toml", "-o", "run", "--quiet")
    (here / "run/last.checkpoint").write_bytes(old[0])
    succeed("train", "--resume", "run", "--quiet")
    assert_same_training(here / "run", trained[kind])


def test_killed_while_metrics_are_written(cli: Run, trained: dict[str, Path], here: Path) -> None:
    """After the checkpoint, before the last row: no row may be lost."""
    rows = csv.DictWriter.writerows

    def killed(self: Any, what: Any) -> None:
        if len(what) == 2:
            raise KeyboardInterrupt
        rows(self, what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv.DictWriter, "writerows", killed)
        assert cli("train", "dynamics.toml", "-o", "run", "--quiet").code == 130
    assert cli("train", "--resume", "run", "--quiet").code == 0
    assert_same_training(here / "run", trained["dynamics"])


def test_interrupted_before_the_first_validation(cli: Run, refuse: Run, here: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_step", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli("train", "dynamics.toml", "-o", "run", "--quiet").code == 130
    refuse("there is no checkpoint run/last.checkpoint to go on from", "train", "--resume", "run")


def test_a_training_that_goes_to_pieces(cli: Run, here: Path) -> None:
    """Exit code 3 and one sentence; the files of the last validation are kept."""
    steps = Trainer._step

    def broken(self: Trainer) -> float:
        loss = steps(self)
        if self.update == 3:
            with torch.no_grad():
                next(iter(self.model.parameters())).fill_(np.nan)
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_step", broken)
        outcome = cli("train", "dynamics.toml", "-o", "run", "--quiet")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert "use a smaller lr" in outcome.err
    assert [row["update"] for row in metrics(here / "run")] == ["2"]
    assert store.load("run/best.safetensors").kind == "DirectDynamics"


def test_existing_output(refuse: Run, succeed: Run, trained: dict[str, Path], here: Path) -> None:
    for name in ("best.safetensors", "last.checkpoint", "metrics.csv"):
        (here / "run").mkdir()
        (here / "run" / name).write_text("precious")
        refuse(
            f"run/{name} exists already; choose another name or overwrite it with --force",
            "train",
            "dynamics.toml",
            "-o",
            "run",
        )
        (here / "run" / name).unlink()
        (here / "run").rmdir()
    (here / "run").mkdir()
    (here / "run" / "notes.txt").write_text("precious")
    succeed("train", "dynamics.toml", "-o", "run", "--quiet")
    succeed("train", "force.toml", "-o", "run", "--quiet", "--force")
    assert (here / "run" / "notes.txt").read_text() == "precious"
    assert_same_training(here / "run", trained["force"])


def test_dry_run_writes_nothing(succeed: Run, here: Path) -> None:
    before = sorted(here.iterdir())
    told = json.loads(succeed("train", "dynamics.toml", "--set", "lr=0.125", "--dry-run").out)
    assert parse(told).lr == told["lr"] == 0.125
    for preset in presets():
        if preset.startswith(("rmd17", "extxyz", "adapt")):  # whose data are not the package's
            continue
        assert json.loads(succeed("train", preset, "--dry-run").out)["model"]["kind"] in MODELS
    assert sorted(here.iterdir()) == before


def test_from_another_model(succeed: Run, trained: dict[str, Path], here: Path, kind: str) -> None:
    """A rate next to nothing leaves the weights where they began: at the other model's."""
    other = trained[kind] / "best.safetensors"
    rate = (
        ("--set", "lr=1e-30")
        if kind == "dynamics"
        else ("--set", "task.stages=[{n_updates=1, batch=5, lr=1e-30, substeps=[5]}]")
    )
    short = ("--set", "n_updates=1") if kind == "dynamics" else ()
    succeed("train", f"{kind}.toml", "--from", other, *rate, *short, "-o", "run", "--quiet")
    assert bits(here / "run/best.safetensors") == bits(other)


def test_from_a_model_of_another_shape(refuse: Run, trained: dict[str, Path], here: Path) -> None:
    options = ("train", "dynamics.toml", "-o", "run", "--from")
    refuse("is another model", *options, trained["force"] / "best.safetensors")
    refuse(
        "is another model",
        *options,
        trained["dynamics"] / "best.safetensors",
        "--set",
        "model.hyperparameters.n_features=9",
    )
    refuse("there is no model none.safetensors", *options, "none.safetensors")


SET = ("train", "dynamics.toml", "-o", "run", "--set")
TABLE = {
    "nothing": ("name a preset (adapt, adapt-ethanol, charged-canonical, charged-egnn", "train"),
    "unknown preset": (
        "there is no preset 'charged-egn'; did you mean charged-egnn?",
        "train",
        "charged-egn",
    ),
    "no such file": ("there is no configuration mine.toml", "train", "mine.toml"),
    "broken file": ("broken.toml is no TOML file", "train", "broken.toml"),
    "unknown key": ("there is no key 'n_update'; did you mean n_updates?", *SET, "n_update=3"),
    "wrong value": ("n_updates: ", *SET, "n_updates=none"),
    "no value": ("--set takes key=value", *SET, "lr"),
    "unknown data set": (
        "there is no data set 'chraged'; did you mean charged?",
        *SET,
        "data.name=chraged",
    ),
    "no bodies file": ("there is no bodies file none.csv", *SET, "data.name=solar:none.csv"),
    "more samples than there are": (
        "1 to 10000 training samples, not 10001",
        *SET,
        "data.n_train=10001",
    ),
    "charges without the Moon": (
        "only solar data sets can be without a body",
        *SET,
        'data.without=["Moon"]',
    ),
    "unknown model": (
        "there is no model 'DirectDynamic'; did you mean DirectDynamics?",
        *SET,
        "model.kind=DirectDynamic",
    ),
    "unknown hyper-parameter": (
        "has no hyper-parameter 'chanels'; did you mean n_channels?",
        *SET,
        "model.hyperparameters.chanels=3",
    ),
    "no features": (
        "n_features must be at least 1, not 0",
        *SET,
        "model.hyperparameters.n_features=0",
    ),
    "no such device": ("device 'abacus' is not available; use device=cpu", *SET, "device=abacus"),
    "a seed beyond 64 bits": ("seed", *SET, "seed=18446744073709551616"),
    "no threads": (
        "--threads must be at least 1, not 0",
        "train",
        "dynamics.toml",
        "--threads",
        "0",
    ),
    "a file as folder": (
        "dynamics.toml is a file; name a folder with -o",
        "train",
        "dynamics.toml",
        "-o",
        "dynamics.toml",
    ),
    "no such folder": ("there is no folder none", "train", "dynamics.toml", "-o", "none/run"),
    "resume nothing": ("there is no checkpoint none/last.checkpoint", "train", "--resume", "none"),
    "resume and set": (
        "--resume takes everything from the run's folder",
        "train",
        "--resume",
        "run",
        "--set",
        "lr=1",
    ),
    "resume and preset": (
        "--resume takes everything from the run's folder",
        "train",
        "charged-egnn",
        "--resume",
        "run",
    ),
    "a task that is not the model's": (
        "LearnedForce",
        *SET,
        'model={kind="LearnedForce", hyperparameters={}}',
    ),
    "another interval": ("interval", *SET, "model.hyperparameters.interval=2.0"),
    "masses of charges": ("charge", *SET, "model.hyperparameters.inputs=masses"),
    "units of charges": ("units", *SET, "model.hyperparameters.units=astronomical"),
}


@pytest.mark.parametrize("mistake", TABLE)
def test_refuses(refuse: Run, here: Path, mistake: str) -> None:
    (here / "broken.toml").write_text("lr = ")
    words, *arguments = TABLE[mistake]
    refuse(words, *arguments)


@pytest.mark.parametrize(
    "change",
    [
        "task.integrator=eulr",
        "task.scheme=eulr",
        "task.integrator=wisdom-holman",
        "task.scheme=wisdom-holman",
    ],
)
def test_an_integrator_that_there_is_not(refuse: Run, here: Path, change: str) -> None:
    refuse(change.split("=")[1], "train", "force.toml", "-o", "run", "--set", change)


@pytest.mark.parametrize(
    "change", ["data.name=chraged", "model.kind=DirectDynamic", "model.hyperparameters.chanels=3"]
)
def test_dry_run_checks_the_configuration(refuse: Run, here: Path, change: str) -> None:
    refuse(
        "did you mean" if "hyper" not in change else "chanels",
        "train",
        "dynamics.toml",
        "--dry-run",
        "--set",
        change,
    )


@pytest.mark.parametrize(
    "change", ["data.name=chraged", "model.kind=DirectDynamic", "device=abacus"]
)
def test_a_mistake_costs_no_run(
    refuse: Run, trained: dict[str, Path], here: Path, change: str
) -> None:
    """--force overwrites a run by another one, not by nothing."""
    (here / "run").mkdir()
    for path in trained["dynamics"].iterdir():
        (here / "run" / path.name).write_bytes(path.read_bytes())
    refuse(change.split("=")[1], "train", "dynamics.toml", "-o", "run", "--force", "--set", change)


@pytest.mark.parametrize("content", [b"", b"torn", "cut", "model", "no options", "wrong options"])
def test_a_checkpoint_that_is_none(
    refuse: Run, trained: dict[str, Path], here: Path, content: bytes | str
) -> None:
    (here / "run").mkdir()
    path = here / "run/last.checkpoint"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        path.write_bytes((trained["force"] / "last.checkpoint").read_bytes()[:-10])
    elif content == "model":
        path.write_bytes((trained["force"] / "best.safetensors").read_bytes())
    else:
        header = {} if content == "no options" else {"options": {"lr": -1}}
        save_file({"size": torch.zeros(())}, str(path), {"mcegnn": json.dumps(header)})
    refuse("", "train", "--resume", "run")


MODEL_MISTAKES = {
    "a step that is not the model's": (
        "predicts steps of 1 only; leave out --dt 0.5",
        "dynamics",
        "--dt",
        "0.5",
    ),
    "the default step of exact physics": (
        "predicts steps of 1 only; leave out --dt 0.001",
        "dynamics",
        "--dt",
        "0.001",
    ),
    "an integrator of a dynamics model": (
        "leave out --integrator",
        "dynamics",
        "--integrator",
        "velocity-verlet",
    ),
    "time that is no multiple": (
        "is not a whole number of time steps",
        "dynamics",
        "--time",
        "2.5",
    ),
    "every does not divide": (
        "are not a whole multiple of --every 2",
        "dynamics",
        "--steps",
        "3",
        "--every",
        "2",
    ),
    "wisdom-holman": ("wisdom-holman", "force", "--integrator", "wisdom-holman"),
}


@pytest.mark.parametrize("mistake", MODEL_MISTAKES)
def test_rollout_refuses(refuse: Run, trained: dict[str, Path], mistake: str) -> None:
    words, which, *options = MODEL_MISTAKES[mistake]
    refuse(words, "rollout", "charged", "--model", trained[which] / "best.safetensors", *options)


def test_a_charged_model_for_the_solar_system(
    refuse: Run, trained: dict[str, Path], kind: str
) -> None:
    refuse(
        "is in reduced units, not in the astronomical units of a solar system",
        "rollout",
        "solar",
        "--model",
        trained[kind] / "best.safetensors",
    )


SOLAR_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamics": (
        "DirectDynamics",
        {
            "n_features": 8,
            "n_layers": 2,
            "interval": 1000 / 48,
            "inputs": "masses",
            "units": "astronomical",
        },
    ),
    "force": (
        "LearnedForce",
        {"n_features": 8, "coupling": "masses", "n_masses": 11, "units": "astronomical"},
    ),
}


@pytest.fixture
def solar_model(here: Path, kind: str) -> Path:
    """An untrained model for eleven bodies, whose record says that it was trained on the solar
    task."""
    name, hyperparameters = SOLAR_MODELS[kind]
    task = {"kind": "direct", "error": "displacement"}
    if kind == "force":
        stage = {"n_updates": 1, "batch": 1, "lr": 1.0, "substeps": [5]}
        task = {"kind": "unrolled", "error": "displacement", "n_steps": 20, "stages": [stage]}  # type: ignore[dict-item]
    options = {
        "data": {"name": "solar"},
        "model": {"kind": name, "hyperparameters": hyperparameters},
        "task": task,
    }
    torch.manual_seed(0)
    store.save(
        Stored.make(name, hyperparameters, {"options": parse(options).model_dump()}),
        here / "solar.safetensors",
    )
    return here / "solar.safetensors"


def test_a_solar_model(refuse: Run, succeed: Run, solar_model: Path) -> None:
    """It goes with the solar system, and not with charges."""
    refuse(
        "is in astronomical units, not in the reduced units of a charged system",
        "rollout",
        "charged",
        "--model",
        solar_model,
    )
    succeed("rollout", "solar", "--model", solar_model, "--steps", 2, "--quiet")
    told = json.loads(succeed("evaluate", solar_model, "solar", "--json").out)
    assert "displacement" in told
    assert "mse" not in told
    assert told["stand_still"] == pytest.approx(1.0, rel=1e-12)


def test_evaluate_where_a_model_does_not_belong(
    refuse: Run, trained: dict[str, Path], solar_model: Path, kind: str
) -> None:
    """As rollout refuses it."""
    refuse("units", "evaluate", trained[kind] / "best.safetensors", "solar")
    refuse("units", "evaluate", solar_model, "charged")


@pytest.mark.parametrize("kind", ["force"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_learned_masses_of_other_bodies(
    refuse: Run, solar_model: Path, more: tuple[str, ...]
) -> None:
    words = "has learned the masses of 11 bodies; the system has 10"
    refuse(words, "rollout", "solar", "--without", "Moon", "--model", solar_model, *more)
    if not more:
        refuse(words, "evaluate", solar_model, "solar", "--without", "Moon")


COMMANDS = [
    ("rollout", "charged", "--model", "model.safetensors"),
    ("evaluate", "model.safetensors", "charged"),
    ("train", "force.toml", "-o", "run", "--from", "model.safetensors"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_model_files_that_are_none(
    refuse: Run, trained: dict[str, Path], here: Path, command: tuple[str, ...]
) -> None:
    content = (trained["force"] / "best.safetensors").read_bytes()
    for wrong in (
        content[:-1],
        content[:100],
        b"",
        pickle.dumps({"size": 1.0}),
        b"\xff" + content[1:],
    ):
        (here / "model.safetensors").write_bytes(wrong)
        refuse("model.safetensors is not a model of ours, or a damaged one", *command)
    (here / "model.safetensors").unlink()
    refuse("there is no model model.safetensors", *command)
    (here / "model.safetensors").mkdir()
    refuse("model.safetensors is a folder; name the model file in it", *command)


def test_evaluate_mistakes(refuse: Run, trained: dict[str, Path]) -> None:
    path = trained["force"] / "best.safetensors"
    refuse("there is no data set 'chraged'; did you mean charged?", "evaluate", path, "chraged")
    refuse(
        "only solar data sets can be without a body",
        "evaluate",
        path,
        "charged",
        "--without",
        "Moon",
    )


@pytest.mark.parametrize(
    "record", [{}, {"options": None}, {"options": {}}, {"options": {"task": {"kind": "direct"}}}]
)
def test_evaluate_a_model_that_nobody_trained(
    refuse: Run, here: Path, record: dict[str, Any]
) -> None:
    """A model made by hand and stored has no record of a task."""
    store.save(Stored.make("LearnedForce", {"n_features": 8}, record), here / "model.safetensors")
    refuse("", "evaluate", "model.safetensors", "charged")


AT_ONCE = {
    "unknown preset": ("did you mean charged-egnn?", "train", "charged-egn"),
    "existing output": (
        "run/best.safetensors exists already",
        "train",
        "dynamics.toml",
        "-o",
        "run",
    ),
    "unknown key": ("did you mean n_updates?", *SET, "n_update=3"),
    "resume and set": ("--resume takes everything", "train", "--resume", "run", "--set", "lr=1"),
    "resume nothing": ("there is no checkpoint", "train", "--resume", "none"),
    "no such data": (
        "there is no data set",
        "train",
        "dynamics.toml",
        "-o",
        "new",
        "--data",
        "chraged",
    ),
    "no bodies file": (
        "there is no bodies file",
        "train",
        "dynamics.toml",
        "-o",
        "new",
        "--data",
        "solar:none.csv",
    ),
    "no data file": ("there is no file none.xyz", "train", "extxyz", "--data", "none.xyz"),
    "no such molecule": ("there is no", "train", "rmd17", "--data", "rmd17:none"),
    "no model to start from": (
        "there is no model none.safetensors",
        "train",
        "dynamics.toml",
        "-o",
        "new",
        "--from",
        "none.safetensors",
    ),
    "no model to evaluate": (
        "there is no model none.safetensors",
        "evaluate",
        "none.safetensors",
        "charged",
    ),
    "a report of nothing": ("is a folder without", "report", "."),
}


@pytest.mark.parametrize("mistake", AT_ONCE)
def test_mistakes_that_are_told_at_once(
    shell: Run, trained: dict[str, Path], here: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    """Before torch is loaded, which takes seconds: one that says it was is put in its place."""
    (here / "torch").mkdir()
    (here / "torch/__init__.py").write_text("raise SystemExit('torch was loaded')")
    shutil.copytree(trained["dynamics"], here / "run")
    monkeypatch.setenv("PYTHONPATH", str(here), prepend=os.pathsep)
    words, *arguments = AT_ONCE[mistake]
    outcome = shell(*arguments)
    assert words in outcome.err
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)


def test_what_there_is_to_wait_for(
    cli: Run, trained: dict[str, Path], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said where it takes longer than a user waits without a word, and only where somebody
    wants to know."""
    shutil.copytree(trained["dynamics"], here / "run")
    waits = []

    class Timer:
        """The time is over at once."""

        def __init__(
            self, seconds: float, function: Callable[..., None], given: Any, named: Any
        ) -> None:
            waits.append(seconds)
            self.start, self.cancel = lambda: function(*given, **named), lambda: None

    monkeypatch.setattr(threading, "Timer", Timer)
    for command in (("train", "dynamics.toml", "-o", "new"), ("report", "run", "--force")):
        assert cli(*command).err == "loading torch and the data ...\n"
        assert cli(*command, "--force", "--quiet").err == ""
    assert waits == [mcegnn.cli.progress._FIRST_SECONDS] * 2


def test_waiting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line after a while; on a terminal at once, and then gone."""
    with monkeypatch.context() as patch:
        timer = Mock()
        patch.setattr(threading, "Timer", timer)
        with waiting("loading"):
            timer.return_value.start.assert_called_once()
        timer.return_value.cancel.assert_called_once()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(mcegnn.cli.progress, "_FIRST_SECONDS", 0.0)
    said = ""
    with waiting("loading"):
        while not said:
            time.sleep(0.01)
            said = capsys.readouterr().err
    assert said == "loading ...\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with waiting("loading"):
        typer.echo("done", err=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.index("loading") < shown.err.index("done")
    assert shown.err.endswith("\x1b[2K")  # the line is wiped


def test_in_a_shell(shell: Run, here: Path) -> None:
    """As a user meets it: a mistake is one line without a traceback, and so is a bad checkpoint."""
    for arguments in (
        ("train", "charged-egn"),
        ("train", "force.toml", "--set", "lr=nan"),
        ("evaluate", "none.safetensors", "charged"),
    ):
        outcome = shell(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("mcegnn: ")
        assert outcome.err.count("\n") == 1
    assert sorted(path.name for path in here.iterdir()) == ["dynamics.toml", "force.toml"]


def test_progress_rows_are_the_metrics() -> None:
    """`metrics` above takes the names of the columns for granted."""
    row = Progress(1, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    names = ["update", "loss", "error", "median", "best", "lr", "seconds", "starting"]
    assert list(vars(replace(row))) == [*names, "parts"]  # parts by their own names
