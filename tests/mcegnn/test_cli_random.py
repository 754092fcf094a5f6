"""Whatever the arguments: an exit code that means something, and never an exception that would end in a traceback."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mcegnn.cli.app import app

Run = Callable[..., Any]

# small counts only, so that whatever runs is over at once
COUNTS = ["1", "3", "10", "0", "-1", "x", "2.5", "", "1e3", "٣", "007"]
TIMES = ["0.001", "0.1", "0.5 day", "3 day", "1 hour", "0", "-1", "nan", "inf", "1e-3", "day", "", "1 parsec", "0.5day", "1e-400"]
FILES = [
    "run.h5md",
    "out.h5md",
    "folder",
    "none/x.h5md",
    "text.csv",
    "bodies.csv",
    "out.xyz",
    "out.traj",
    "out.png",
    "out",
    "",
    "-",
    "a b.h5md",
]
NAMES = ["yoshida-4", "yoshida-8", "wisdom-holman", "symplectic-euler", "velocity-verlet", "leapfrog", "", "Yoshida-4"]
DATES = ["2000-01-01T12:00", "2024-03-01", "1066-10-14", "never", "2024-01-01T00:00Z", "", "2000-02-30"]
OPTIONS = {
    "--steps": COUNTS, "--every": COUNTS, "-n": COUNTS, "--particles": COUNTS, "--systems": COUNTS, "--seed": COUNTS, "--threads": COUNTS,
    "--dt": TIMES, "--time": TIMES, "--integrator": NAMES, "--epoch": DATES, "--bodies": FILES, "-o": FILES, "--output": FILES,
    "--resume": FILES, "--figure": FILES, "--nonsense": COUNTS,
}  # fmt: skip
FLAGS = ["--force", "--quiet", "--dry-run", "--relativity", "--j2", "--no-j2", "--json", "--help", "--verbose", "--"]
SYSTEMS = ["charged", "solar", "planets", "", "run.h5md"]

option = st.sampled_from(sorted(OPTIONS)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(OPTIONS[name])))
choices = st.lists(option | st.sampled_from(FLAGS).map(lambda flag: (flag,)), max_size=5)
# nine runs in ten would not get beyond their first mistake, so good ones are mixed in
start = st.sampled_from([(s, *few) for s in SYSTEMS for few in ((), ("--steps", "3"), ("--steps", "10", "--every", "5", "--force"))])
reading = st.tuples(st.sampled_from(["analyse", "convert", "info"]), st.lists(st.sampled_from(FILES), max_size=2))
argument_lists = st.one_of(
    st.tuples(start, choices).map(lambda pair: ["rollout", *pair[0], *[word for words in pair[1] for word in words]]),
    st.tuples(reading, choices).map(lambda pair: [pair[0][0], *pair[0][1], *[word for words in pair[1] for word in words]]),
    st.lists(st.sampled_from(["rollout", "analyse", *SYSTEMS, *FLAGS, *FILES]), max_size=4),
)


@pytest.fixture
def folder(tmp_path: Path, succeed: Run) -> Path:
    succeed("rollout", "charged", "--systems", 2, "--steps", 4, "--every", 2, "-o", "run.h5md")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.csv").write_text("hello\n")
    (tmp_path / "bodies.csv").write_text("name\n")
    return tmp_path


def small(arguments: list[str]) -> list[str]:
    """The same, kept short: defaults of 100 systems, 5000 steps or ten years would take seconds, and so would tiny steps."""
    if arguments[:1] == ["rollout"] and "--steps" not in arguments:
        return [*arguments, "--dry-run"] if "--" not in arguments else [*arguments[: arguments.index("--")], "--dry-run"]
    return arguments


@example(arguments=["rollout", "charged", "--steps", "3"])
@example(arguments=["rollout", "solar", "--steps", "3", "--relativity"])
@example(arguments=["analyse", "run.h5md", "--figure", "none/x.png"])
@example(arguments=["convert", "run.h5md", "a b.h5md"])
@given(arguments=argument_lists)
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_never_a_traceback(folder: Path, arguments: list[str]) -> None:
    # resumes and runs of other examples change what is there, which is as it should be: any state of the folder will do
    assert Path(os.getcwd()) == folder
    result = CliRunner().invoke(app, small(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exception)
    assert result.exit_code in {0, 1, 2, 3}
    assert "Traceback" not in result.output
    if result.exit_code == 0:
        assert "mcegnn: " not in result.stderr
    else:
        # `mcegnn` alone prints its help, on standard output
        assert result.stderr.strip() or not arguments
