"""The page in headless Chromium without a network: no error, it plays, its canvas shows something,
keyboard and contrast do."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systems.system import System
from systems.units import ASTRONOMICAL, REDUCED
from trajectories.analysis import Analysis, Axis, Curves, analyse
from trajectories.report import Scenes, page, static_scene, write_report
from trajectories.storage.h5md import H5MDReader

Written = Callable[..., Path]

# how many of the canvas' points differ from its background
_PAINTED = """
const c = document.querySelector(arguments[0]), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n;
"""
# the least contrast, as WCAG 2 has it, of any text with what lies under it
_CONTRAST = """
const light = c => { const v = c.map(x => x / 255).map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const under = e => {
  for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
  return getComputedStyle(document.documentElement).colorScheme === "dark" ? [18, 18, 18] : [255, 255, 255]; };
let least = 21;
for (const e of document.querySelectorAll("h1, h2, h3, p, li, td, th, button, select, label, output, figcaption")) {
  if (!e.textContent.trim()) continue;
  const [a, b] = [light(numbers(getComputedStyle(e).color)), light(under(e))];
  least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
}
return least;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium that finds no host."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip(
            "Chromium and its driver (Debian's chromium and chromium-driver) are not installed"
        )
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--window-size=1200,900",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    with webdriver.Chrome(options=options, service=service) as found:
        yield found


@pytest.fixture
def opened(browser: Any, written: Written, tmp_path: Path) -> Callable[..., Any]:
    """The page of positions in the browser."""

    def open_page(x: np.ndarray, **options: Any) -> Any:
        with H5MDReader(written(x, **options)) as run:
            write_report(
                tmp_path / "page.html",
                run,
                analyse(run),
                title="A run",
                rows=[("command", "mcegnn")],
                against=run,
            )
        browser.get_log("browser")
        browser.get((tmp_path / "page.html").as_uri())
        return browser

    return open_page


def painted(browser: Any, which: str = "canvas") -> int:
    return int(browser.execute_script(_PAINTED, which))


@pytest.mark.parametrize("kind", ["charges", "planets", "atoms"])
def test_plays(opened: Callable[..., Any], kind: str) -> None:
    stream = np.random.default_rng(0)
    if kind == "atoms":
        page = opened(
            stream.uniform(0, 9, (20, 40, 3)), species=18, masses=40.0, cell=9.0 * np.eye(3)
        )
    elif kind == "planets":
        page = opened(
            stream.normal(size=(20, 3, 3)).cumsum(0),
            units=ASTRONOMICAL,
            masses=[1.0, 1e-6, 1e-6],
            names=["Sun", "Earth", "Mars"],
        )
    else:
        page = opened(stream.normal(size=(20, 5, 5, 3)).cumsum(0), units=REDUCED, charges=1.0)
    assert page.title == "A run"
    first = painted(page)
    assert first > 100
    unit, last = {"charges": ("", "19"), "planets": (" years", "0.052019"), "atoms": (" ps", "19")}[
        kind
    ]
    assert painted(page, "canvas[data-scene=scene1]") > 100
    clock = page.find_element("id", "clock")
    assert "frame 1 of 20" in clock.text
    page.find_element("id", "speed").send_keys("fast")
    page.find_element("id", "play").click()
    assert page.find_element("id", "play").text == "Pause"
    for _ in range(100):  # however slow the machine is
        page.execute_async_script("const done = arguments[0]; setTimeout(done, 100)")
        if "frame 1 of 20" not in clock.text:
            break
    page.find_element("id", "play").click()
    assert "frame 1 of 20" not in clock.text
    page.execute_script(
        "const s = document.getElementById('frame'); s.value = s.max; s.dispatchEvent(new"
        " Event('input'))"
    )
    assert clock.text == f"time {last}{unit}, frame 20 of 20"
    assert painted(page) > 100
    errors = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors


