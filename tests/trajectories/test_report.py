"""The page of a run: whole, small, escaped, thinned and saying so; that it works is for a browser
to say (test_report_browser.py)."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from integrators.state import State
from systems.system import System
from systems.units import METAL, REDUCED
from trajectories.analysis import Analysis, Axis, Curves, Known, analyse
from trajectories.analysis.draw import COLORS
from trajectories.report import Scenes, scene, static_scene, write_report
from trajectories.report import page as page_of
from trajectories.report import scene as scene_module
from trajectories.storage.h5md import H5MDReader

Written = Callable[..., Path]
NAMES = ["<b>bold</b>", "</script><script>alert(1)</script>", 'a"b', "ü"]


def scenes(page: str) -> list[dict[str, Any]]:
    found = re.findall(
        r'<script type="application/json" id="scene\d">(.*?)</script>', page, re.DOTALL
    )
    return [json.loads(one) for one in found]


def positions(shown: dict[str, Any]) -> np.ndarray:
    """As the page's script computes them."""
    whole = np.frombuffer(base64.b64decode(shown["positions"]), "<u2").reshape(
        shown["frames"], shown["systems"], shown["particles"], 3
    )
    return np.asarray(whole * (shown["span"] / shown["levels"]) + shown["low"])


def test_a_page(written: Written, tmp_path: Path) -> None:
    """Self-contained, with text for what cannot be seen, whatever the names are."""
    x = np.random.default_rng(0).normal(size=(30, 4, 3))
    with H5MDReader(written(x, units=REDUCED, names=NAMES)) as run:
        found = analyse(run)
        found.warnings.append("one & two < three")
        size = write_report(
            tmp_path / "page.html",
            run,
            found,
            title="<run>",
            rows=[("command", "a < b")],
            against=run,
        )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert size == len(page.encode())
    assert page.startswith("<!DOCTYPE html>")
    for outside in ("http://", "https://", "//cdn", "<b>bold", "<script>alert", "@import"):
        assert outside not in page.replace('xmlns="http://www.w3.org/2000/svg"', "").replace(
            "http://www.w3.org/1999/xlink", ""
        ), outside
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
        ((50, 30, 3), ["one frame of 3"]),
        ((5, 90, 3), ["50 of 90 particles"]),
        ((3, 6, 7, 3), ["4 of 6 systems"]),
        ((60, 5, 80, 3), ["50 of 80 particles", "4 of 5 systems", "one frame of 24"]),
        ((4, 5, 3), []),
    ],
)
def test_thinned_and_said(
    written: Written, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], words: list[str]
) -> None:
    """First and last frame stay."""
    module = __import__("sys").modules["trajectories.report.scene"]
    monkeypatch.setattr(module, "_PLACES", 500)
    monkeypatch.setattr(module, "_PARTICLES", 50)
    x = np.random.default_rng(0).normal(size=shape)
    names = [f"body {k}" for k in range(shape[-2])]
    with H5MDReader(written(x, units=REDUCED, names=names)) as run:
        shown, left_out = scene_module(run, "run")
        times = run.times
    which = np.unique(np.linspace(0, shape[-2] - 1, min(shape[-2], 50)).astype(int))
    assert shown["names"] == [names[k] for k in which]
    assert left_out == ([f"The scene shows {', '.join(words)}."] if words else [])
    assert shown["times"][0] == times[0]
    assert shown["times"][-1] == times[-1]
    assert (
        len(shown["times"])
        == shown["frames"]
        <= 500 // (min(shape[-2], 50) * min(shape[1] if len(shape) == 4 else 1, 4)) + 2
    )
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
    from systems.sources.solar import j2000
    from trajectories.storage.writer import H5MDWriter

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
    # the Sun is first here; the colours of the others are those of their curves
    assert shown["colors"][1:] == [COLORS[k % len(COLORS)] for k in range(10)]


def test_a_single_frame_has_a_page(written: Written, tmp_path: Path) -> None:
    with H5MDReader(written(np.ones((1, 2, 3)).cumsum(1), units=REDUCED)) as run:
        write_report(tmp_path / "page.html", run, analyse(run, Known()), title="one")
    assert 'max="0"' in (tmp_path / "page.html").read_text()


