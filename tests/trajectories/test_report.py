"""The page of a run: whole, small, escaped, thinned and saying so; that it works is for a browser to say (test_report_browser.py)."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from systems.units import REDUCED
from trajectories.analysis import Known, analyse
from trajectories.h5md import H5MDReader
from trajectories.report import scene, write_report
from trajectories.report import scene as scene_module

Written = Callable[..., Path]
NAMES = ["<b>bold</b>", "</script><script>alert(1)</script>", 'a"b', "ü"]


def scenes(page: str) -> list[dict[str, Any]]:
    found = re.findall(r'<script type="application/json" id="scene\d">(.*?)</script>', page, re.DOTALL)
    return [json.loads(one) for one in found]


def positions(shown: dict[str, Any]) -> np.ndarray:
    """As the page's script computes them."""
    whole = np.frombuffer(base64.b64decode(shown["positions"]), "<u2").reshape(shown["frames"], shown["systems"], shown["particles"], 3)
    return np.asarray(whole * (shown["span"] / shown["levels"]) + shown["low"])


def test_a_page(written: Written, tmp_path: Path) -> None:
    """Self-contained, with text for what cannot be seen, whatever the names are."""
    x = np.random.default_rng(0).normal(size=(30, 4, 3))
    with H5MDReader(written(x, units=REDUCED, names=NAMES)) as run:
        found = analyse(run)
        found.warnings.append("one & two < three")
        size = write_report(tmp_path / "page.html", run, found, title="<run>", rows=[("command", "a < b")], against=run)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert size == len(page.encode())
    assert page.startswith("<!DOCTYPE html>")
    for outside in ("http://", "https://", "//cdn", "<b>bold", "<script>alert", "@import"):
        assert outside not in page.replace('xmlns="http://www.w3.org/2000/svg"', "").replace("http://www.w3.org/1999/xlink", ""), outside
    assert "<title>&lt;run&gt;</title>" in page
    assert "one &amp; two &lt; three" in page
    one, two = scenes(page)
    assert one["names"] == two["names"] == NAMES
    np.testing.assert_allclose(positions(one)[:, 0], x, atol=one["span"] / one["levels"])
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == len(found.curves) > 0
    for drawing, curves in zip(drawings, found.curves, strict=True):
        element = ElementTree.fromstring(drawing)
        assert element.get("role") == "img"
        assert (element.get("aria-label") or "").startswith(f"{curves.title}: ")
    assert page.count("<h1>") == 1
    assert set(re.findall(r'lang="(\w+)"', page)) == {"en"}


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((50, 30, 3), ["one frame of 3"]), ((5, 90, 3), ["50 of 90 particles"]), ((3, 6, 7, 3), ["4 of 6 systems"]),
        ((60, 5, 80, 3), ["50 of 80 particles", "4 of 5 systems", "one frame of 24"]), ((4, 5, 3), []),
    ],
)  # fmt: skip
def test_thinned_and_said(written: Written, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], words: list[str]) -> None:
    """First and last frame stay."""
    module = __import__("sys").modules["trajectories.report.scene"]
    monkeypatch.setattr(module, "_PLACES", 500)
    monkeypatch.setattr(module, "_PARTICLES", 50)
    x = np.random.default_rng(0).normal(size=shape)
    with H5MDReader(written(x, units=REDUCED)) as run:
        shown, left_out = scene_module(run, "run")
        times = run.times
    assert left_out == ([f"The scene shows {', '.join(words)}."] if words else [])
    assert shown["times"][0] == times[0]
    assert shown["times"][-1] == times[-1]
    assert len(shown["times"]) == shown["frames"] <= 500 // (min(shape[-2], 50) * min(shape[1] if len(shape) == 4 else 1, 4)) + 2
    found = positions(shown)
    expected = x.reshape(len(x), -1, *x.shape[-2:])[:, : shown["systems"]]
    np.testing.assert_allclose(found[0, :, 0], expected[0, :, 0], atol=1e-3)
    np.testing.assert_allclose(found[-1, :, -1], expected[-1, :, -1], atol=1e-3)


def test_atoms_are_in_their_cell_with_bonds_and_colours(written: Written) -> None:
    from ase.build import molecule

    atoms = molecule("CH3CH2OH")
    cell = 8.0 * np.eye(3)
    x = np.repeat(atoms.positions[None], 3, 0) + 100.0
    with H5MDReader(written(x, species=atoms.numbers, masses=atoms.get_masses(), cell=cell)) as run:
        shown, _ = scene(run, "ethanol")
    assert positions(shown).min() > -1e-6
    assert positions(shown).max() < 8.0 + 1e-6
    assert len(shown["bonds"]) == 8
    assert shown["legend"]["O"] == "#ff0d0d"
    assert shown["cell"] == cell.tolist()
    assert not shown["trails"]


def test_planets_are_about_the_sun(tmp_path: Path) -> None:
    from integrators.state import State
    from systems.solar import j2000
    from trajectories.writer import H5MDWriter

    solar = j2000()
    with H5MDWriter(tmp_path / "run.h5md", solar.system, names=solar.names) as writer:
        writer.write(State(solar.system))
    with H5MDReader(tmp_path / "run.h5md") as run:
        shown, _ = scene(run, "planets")
    x = positions(shown)[0, 0]
    np.testing.assert_allclose(x[0], 0.0, atol=2e-3)
    assert np.linalg.norm(x[solar.names.index("Earth")]) == pytest.approx(1.0, abs=0.03)
    # the ecliptic is nearly the plane of all but Pluto
    assert abs(x[: solar.names.index("Pluto"), 2]).max() < 2.0
    assert shown["trails"]
    assert shown["compress"]
    assert set(shown["legend"]) == set(solar.names)


def test_a_single_frame_has_a_page(written: Written, tmp_path: Path) -> None:
    with H5MDReader(written(np.ones((1, 2, 3)).cumsum(1), units=REDUCED)) as run:
        write_report(tmp_path / "page.html", run, analyse(run, Known()), title="one")
    assert 'max="0"' in (tmp_path / "page.html").read_text()