def test_keyboard_and_views(opened: Callable[..., Any]) -> None:
    """Arrow keys turn, plus zooms, comma and full stop go frame by frame, space plays; zero brings
    the first view back."""
    from selenium.webdriver import ActionChains, Keys

    page = opened(np.random.default_rng(1).normal(size=(20, 5, 5, 3)), units=REDUCED)
    canvas = page.find_element("css selector", "canvas")
    picture = "return document.querySelector('canvas').toDataURL()"
    before = page.execute_script(picture)
    for key in (Keys.ARROW_LEFT, Keys.ARROW_UP, "+"):
        canvas.send_keys(key)
        after = page.execute_script(picture)
        assert after != before
    canvas.send_keys("0")
    assert page.execute_script(picture) == before
    ActionChains(page).drag_and_drop_by_offset(canvas, 60, 20).perform()
    assert page.execute_script(picture) != before
    page.find_element("id", "reset").click()
    assert page.execute_script(picture) == before
    canvas.send_keys(".")
    assert "frame 2 of 20" in page.find_element("id", "clock").text
    canvas.send_keys(",")
    canvas.send_keys(" ")
    assert page.find_element("id", "play").text == "Pause"
    canvas.send_keys(" ")
    system = page.find_element("id", "system")
    assert system.text.split() == ["system", "0", "system", "1", "system", "2", "system", "3"]
    system.send_keys("system 2")
    assert page.execute_script(picture) != before


def test_contrast_text_and_small_screens(opened: Callable[..., Any]) -> None:
    """WCAG's 4.5 in light and dark; every drawing, canvas and control has words; nothing is wider
    than a phone."""
    page = opened(np.random.default_rng(1).normal(size=(20, 5, 5, 3)), units=REDUCED)
    for _ in range(2):
        assert page.execute_script(_CONTRAST) >= 4.5
        page.find_element("id", "theme").click()
    assert page.execute_script(
        "return [...document.querySelectorAll('svg, canvas')].every(e =>"
        " e.getAttribute('aria-label').length > 20)"
    )
    unnamed = (
        "return [...document.querySelectorAll('input, select')].filter(e => !e.labels.length &&"
        " !e.ariaLabel).length"
    )
    assert page.execute_script(unnamed) == 0
    page.set_window_size(500, 900)
    try:
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.execute_script(wide) <= 0
    finally:
        page.set_window_size(1200, 900)


def test_stills(browser: Any, tmp_path: Path) -> None:
    """Systems side by side that do not move, as of a training: each is painted, and there is
    nothing to play."""
    stream = np.random.default_rng(0)
    systems = [System.create(stream.normal(size=(n, 3)), species=[8, 1, 1, 6][:n]) for n in (3, 4)]
    scenes = [static_scene(system, f"Structure {k}") for k, system in enumerate(systems)]
    x, y = stream.normal(size=(2, 5000))
    curves = Curves(
        "parity", "Forces", Axis("true"), x, Axis("predicted"), {"": y}, line=False, parity=True
    )
    text = page(
        "A training",
        "",
        [("command", "mcegnn")],
        Analysis(curves=[curves]),
        Scenes(scenes, "The worst", last=True),
        [],
    )
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    browser.get_log("browser")
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.get_log("browser") == []
    for k in range(2):
        assert painted(browser, f"canvas[data-scene=scene{k}]") > 100
    assert not browser.find_element("id", "play").is_displayed()
    assert browser.find_element("id", "reset").is_displayed()
    # the points of a large parity plot are an image inside the drawing, which the page's policy
    # lets through
    assert (
        browser.execute_script(
            "return document.querySelector('figure image').getBoundingClientRect().width"
        )
        > 50
    )
    assert browser.execute_script(_CONTRAST) >= 4.5


