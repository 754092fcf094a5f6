"""Smaller choices of the command line: bodies left out, more time for a resumed run, the version,
lines in a log file."""

import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcegnn.cli.progress
from systems.sources.solar import j2000
from trajectories.storage.h5md import H5MDReader

Run = Callable[..., Any]


def test_version(succeed: Run) -> None:
    assert succeed("--version").out == f"{version('mcegnn')}\n"


def test_bodies_left_out(succeed: Run) -> None:
    """They are gone, and nothing else moves: the others start where they did."""
    common = ("rollout", "solar", "--steps", 10, "--dt", "0.5 day", "--every", 10)
    succeed(*common, "--without", "Moon", "--without", "Pluto", "-o", "nine.h5md", "--quiet")
    with H5MDReader("nine.h5md") as reader:
        kept = [k for k, name in enumerate(j2000().names) if name not in ("Moon", "Pluto")]
        assert reader.names == [j2000().names[k] for k in kept]
        np.testing.assert_array_equal(reader.frames("position", 0), j2000().system.positions[kept])
        np.testing.assert_array_equal(reader.masses, j2000().system.masses[kept])
    # without the Moon the shortest period is Mercury's, 88 days: half a day it is, and four days
    # are safe
    assert (
        succeed(
            "rollout", "solar", "--without", "Moon", "--steps", 2, "--dt", "4 day", "-o", "a.h5md"
        ).code
        == 0
    )


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("there is no body 'Mon'; did you mean Moon?", ("--without", "Mon")),
        ("there is no body ''", ("--without", "")),
        ("there is no body 'Moon,Pluto'", ("--without", "Moon,Pluto")),
        ("bod", [word for name in j2000().names for word in ("--without", name)]),
    ],
)
def test_bodies_that_cannot_be_left_out(refuse: Run, words: str, options: Any) -> None:
    refuse(words, "rollout", "solar", "--steps", 2, "--dt", "0.5 day", *options)


def test_bodies_of_charges(refuse: Run) -> None:
    refuse("--without does not go with charged", "rollout", "charged", "--without", "Moon")


def test_a_parent_left_out(refuse: Run, cli: Run) -> None:
    """The Moon without the Earth: it goes about the Sun then, or is refused; but never in a way
    that depends on the order."""
    outcome = cli(
        "rollout", "solar", "--steps", 10, "--dt", "0.5 day", "--without", "Earth", "-o", "run.h5md"
    )
    if outcome.code == 0:
        with H5MDReader("run.h5md") as reader:
            assert "Moon" in reader.names
        assert "Traceback" not in cli("analyse", "run.h5md").err
    else:
        assert outcome.code == 2


def test_resume_by_time(succeed: Run, equal: Run) -> None:
    common = ("rollout", "solar", "--dt", "0.5 day", "--every", 10, "--quiet")
    succeed(*common, "--time", "10 day", "-o", "run.h5md")
    succeed("rollout", "--resume", "run.h5md", "--time", "30 day", "--quiet")
    succeed(*common, "--time", "40 day", "-o", "whole.h5md")
    assert equal(Path("run.h5md"), Path("whole.h5md"))


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--time '30' has no unit", ("--time", "30")),
        ("use --steps 10", ("--time", "3 day")),
        ("--time is not a whole number of time steps (2.2)", ("--time", "1.1 day")),
        ("give --steps or --time, not both", ("--time", "10 day", "--steps", 10)),
        ("more steps than anyone can wait for", ("--steps", 10**16)),
    ],
)
def test_more_time_that_cannot_be(refuse: Run, succeed: Run, words: str, options: Any) -> None:
    succeed(
        "rollout",
        "solar",
        "--dt",
        "0.5 day",
        "--every",
        10,
        "--steps",
        20,
        "-o",
        "run.h5md",
        "--quiet",
    )
    refuse(words, "rollout", "--resume", "run.h5md", *options)


def test_the_file_tells_of_its_resumes(shell: Run, succeed: Run) -> None:
    assert (
        shell(
            "rollout", "charged", "--systems", 2, "--steps", 100, "-o", "run.h5md", "--quiet"
        ).code
        == 0
    )
    assert shell("rollout", "--resume", "run.h5md", "--steps", 100, "--quiet").code == 0
    out = succeed("info", "run.h5md").out
    assert re.search(r"resumed at step 100 +mcegnn rollout --resume run.h5md --steps 100", out)
    assert "mcegnn rollout charged --systems 2" in out


def test_lines_in_a_log_file(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error that is no terminal gets a line now and then, with what is done and what is
    left; --quiet none."""
    for name in ("_FIRST_SECONDS", "_LINE_SECONDS"):
        monkeypatch.setattr(mcegnn.cli.progress, name, -1.0)
    arguments = ("rollout", "charged", "--systems", 2, "--steps", 300, "--every", 100)
    first, *lines = cli(*arguments).err.splitlines()
    assert re.fullmatch(r"writing charged.h5md, about \d+\.\d kB \(\d+\.\d [kMGT]B free\)", first)
    assert [line.split(" of ")[0] for line in lines] == [
        f"rolling out: {done}" for done in (100, 200, 300)
    ]
    # the first says nothing of the time left: it was for loading, perhaps compiling
    assert re.fullmatch(r"rolling out: 100 of 300 steps", lines[0])
    assert all(
        re.fullmatch(r"rolling out: \d+ of 300 steps, about \d+ seconds left", line)
        for line in lines[1:]
    )
    assert lines[-1].endswith("about 0 seconds left")
    assert cli(*arguments, "--force", "--quiet").err == ""
