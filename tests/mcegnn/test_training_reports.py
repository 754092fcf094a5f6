"""The report of a training: its numbers are the model's, its curves are the metrics', and the worst
samples are the worst."""

import base64
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from mcegnn.cli import progress
from mcegnn.data.assembly import join_datasets
from mcegnn.data.dataset import Dataset
from mcegnn.data.label_targets import with_labels
from mcegnn.data.split import Split
from mcegnn.data.target import Target
from mcegnn.losses import ERRORS
from mcegnn.models.store import Stored
from mcegnn.tasks.reports import shares, training_report
from mcegnn.tasks.reports.learning import learning
from mcegnn.tasks.reports.shares import error_distribution, parity
from mcegnn.training.options import parse
from mcegnn.training.prediction import measures
from mcegnn.training.scoring import forecast
from trajectories.analysis import Analysis

Run = Callable[..., Any]
ROW = {
    "update": "100",
    "loss": "0.5",
    "error": "0.2",
    "median": "0.1",
    "best": "0.2",
    "lr": "0.001",
    "seconds": "60.0",
}


def positions(scene: dict[str, Any]) -> np.ndarray:
    """As the page's script computes them."""
    whole = np.frombuffer(base64.b64decode(scene["positions"]), "<u2").reshape(
        scene["particles"], 3
    )
    return np.asarray(whole * (scene["span"] / scene["levels"]) + scene["low"])


def trainer(model: Any, split: Any, **task: Any) -> Any:
    """What a report needs of a trainer."""
    return SimpleNamespace(
        best=model, split=split, options=SimpleNamespace(task=SimpleNamespace(**task))
    )


@pytest.fixture(scope="module")
def structures() -> Dataset:
    """Twelve molecules of three and four atoms with labels that are not the model's."""
    stream, parts = np.random.default_rng(0), []
    for species in ([8, 1, 1], [6, 1, 1, 8]):
        x = np.arange(3 * len(species)).reshape(-1, 3) % 4 + 0.1 * stream.normal(
            size=(6, len(species), 3)
        )
        parts.append(
            with_labels(
                Dataset(np.arange(7) * len(species), np.tile(species, 6), x.reshape(-1, 3)),
                forces=stream.normal(size=x.shape).reshape(-1, 3),
                energy=stream.normal(size=6),
            )
        )
    return join_datasets(parts)


@pytest.fixture(scope="module")
def potential() -> Any:
    torch.manual_seed(0)
    small = {
        "n_features": 8,
        "n_channels": 2,
        "n_layers": 1,
        "n_radial": 4,
        "cutoff": 4.0,
        "species": [1, 6, 8],
    }
    small |= {"reference_energies": [-0.5, -1.0, -2.0]}
    return Stored.make("ConservativePotential", small).model.double()


