"""One analysis that fails is left out with its reason; what is no failure of an analysis is not
hidden."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from systems.units import METAL
from trajectories.analysis import Analysis, Axis, Curves, analyse, summary
from trajectories.analysis.guard import left_out
from trajectories.analysis.table import ANALYSES
from trajectories.analysis.task import AnalysisTask
from trajectories.report import write_report
from trajectories.storage.h5md import DamagedRunError, H5MDReader

Written = Callable[..., Path]


@pytest.fixture
def liquid(written: Written) -> Path:
    stream = np.random.default_rng(1)
    x = stream.uniform(0, 12, (1, 20, 3)) + 0.3 * stream.normal(size=(60, 20, 3)).cumsum(0)
    return written(
        x, 0.01 * stream.normal(size=x.shape), species=18, masses=40.0, cell=12.0 * np.eye(3)
    )


def failing(monkeypatch: pytest.MonkeyPatch, name: str, fail: Callable[[], object]) -> None:
    """Make one entry of the table fail once it has found something."""

    def add(task: AnalysisTask, found: Analysis) -> None:
        found.notes.append("found before it failed")
        fail()

    entries = [entry._replace(add=add) if entry.name == name else entry for entry in ANALYSES]
    assert [entry.name for entry in entries].count(name) == 1
    monkeypatch.setattr(summary, "ANALYSES", entries)


@pytest.mark.parametrize("name", [entry.name for entry in ANALYSES])
def test_each_analysis_may_fail(liquid: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The others give what they give without it; nothing is taken from the one that failed."""
    with H5MDReader(liquid) as run:
        whole = analyse(run)
        failing(monkeypatch, name, lambda: np.zeros(0).min())
        found = analyse(run)
    fits = name in (
        "conserved quantities",
        "temperature, energy and pressure",
        "radial distribution",
        "bonds and angles",
        "correlations in time",
        "mean squared displacement",
        "velocity autocorrelation",
    )
    note = f"no {name}: zero-size array to reduction operation minimum which has no identity"
    assert (note in found.notes) == fits
    assert "found before it failed" not in found.notes
    assert {curves.key for curves in found.curves} <= {curves.key for curves in whole.curves}
    assert len(found.curves) >= len(whole.curves) - 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("division by zero"), "division by zero"),
        (IndexError("index 0 is\n out of bounds"), "index 0 is out of bounds"),
        (np.linalg.LinAlgError("Singular matrix"), "Singular matrix"),
        (RuntimeError(""), "RuntimeError"),
        (MemoryError(), "it does not fit into memory"),
        (FloatingPointError("overflow"), "overflow"),
    ],
)
def test_what_counts_as_a_failure(error: Exception, said: str) -> None:
    notes: list[str] = []
    with left_out("spectrum", notes):
        raise error
    assert notes == [f"no spectrum: {said}"]


@pytest.mark.parametrize(
    "error",
    [
        TypeError("a mistake in the code"),
        KeyError("a mistake in the code"),
        AttributeError("a mistake in the code"),
        KeyboardInterrupt(),
        DamagedRunError("run.h5md is damaged"),
    ],
)
def test_what_is_not_hidden(error: BaseException) -> None:
    notes: list[str] = []
    with pytest.raises(type(error)), left_out("spectrum", notes):
        raise error
    assert not notes


def test_a_page_without_what_cannot_be_drawn(liquid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure of numbers that no axis shows, and a scene in a cell without volume: the page is
    written, and says so."""
    import trajectories.report as report

    good = Curves("good", "Good", Axis("time"), np.arange(3.0), Axis("y"), {"": np.arange(3.0)})
    bad = Curves("bad", "Bad", Axis("time"), np.arange(3.0), Axis("y"), {"": np.arange(4.0)})

    def no_scene(*_: object) -> None:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(report, "scene", no_scene)
    path = liquid.with_suffix(".html")
    with H5MDReader(liquid) as run:
        assert run.units is METAL
        write_report(path, run, Analysis(curves=[bad, good]), title="page")
    page = path.read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "No scene of page: Singular matrix." in page
    assert "No figure of Bad: " in page