def test_runs_that_are_compared_play_by_their_times(
    browser: Any, written: Written, tmp_path: Path
) -> None:
    """One keeps every frame, the other one in ten: where both have a frame of a time they show the
    same."""
    x = np.random.default_rng(2).normal(size=(41, 6, 3)).cumsum(0)
    x[0] = (
        2.0 * abs(x).max() * np.array([[1, 1, 1], [-1, -1, -1], *np.zeros((4, 3))])
    )  # both have the same extent
    argon = {"species": 18, "masses": 40.0}  # without trails
    paths = [written(x, **argon), written(x[::10], **argon, spacing=10.0, name="sparse.h5md")]
    with H5MDReader(paths[0]) as run, H5MDReader(paths[1]) as sparse:
        write_report(tmp_path / "page.html", run, analyse(run), title="A run", against=sparse)
    browser.get((tmp_path / "page.html").as_uri())
    pictures = "return [...document.querySelectorAll('canvas')].map(c => c.toDataURL())"
    for frame, alike in ((20, True), (30, True), (14, False)):
        browser.execute_script(
            "const s = document.getElementById('frame'); s.value = arguments[0]; s.dispatchEvent(new Event('input'));",
            frame,
        )
        one, two = browser.execute_script(pictures)
        assert (one == two) == alike, frame


def scene_page(browser: Any, tmp_path: Path, **shown: Any) -> Any:
    """A page of one scene, in the browser."""
    (tmp_path / "page.html").write_text(
        page("A scene", "", [], Analysis(), Scenes([shown]), []), encoding="utf-8"
    )
    browser.get((tmp_path / "page.html").as_uri())
    return browser


# a scene of its own on the page's canvas, with other values in its data
_SCENE = """
const c = document.querySelector("canvas"), data = JSON.parse(document.getElementById("scene0").textContent);
const s = new Scene(c, {...data, ...arguments[0]});
"""


def test_places(browser: Any, tmp_path: Path) -> None:
    """Whole numbers become places again; compressed, a distance r from the middle is asinh(r /
    0.2)."""
    x = np.random.default_rng(0).normal(size=(5, 3)) + 7.0
    shown = static_scene(System.create(x), "five")
    open_page, places = (
        scene_page(browser, tmp_path, **shown),
        _SCENE + "return [0, 1, 2, 3, 4].map(k => s.place(0, k, [0, 0, 0]))",
    )
    grain = shown["span"] / shown["levels"]
    np.testing.assert_allclose(open_page.execute_script(places, {}), x, atol=grain)
    r = np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(
        open_page.execute_script(places, {"compress": True}),
        x / r * np.arcsinh(r / 0.2),
        atol=5 * grain,
    )


def test_what_is_nearer_hides_what_is_farther(browser: Any, tmp_path: Path) -> None:
    """Red in front of blue, whichever is first in the file; the eye is on the negative y axis."""
    middle = (
        _SCENE
        + """
        s.yaw = s.pitch = 0; s.draw();
        return [...c.getContext("2d").getImageData(c.width / 2 + 3, c.height / 2 + 3, 1, 1).data]; """
    )
    for order in (1, -1):
        x, colors = np.array([[0.0, 0, 0], [0, 2, 0]])[::order], ["#ff0000", "#0000ff"][::order]
        red, _, blue, _ = scene_page(
            browser,
            tmp_path,
            **static_scene(System.create(x), "two", colors=colors, radii=[0.5, 0.5]),
        ).execute_script(middle, {})
        assert red > blue + 50


def test_bonds_that_break_are_not_drawn(browser: Any, tmp_path: Path) -> None:
    shown = static_scene(System.create([[0.0, 0, 0], [2.0, 0, 0]]), "two", bonds=[[0, 1]])
    count = (
        _SCENE + "const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return"
        " p.filter((v, k) => k % 4 == 3 && v).length"
    )
    opened = scene_page(browser, tmp_path, **shown)
    several: tuple[dict[str, Any], ...] = ({"longest": 2.1}, {"longest": 1.9}, {"bonds": []})
    bound, broken, alone = (opened.execute_script(count, more) for more in several)
    assert bound > broken == alone
