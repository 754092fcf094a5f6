"""Figures are written in every format and show what they should: as many lines as there are paths,
with ink on them."""

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from trajectories.figures import draw_trajectory
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader

NAMES = [
    "Sun",
    "Mercury",
    "Venus",
    "Earth",
    "Moon",
    "Mars",
    "Jupiter",
    "Saturn",
    "Uranus",
    "Neptune",
    "Pluto",
]
MakeCase = Callable[[str], Any]
SVG = "{http://www.w3.org/2000/svg}"
N_FRAMES = 21
# each path and a dot at its end; planets appear in two panels, of the charged ensemble all three
# systems of five
N_PATHS = {"planets": 2 * 11, "charged ensemble": 3 * 5}


@pytest.fixture(params=N_PATHS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def draw(kind: str, make_case: MakeCase, record: Callable[..., Path]) -> Callable[[str], Path]:
    """Draw a run of 21 frames in the format of the name's ending."""
    case = make_case(kind)
    steps, every = (4000, 200) if kind == "charged ensemble" else (400, 20)
    run = record(
        rollout(case.flow, case.state, case.dt, steps, every),
        names=NAMES if kind == "planets" else [],
    )

    def make(suffix: str) -> Path:
        path = run.with_suffix(suffix)
        with H5MDReader(run) as reader:
            draw_trajectory(reader, path)
        return path

    return make


def test_png(draw: Callable[[str], Path], kind: str) -> None:
    from matplotlib.image import imread

    image = imread(draw(".png"))
    height, width = image.shape[:2]
    assert min(height, width) > 600
    pixels = (255 * image[..., :3]).round().astype(int).reshape(-1, 3)
    inked = (pixels < 250).any(-1)
    assert 0.005 < inked.mean() < 0.5
    # red and blue paths of charges; a colour for each planet, some of them hidden in the middle
    spread = np.ptp(pixels, axis=-1)
    colors = np.unique(pixels[spread > 60] // 16, axis=0)
    assert len(colors) > (11 if kind == "planets" else 2)
    # all around the middle, not in one corner
    rows, columns = np.nonzero(inked.reshape(height, width))
    assert np.ptp(rows) > 0.7 * height
    assert np.ptp(columns) > 0.7 * width


def test_svg(draw: Callable[[str], Path], kind: str) -> None:
    text = draw(".svg").read_text()
    root = ElementTree.fromstring(text)
    lengths = [len(re.findall("[ML] ", path.get("d", ""))) for path in root.iter(f"{SVG}path")]
    # matplotlib leaves out points on a straight line and clips what is outside a panel
    paths = [n for n in lengths if 6 <= n <= N_FRAMES + 4]
    assert len(paths) >= N_PATHS[kind] // 2
    words = NAMES if kind == "planets" else [f"system {k}" for k in range(3)]
    # letters are drawn as shapes; matplotlib leaves the text as a comment beside them
    assert all(f"<!-- {word} -->" in text for word in words)


def test_pdf(draw: Callable[[str], Path], kind: str) -> None:
    data = draw(".pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    drawn = 0
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            drawn += len(re.findall(rb"\bl\n", zlib.decompress(stream)))
        except zlib.error:
            continue  # a font, say
    assert drawn > 5 * N_PATHS[kind]


def test_a_single_system(make_case: MakeCase, record: Callable[..., Path]) -> None:
    """One panel for a run without ensemble axis; seven systems show six."""
    from dataclasses import replace

    from integrators.state import State
    from systems.sources.charged import charged_systems

    case = make_case("charged ensemble")
    seven = State(charged_systems(7, seed=2))
    one = State(
        replace(
            seven.system,
            positions=seven.system.positions[0],
            momenta=seven.system.momenta[0],
            charges=seven.system.charges[0],
        )
    )
    for state, words, titles in ((one, "1 of 1 systems", 1), (seven, "6 of 7 systems", 6)):
        path = record(rollout(case.flow, state, case.dt, 40, 10), name=f"{titles}.h5md")
        with H5MDReader(path) as reader:
            draw_trajectory(reader, path.with_suffix(".svg"))
        text = path.with_suffix(".svg").read_text()
        assert words in text
        assert len(re.findall(r"<!-- system \d+ -->", text)) == titles


def test_charges_have_their_colours(make_case: MakeCase, record: Callable[..., Path]) -> None:
    """As many red, blue and grey paths as charges above, below and at zero."""
    from dataclasses import replace

    case = make_case("charged ensemble")
    charges = np.array([[1.0, 1, -1, 0, -1], [1, -1, -1, -1, -1], [0, 0, 1, 1, 1]])
    state = replace(case.state, system=replace(case.state.system, charges=charges))
    path = record(rollout(case.flow, state, case.dt, 40, 10))
    with H5MDReader(path) as reader:
        draw_trajectory(reader, path.with_suffix(".svg"))
    text = path.with_suffix(".svg").read_text()
    for color, count in (("d62728", 6), ("1f77b4", 6), ("7f7f7f", 3)):
        assert len(re.findall(f"fill: none; stroke: #{color}", text)) == count


def test_orbits_of_sparse_frames_are_dots(make_case: MakeCase, record: Callable[..., Path]) -> None:
    """A line between frames two hundred days apart would be no orbit of Mercury, whose year has 88;
    Neptune's is as before."""
    case = make_case("planets")
    lines = {}
    for every in (10, 400):
        path = record(
            rollout(case.flow, case.state, case.dt, 6 * every, every),
            names=NAMES,
            name=f"{every}.h5md",
        )
        with H5MDReader(path) as reader:
            draw_trajectory(reader, path.with_suffix(".svg"))
        text = path.with_suffix(".svg").read_text()
        lines[every] = set(re.findall(r"fill: none; stroke: (#(?!000000)\w{6})", text))
    assert len(lines[10]) == 11
    assert lines[400] < lines[10]
    # Mercury, Venus, Earth, Moon and Mars go more than a third of their way round; the Sun and the
    # outer planets do not
    assert len(lines[10] - lines[400]) in (4, 5)