def test_colours_of_charges_and_about_the_heaviest(written: Written) -> None:
    """Red attracts blue; where the heaviest is in the middle of the list, the others' colours skip
    it, as their curves do."""
    x = np.arange(9.0).reshape(1, 3, 3)
    with H5MDReader(written(x, units=REDUCED, charges=[1.0, -1.0, 0.0])) as run:
        shown, _ = scene(run, "charges")
    assert [shown["legend"][word] for word in ("positive", "negative", "neutral")] == shown[
        "colors"
    ]
    assert shown["colors"][:2] == ["#D55E00", "#0072B2"]
    with H5MDReader(
        written(x, units=REDUCED, masses=[1.0, 9.0, 1.0], names=["a", "b", "c"], name="bodies.h5md")
    ) as run:
        shown, _ = scene(run, "bodies")
    assert (shown["colors"][0], shown["colors"][2]) == COLORS[:2]


def test_types_without_elements_have_a_colour_each(written: Written) -> None:
    x = np.random.default_rng(0).uniform(0, 9, (2, 30, 3))
    names = [str(1 + k % 11) for k in range(30)]
    with H5MDReader(written(x, names=names, masses=1.0, cell=9 * np.eye(3))) as run:
        shown, _ = scene(run, "types")
    assert shown["colors"] == [shown["legend"][name] for name in names]
    assert list(shown["legend"]) == [str(k) for k in range(1, 12)]
    assert len(set(shown["colors"])) == 11


def test_each_system_is_in_its_own_cell(record: Callable[..., Path]) -> None:
    x, sides = np.random.default_rng(0).uniform(-30, 30, (2, 20, 3)), np.array([6.0, 9.0])
    cells = sides[:, None, None] * np.eye(3)
    system = replace(
        System.create(x, species=18, masses=40.0, units=METAL), cell=cells, pbc=(True,) * 3
    )
    with H5MDReader(record([State(system)])) as run:
        shown, _ = scene(run, "two boxes")
    np.testing.assert_allclose(positions(shown)[0], x % sides[:, None, None], atol=1e-3)
    alone = static_scene(system.copy_of(1), "one box")
    np.testing.assert_allclose(positions(alone)[0, 0], x[1] % 9.0, atol=1e-3)


class Labels(HTMLParser):
    """The tags of a page, and what its drawings say of themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.labels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("svg", "canvas"):
            self.labels.append(dict(attrs).get("aria-label") or "")


def test_everything_said_is_escaped_and_in_its_place() -> None:
    """Figures before the scenes where these come last; words with quotes stay inside their
    attributes."""
    text = """<i>"it's" & so</i>"""
    curves = Curves("one", text, Axis("x"), np.arange(3.0), Axis("y"), {"": np.arange(3.0)}, text)
    systems = [static_scene(System.create(np.eye(3)), text)] * 2
    shown = page_of(
        text,
        text,
        [(text, text)],
        Analysis(curves=[curves], warnings=[text]),
        Scenes(systems, text, last=True),
        [text],
    )
    found = Labels()
    found.feed(shown)
    assert "i" not in found.tags
    assert [tag for tag in found.tags if tag in ("svg", "canvas")] == [
        "svg",
        "canvas",
        "canvas",
    ]  # the scenes come last
    assert len(found.labels) == 3
    assert all(text in label for label in found.labels)


def test_what_was_left_out_of_which_run(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(__import__("sys").modules["trajectories.report.scene"], "_SYSTEMS", 1)
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 3))
    with H5MDReader(written(x, units=REDUCED)) as run:
        write_report(tmp_path / "page.html", run, analyse(run), title="learned.h5md", against=run)
        write_report(tmp_path / "alone.html", run, analyse(run), title="A run")
    notes = re.findall(
        r'<p class="note">(.*?)</p>', (tmp_path / "page.html").read_text(encoding="utf-8")
    )
    assert "learned.h5md: The scene shows 1 of 2 systems." in notes
    assert f"{run.path}: The scene shows 1 of 2 systems." in notes
    assert '<p class="note">The scene shows 1 of 2 systems.</p>' in (
        tmp_path / "alone.html"
    ).read_text(encoding="utf-8")
