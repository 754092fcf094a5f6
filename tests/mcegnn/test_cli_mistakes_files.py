"""Mistakes in files: bodies files that are none or make no sense, and files and folders that may
not be read or written."""

import zlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from trajectories.storage import journal
from trajectories.storage.journal import journal_of

Run = Callable[..., Any]

TABLE = (files("systems") / "data" / "j2000.csv").read_text()
HEADER, SUN, MERCURY, VENUS, *_ = TABLE.splitlines()


def bodies(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def body(**changes: str) -> str:
    """A row like Venus's with other values."""
    row = dict(zip(HEADER.split(","), VENUS.split(","), strict=True)) | changes
    return ",".join(row.values())


# what is wrong, the words that tell, the file's bytes
BODIES: dict[str, tuple[str, str | bytes]] = {
    "an empty file": ("is no bodies file", ""),
    "a header alone": ("holds no bodies", bodies()),
    "text": ("is no bodies file", "Dear Sir or Madam,\n"),
    "no text": ("is not a text file", bytes(range(256))),
    "no text at all": ("is not", b"\xff\xfe" + "name".encode("utf-16-le")),
    "a missing column": (
        "has no column gm_km3_s2",
        bodies(SUN, header=HEADER.replace("gm_km3_s2", "gm")),
    ),
    "two missing columns": (
        "has no column x_km, pole_ra_deg",
        bodies(SUN, header=HEADER.replace("x_km", "", 1).replace("pole_ra", "ra")),
    ),
    "semicolons": ("is no bodies file", TABLE.replace(",", ";")),
    "a body twice": ("has the body Mercury twice", bodies(SUN, MERCURY, MERCURY)),
    "an unknown parent": (
        "Venus orbits Son, which is not in the file; did you mean Sun?",
        bodies(SUN, body(parent="Son")),
    ),
    "NaN": ("bodies.csv line 3: x_km is 'nan', not a finite number", bodies(SUN, body(x_km="nan"))),
    "inf": ("line 3: vz_km_s is 'inf', not a finite number", bodies(SUN, body(vz_km_s="inf"))),
    "too large for a float": (
        "line 3: x_km is '1e999', not a finite number",
        bodies(SUN, body(x_km="1e999")),
    ),
    "words for a number": (
        "line 2: gm_km3_s2 is 'heavy', not a finite number",
        bodies(body(gm_km3_s2="heavy")),
    ),
    "a missing number": ("line 3: y_km is '', not a finite number", bodies(SUN, body(y_km=""))),
    "a short row": ("line 3: x_km is '', not a finite number", bodies(SUN, "Venus,Sun,1.0")),
    "a row of one": ("line 3: gm_km3_s2 is '', not a finite number", bodies(SUN, "Venus")),
    "no name": ("line 3", bodies(SUN, body(name=""))),
    "a blank name": ("line 3", bodies(SUN, body(name="  "))),
    "a name that the row is too short for": (
        "line 2",
        bodies("Sun,1,2,3", header=f"{HEADER.removeprefix('name,')},name"),
    ),
    "a negative GM": (
        "line 3: gm_km3_s2 of Venus is -1.0; it must be positive",
        bodies(SUN, body(gm_km3_s2="-1")),
    ),
    "a GM beyond reason": ("bodies.csv", bodies(SUN, body(gm_km3_s2="1e308"))),
    "a GM whose mass is zero": ("bodies.csv", bodies(SUN, body(gm_km3_s2="1e-320"))),
    "a J2 without radius": ("line 3: Venus has j2 but no radius_km", bodies(SUN, body(j2="0.01"))),
    "a J2 that is none": (
        "line 3: j2 is 'flat', not a finite number",
        bodies(SUN, body(j2="flat", radius_km="6000")),
    ),
    "two at one place": (
        "Sun and Venus are at the same place",
        bodies(SUN, ",".join(["Venus", "Sun", "1", *SUN.split(",")[3:]])),
    ),
    "a name on two lines": ("line", bodies(SUN, body(name='"Ve\nnus"', gm_km3_s2="-1"))),
    "a NUL in a name": ("line 3", bodies(SUN, body(name="Ve\0nus"))),
    "a field without end": ("bodies.csv", bodies(SUN, body(name="x" * 200_000))),
    "a quote without end": ("bodies.csv", bodies(SUN, '"Venus,Sun' + "\n1,2,3" * 40_000)),
}


@pytest.mark.parametrize("mistake", BODIES)
def test_bodies_file(refuse: Run, mistake: str) -> None:
    words, content = BODIES[mistake]
    Path("bodies.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    refuse(
        words,
        "rollout",
        "solar",
        "--bodies",
        "bodies.csv",
        "--steps",
        3,
        "--dt",
        "0.1 day",
        "-o",
        "run.h5md",
    )


def test_bodies_file_that_is_none(refuse: Run) -> None:
    refuse("there is no bodies file none.csv", "rollout", "solar", "--bodies", "none.csv")
    Path("folder.csv").mkdir()
    refuse("folder.csv", "rollout", "solar", "--bodies", "folder.csv")
    refuse("bodies file", "rollout", "solar", "--bodies", "")


def test_spreadsheets_write_such_files(succeed: Run) -> None:
    """A byte-order mark, Windows line ends, spaces, other columns and empty lines are no
    mistakes."""
    rows = [SUN, MERCURY.replace(",Sun,", ", Sun ,"), "", VENUS]
    plain = bodies(SUN, MERCURY, VENUS)
    variants = {
        "plain": plain.encode(),
        "crlf": plain.replace("\n", "\r\n").encode(),
        "mark": plain.encode("utf-8-sig"),
        "spaces": bodies(*rows).encode(),
        "more": (
            bodies(
                *[f"{row},a note" for row in (SUN, MERCURY, VENUS)], header=f"{HEADER},remark"
            ).encode()
        ),
    }
    found = {}
    for name, content in variants.items():
        Path(f"{name}.csv").write_bytes(content)
        succeed(
            "rollout",
            "solar",
            "--bodies",
            f"{name}.csv",
            "--steps",
            3,
            "--dt",
            "0.1 day",
            "-o",
            f"{name}.h5md",
            "--quiet",
        )
        from trajectories.storage.h5md import H5MDReader

        with H5MDReader(f"{name}.h5md") as reader:
            found[name] = (reader.names, reader.frames("position").tobytes())
    assert all(value == found["plain"] for value in found.values())
    assert found["plain"][0] == ["Sun", "Mercury", "Venus"]


def test_wisdom_holman_takes_no_oblateness(refuse: Run) -> None:
    Path("flat.csv").write_text(bodies(SUN, body(j2="0.01", radius_km="6000")))
    refuse(
        "leave J2 out (--no-j2)",
        "rollout",
        "solar",
        "--bodies",
        "flat.csv",
        "--integrator",
        "wisdom-holman",
        "--steps",
        3,
    )


def one_sentence(outcome: Any, words: str) -> None:
    assert outcome.code == 2, outcome
    assert outcome.err.count("\n") == 1, outcome.err
    assert words in outcome.err
    assert outcome.err.startswith("mcegnn: ")


@pytest.fixture
def closed(tmp_path: Path, succeed: Run) -> Path:
    """A folder with a run of 10 steps, which nobody may write to."""
    folder = tmp_path / "closed"
    folder.mkdir()
    succeed("rollout", "charged", "--systems", 2, "--steps", 10, "-o", "closed/run.h5md", "--quiet")
    succeed("rollout", "charged", "--systems", 2, "--steps", 10, "-o", "run.h5md", "--quiet")
    folder.chmod(0o555)
    return folder


WRITES = {
    "rollout": ("rollout", "charged", "--systems", 2, "--steps", 10, "-o", "closed/new.h5md"),
    "rollout by force": (
        "rollout",
        "charged",
        "--systems",
        2,
        "--steps",
        10,
        "--force",
        "-o",
        "closed/run.h5md",
    ),
    "resume": ("rollout", "--resume", "closed/run.h5md", "--steps", 10),
    "convert to xyz": ("convert", "run.h5md", "closed/new.xyz"),
    "convert to traj": ("convert", "run.h5md", "closed/new.traj"),
    "convert to dcd": ("convert", "run.h5md", "closed/new.dcd"),
    "figure": ("analyse", "run.h5md", "--figure", "closed/new.png"),
}


@pytest.mark.parametrize("command", WRITES)
def test_a_folder_that_may_not_be_written(bound: Run, closed: Path, command: str) -> None:
    """Not even where the run itself may be: its checkpoint could not be kept beside it."""
    before = {path.name: path.read_bytes() for path in closed.iterdir()}
    one_sentence(bound(*WRITES[command]), "closed")
    assert {path.name: path.read_bytes() for path in closed.iterdir()} == before


@pytest.mark.parametrize("command", ["rollout by force", "resume"])
def test_a_run_that_may_not_be_written(bound: Run, closed: Path, command: str) -> None:
    closed.chmod(0o755)
    (closed / "run.h5md").chmod(0o444)
    before = (closed / "run.h5md").read_bytes()
    one_sentence(bound(*WRITES[command]), "closed/run.h5md")
    assert (closed / "run.h5md").read_bytes() == before


def test_a_checkpoint_that_may_not_be_read(bound: Run, closed: Path) -> None:
    (closed / "run.h5md.checkpoint").chmod(0)
    outcome = bound("rollout", "--resume", "closed/run.h5md", "--steps", 10)
    one_sentence(outcome, "closed/run.h5md.checkpoint")
    assert "permission" in outcome.err.lower()


def test_a_torn_run_that_may_not_be_mended(bound: Run, closed: Path) -> None:
    """It is not called damaged: whoever may write it needs only to read it."""
    closed.chmod(0o755)
    run, content = closed / "run.h5md", (closed / "run.h5md").read_bytes()
    journal_of(run).write_bytes(
        journal.record_of(len(content), [(0, zlib.crc32(bytes(4096)), content[:4096])])
    )
    run.write_bytes(bytes(4096) + content[4096:])
    run.chmod(0o444)
    one_sentence(
        bound("analyse", "closed/run.h5md"), "closed/run.h5md cannot be read: Permission denied"
    )


def test_a_checkpoint_that_cannot_be_begun(refuse: Run) -> None:
    """Before anything is written, not after the first frame."""
    Path("run.h5md.checkpoint.tmp").mkdir()
    refuse(
        "run.h5md.checkpoint.tmp",
        "rollout",
        "charged",
        "--systems",
        2,
        "--steps",
        10,
        "-o",
        "run.h5md",
    )


@pytest.mark.parametrize(
    "command", [("info",), ("analyse",), ("convert",), ("rollout", "--resume")]
)
def test_a_run_that_may_not_be_read(bound: Run, closed: Path, command: tuple[str, ...]) -> None:
    """Typer's own refusal, or ours."""
    (closed / "run.h5md").chmod(0)
    outcome = bound(*command, "closed/run.h5md", *(["x.xyz"] if command == ("convert",) else []))
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert "not readable" in outcome.err or "permission" in outcome.err.lower()