def test_of_a_potential(potential: Any, structures: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    split = Split(structures, structures.take(slice(0, 2)), structures)
    found = training_report(
        trainer(potential, split, kind="energy-forces", energy_weight=0.5),
        [ROW],
        lambda done, n: seen.append((done, n)),
    )
    assert found.part == "test"
    assert seen[-1] == (12, 12)
    exact = measures(potential, structures)
    for name, key in (
        ("force_mae", "meV/Angstrom"),
        ("force_mae_O", "meV/Angstrom"),
        ("energy_rmse", "meV"),
    ):
        number = found.analysis.number(f"test_{name}")
        assert (number.value, number.unit) == (pytest.approx(1e3 * exact[name]), key)
    assert "forces on O" in found.analysis.number("test_force_mae_O").label
    # structure by structure
    each, worst_atoms = [], []
    for k in range(12):
        one = structures.take(slice(k, k + 1))
        own = measures(potential, one)
        each.append(own["force_mae"] + 0.5 * own["energy_per_atom_mae"])
    ranked = np.argsort(each)[::-1][:10]
    labels = [scene["label"] for scene in found.worst]
    assert [int(label.split()[1]) for label in labels] == ranked.tolist()
    for k, scene in zip(ranked, found.worst, strict=True):
        atoms = slice(structures.starts[k], structures.starts[k + 1])
        np.testing.assert_allclose(
            positions(scene), structures.positions[atoms], atol=scene["span"] / scene["levels"]
        )
        worst_atoms.append(re.search(r"most on atom (\d), (\w+)", scene["label"]))
        assert scene["names"][int(worst_atoms[-1][1])] == worst_atoms[-1][2]
        assert scene["marked"] == int(worst_atoms[-1][1])
        off = float(
            potential.differentiated(structures.system(int(k))).energy - structures["energy"][k]
        )
        assert f"energy off by {1e3 * off:,.1f} meV" in scene["label"]
    forces = found.analysis.curve("parity_forces")
    np.testing.assert_array_equal(forces.x, structures["forces"].ravel())
    together = np.nanmax(np.stack(list(forces.values.values())), 0)
    assert np.abs(together - forces.x).mean() == pytest.approx(exact["force_mae"])
    assert set(forces.values) == {"O", "H", "C"}
    assert found.analysis.curve("force_errors").x[-1] == pytest.approx(
        1e3 * np.abs(together - forces.x).max()
    )
    energies = found.analysis.curve("parity_energy")
    np.testing.assert_allclose(
        energies.x[:6], (structures["energy"][:6] + 3.0) / 3
    )  # of water, less O and two H
    np.testing.assert_allclose(energies.x[6:], (structures["energy"][6:] + 4.0) / 4)
    assert np.abs(energies.values[""] - energies.x).mean() == pytest.approx(
        exact["energy_per_atom_mae"]
    )


def test_without_a_test(potential: Any, structures: Dataset) -> None:
    """The validation stands in for it, and that is said."""
    split = Split(structures, structures.take(slice(0, 5)), structures.take(slice(0, 0)))
    found = training_report(
        trainer(potential, split, kind="energy-forces", energy_weight=0.0), [ROW]
    )
    assert found.part == "validation"
    assert len(found.worst) == 5
    assert any("no samples for a test" in note for note in found.analysis.notes)
    assert found.analysis.number("validation_force_mae").value == pytest.approx(
        1e3 * measures(potential, split.validation)["force_mae"]
    )


def test_of_a_property(structures: Dataset) -> None:
    stream = np.random.default_rng(1)
    molecules = Dataset(
        structures.starts,
        structures.species,
        structures.positions,
        {"gap": Target(stream.normal(size=12), "eV")},
        noun="molecules",
    )
    torch.manual_seed(0)
    model: Any = Stored.make(
        "PropertyModel",
        {
            "property": "gap",
            "species": [1, 6, 8],
            "n_features": 8,
            "n_channels": 1,
            "n_layers": 1,
            "mean": 3.0,
            "std": 2.0,
        },
    ).model.double()
    found = training_report(
        trainer(model, Split(molecules, molecules, molecules), kind="property"), [ROW]
    )
    parity = found.analysis.curve("parity")
    np.testing.assert_allclose(
        parity.x, molecules["gap"] - 3.0
    )  # less what is known without the network
    predicted = model.predict(*(molecules.system(k) for k in range(12)))
    np.testing.assert_allclose(parity.values[""], predicted - 3.0, rtol=1e-6)
    errors = 1e3 * np.abs(parity.values[""] - parity.x)
    assert found.analysis.number("test_rmse").value == pytest.approx(np.sqrt((errors**2).mean()))
    assert found.analysis.number("test_mae").value == pytest.approx(errors.mean())
    assert found.analysis.number("test_mae_C").value == pytest.approx(
        errors[6:].mean()
    )  # the other half holds no carbon
    assert found.analysis.number("test_mae_H").value == pytest.approx(errors.mean())
    assert [int(scene["label"].split()[1]) for scene in found.worst] == np.argsort(errors)[::-1][
        :10
    ].tolist()


def test_of_dynamics() -> None:
    from mcegnn.data.pairs import split

    samples = split("charged", 4)
    some = samples.test.take(slice(0, 15))
    torch.manual_seed(0)
    model: Any = Stored.make(
        "DirectDynamics", {"n_features": 8, "n_layers": 1, "n_channels": 1}
    ).model.double()
    options = parse(
        {
            "data": {"name": "charged"},
            "model": {"kind": "DirectDynamics"},
            "task": {"kind": "direct"},
            "n_updates": 1,
        }
    ).task
    of_options = trainer(model, Split(some, some, some))
    of_options.options.task = options
    found = training_report(of_options, [ROW])
    predicted = forecast(model, some, options)
    start, end = some.ensemble().positions, some.of_ensemble("positions")
    errors = ERRORS["mean-square"](predicted, end, start).mean(-1)
    assert found.analysis.number("test_mean").value == pytest.approx(errors.mean())
    assert found.analysis.number("test_stand_still").value == pytest.approx(
        ((end - start) ** 2).mean((-1, -2)).mean()
    )
    ranked = np.argsort(errors)[::-1][:10]
    assert [int(scene["label"].split()[1]) for scene in found.worst] == ranked.tolist()
    both = positions(found.worst[0])
    grain = found.worst[0]["span"] / found.worst[0]["levels"]
    np.testing.assert_allclose(both[:5], end[ranked[0]], atol=grain)
    np.testing.assert_allclose(both[5:], predicted[ranked[0]], atol=grain)
    assert found.worst[0]["bonds"] == [[k, k + 5] for k in range(5)]
    legend = found.worst[0]["legend"]
    assert found.worst[0]["colors"] == [legend["true"]] * 5 + [legend["predicted"]] * 5


def test_a_forecast_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted, and not drawn."""
    from mcegnn.data.pairs import split
    from mcegnn.tasks.reports import dynamics

    some = split("charged", 4).test.take(slice(0, 8))
    spoilt = some.of_ensemble("positions").copy()
    spoilt[3] = np.nan
    monkeypatch.setattr(dynamics, "forecast", lambda *given: spoilt)
    found = Analysis()
    worst = dynamics.look(
        None,
        some,
        parse(
            {
                "data": {"name": "charged"},
                "model": {"kind": "DirectDynamics"},
                "task": {"kind": "direct"},
                "n_updates": 1,
            }
        ).task,
        "test",
        found,
    )
    assert found.warnings == ["1 of 8 forecasts of the test are not finite."]
    assert found.number("test_largest").value == np.inf
    assert len(worst) == 7
    assert not any("Sample 3 " in scene["label"] for scene in worst)


def test_curves_of_the_training() -> None:
    rows = [
        ROW
        | {
            "update": str(100 * (k + 1)),
            "error": f"{e}",
            "forces": f"{e / 10}",
            "stress": "1",
            "seconds": f"{60 * (k + 1)}",
        }
        for k, e in enumerate((0.4, 0.1, 0.3))
    ]
    found = Analysis()
    learning(rows, found)
    forces = found.curve("validation_forces")
    np.testing.assert_allclose(forces.values[""], [40.0, 10.0, 30.0])
    assert forces.marks == {"best": 200.0}
    assert (found.number("validation_forces").value, found.number("validation_forces").unit) == (
        pytest.approx(10.0),
        "meV/Angstrom",
    )
    assert found.number("validation_stress").unit == "meV/Angstrom^3"
    assert found.number("until_best").value == 2.0
    assert found.number("seconds").value == 3.0
    assert found.number("pace").value == pytest.approx(100 / 60)
    assert "starting" not in {number.key for number in found.numbers}
    # the first update took 30 s, and that after the third row's resume 15
    timed = Analysis()
    learning(
        [
            row | {"starting": starting}
            for row, starting in zip(rows, ("30", "30", "45"), strict=True)
        ],
        timed,
    )
    np.testing.assert_allclose(timed.curve("pace").values[""], [99 / 30, 100 / 60, 99 / 45])
    np.testing.assert_array_equal(timed.curve("pace").x, [100, 200, 300])
    assert timed.number("pace").value == pytest.approx(99 / 45)
    assert (timed.number("starting").value, timed.number("starting").label) == (
        0.75,
        "time of the first updates, one of each start",
    )
    once = Analysis()
    learning([rows[0] | {"starting": "30"}], once)
    assert once.number("pace").value == pytest.approx(99 / 30)
    assert (once.number("starting").value, once.number("starting").label) == (
        0.5,
        "time of the first update",
    )
    # resumed by a version that knows of them
    mixed = Analysis()
    learning(
        [rows[0] | {"starting": ""}, rows[1] | {"starting": ""}, rows[2] | {"starting": "15"}],
        mixed,
    )
    np.testing.assert_allclose(mixed.curve("pace").values[""], [100 / 60, 99 / 45])
    spoilt = Analysis()
    learning([rows[0] | {"error": "nan"}, *rows[1:]], spoilt)
    assert spoilt.curve("validation_forces").marks == {"best": 200.0}
    bare = Analysis()
    learning([], bare)
    assert bare.notes
    assert not bare.curves


def test_shares() -> None:
    """Of errors 1 ... 1000, nine tenths are above 100."""
    shown = error_distribution("e", "Errors", {"a": np.arange(1, 1001.0)}, "eV")
    assert np.interp(100.0, shown.x, shown.values["a"]) == pytest.approx(0.9, abs=0.01)
    stream = np.random.default_rng(0)
    true = stream.normal(size=1000)
    said = parity("p", "Parity", "x", "eV", true, true + 0.5, np.repeat(["a", "b"], 500))
    assert "root mean square difference 0.5" in said.said
    assert np.isnan(said.values["a"][500:]).all()
    assert np.isnan(said.values["b"][:500]).all()


def test_points_that_are_drawn_are_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples come sorted, as by element: points are left out evenly, and the differences are of
    all."""
    monkeypatch.setattr(shares, "_DRAWN", 100)
    true = np.arange(1000.0)
    drawn = parity("p", "Parity", "x", "eV", true, true + (true > 500), np.repeat(["a", "b"], 500))
    np.testing.assert_array_equal(drawn.x, true[::10])
    assert {name: int(np.isfinite(values).sum()) for name, values in drawn.values.items()} == {
        "a": 50,
        "b": 50,
    }
    assert drawn.said.startswith("1,000 points; root mean square difference 0.706,")


TOML = """
n_updates = 2
batch = 4
validate_every = 1
[data]
name = "charged"
n_train = 8
[model]
kind = "DirectDynamics"
hyperparameters = { n_features = 4, n_channels = 1, n_layers = 1 }
[task]
kind = "direct"
"""


TABLE = (
    '<th scope="row">kind</th><td>direct</td>',
    '<th scope="row">validate every</th><td>1</td>',
)


def test_the_page_of_a_folder(
    succeed: Run, refuse: Run, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mcegnn report FOLDER` is the page that the training wrote, and nothing is overwritten
    unasked."""
    (tmp_path / "small.toml").write_text(TOML)
    out = succeed("train", "small.toml").out
    assert re.search(r"\nreport +small/report.html", out)
    page = (tmp_path / "small/report.html").read_text(encoding="utf-8")
    assert succeed("report", "small", "-o", "again.html").out.startswith("wrote again.html, ")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page
    scenes = [
        json.loads(one)
        for one in re.findall(
            r'<script type="application/json" id="scene\d+">(.*?)</script>', page, re.DOTALL
        )
    ]
    assert len(scenes) == 10
    for words in (
        "mcegnn",
        "Training loss",
        "Displacements, test",
        "The worst of the test",
        '<th scope="row">seed</th>',
        "processor",
        *TABLE,
    ):
        assert words in page
    refuse("small/report.html exists already", "report", "small")
    refuse("exists already", "train", "small.toml")
    metrics = (tmp_path / "small/metrics.csv").read_text()
    for spoilt in (
        metrics.replace("loss", "lost"),
        metrics.replace("update", "step", 1),
        metrics.rstrip() + "x\n",
        metrics + "1,2,3,4,5,6,7,8,9\n",
    ):
        (tmp_path / "small/metrics.csv").write_text(spoilt)
        refuse(
            "small/metrics.csv does not hold the metrics of a training",
            "report",
            "small",
            "--force",
        )
    (tmp_path / "small/metrics.csv").write_text(metrics)
    monkeypatch.setattr(progress, "_FIRST_SECONDS", -1.0)
    monkeypatch.setattr(progress, "_LINE_SECONDS", -1.0)
    monkeypatch.setattr(threading, "Timer", lambda *given: Mock())
    said = re.findall(
        r"drawing figures: (\d+) of 100 per cent", cli("report", "small", "--force").err
    )
    assert [int(share) for share in said] == [
        round(100 * k / page.count("<figure>")) for k in range(page.count("<figure>"))
    ]
    for option, value in (("--reference", "x.h5md"), ("--topology", "x.gro"), ("--select", "all")):
        refuse("go with runs", "report", "small", option, value)
    (tmp_path / "empty").mkdir()
    refuse("empty is a folder without a training's last.checkpoint", "report", "empty")
