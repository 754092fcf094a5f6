"""What `mcegnn rollout --resume` cannot go on with ends in one sentence and exit code 2, and leaves
the run alone."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from trajectories.storage.tensor_file import read_tensors, write_tensors

Run = Callable[..., Any]


@pytest.fixture
def run(succeed: Run, tmp_path: Path) -> Path:
    """A complete charged run of 50 steps, a frame every 10."""
    succeed(
        "rollout",
        "charged",
        "--systems",
        3,
        "--seed",
        1,
        "--steps",
        50,
        "--every",
        10,
        "-o",
        "run.h5md",
    )
    return tmp_path / "run.h5md"


@pytest.fixture
def refuse_resume(refuse: Run, run: Path) -> Run:
    """Resuming the run with more arguments has to be refused in one sentence, and nothing may
    change."""
    return lambda words, *arguments: refuse(words, "rollout", "--resume", run.name, *arguments)


@pytest.mark.parametrize(
    "option",
    [
        ("--dt", "0.1"),
        ("--time", "1"),
        ("--every", "5"),
        ("--integrator", "yoshida-4"),
        ("--output", "x.h5md"),
        ("--particles", "5"),
        ("--systems", "3"),
        ("--seed", "1"),
        ("--epoch", "2001-01-01"),
        ("--bodies", "b.csv"),
        ("--relativity",),
        ("--j2",),
    ],
)
def test_takes_no_physics(refuse_resume: Run, option: tuple[str, ...]) -> None:
    Path("b.csv").touch()
    refuse_resume(option[0], "--steps", 10, *option)


def test_takes_no_physics_that_says_no(refuse_resume: Run) -> None:
    refuse_resume("j2", "--steps", 10, "--no-j2")


def test_takes_no_system(refuse_resume: Run) -> None:
    refuse_resume("leave out charged", "--steps", 10, "charged")
    refuse_resume("--seed", "--steps", 10, "charged", "--seed", 1)


def test_steps(refuse_resume: Run) -> None:
    refuse_resume("--steps must be at least 1, not 0", "--steps", 0)
    refuse_resume("--steps must be at least 1, not -10", "--steps", -10)
    refuse_resume(
        "15 more steps are not a whole multiple of the run's --every 10; use --steps 20",
        "--steps",
        15,
    )


def test_no_run(refuse_resume: Run, run: Path) -> None:
    run.unlink()
    refuse_resume("there is no file run.h5md")
    run.mkdir()
    refuse_resume("run.h5md")


def test_no_checkpoint(refuse_resume: Run) -> None:
    Path("run.h5md.checkpoint").unlink()
    refuse_resume(
        "run.h5md has no checkpoint (run.h5md.checkpoint is missing), so it cannot be resumed"
    )


@pytest.mark.parametrize("content", [b"", b"hello", bytes(4000)])
def test_a_checkpoint_that_is_none(refuse_resume: Run, content: bytes) -> None:
    Path("run.h5md.checkpoint").write_bytes(content)
    refuse_resume(
        "run.h5md.checkpoint is not a checkpoint of ours, or a damaged one", "--steps", 10
    )


def test_a_file_that_is_no_run(refuse_resume: Run, run: Path) -> None:
    run.write_bytes(run.read_bytes()[:3000])
    refuse_resume("run.h5md is not an HDF5 file, or a damaged one", "--steps", 10)


OTHERS = {
    "seed": ("charged", "--systems", 3, "--seed", 2, "--steps", 50, "--every", 10),
    "systems": ("charged", "--systems", 2, "--seed", 1, "--steps", 50, "--every", 10),
    "particles": ("charged", "--systems", 3, "--seed", 1, "-n", 4, "--steps", 50, "--every", 10),
    "integrator": (
        "charged",
        "--systems",
        3,
        "--seed",
        1,
        "--steps",
        50,
        "--every",
        10,
        "--integrator",
        "yoshida-4",
    ),
    "dt": ("charged", "--systems", 3, "--seed", 1, "--steps", 50, "--every", 10, "--dt", "0.002"),
    "every": ("charged", "--systems", 3, "--seed", 1, "--steps", 50, "--every", 25),
    "length": ("charged", "--systems", 3, "--seed", 1, "--steps", 500, "--every", 10),
    "system": ("solar", "--dt", "0.5 day", "--steps", 50, "--every", 10),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_another_run(refuse_resume: Run, succeed: Run, other: str) -> None:
    """Going on with it would make a file of two runs, which no one could tell from a good one."""
    succeed("rollout", *OTHERS[other], "-o", "other.h5md")
    shutil.copy("other.h5md.checkpoint", "run.h5md.checkpoint")
    refuse_resume("run.h5md", "--steps", 50)


def test_a_file_with_fewer_frames_than_its_checkpoint(refuse_resume: Run) -> None:
    with h5py.File("run.h5md", "r+") as file:
        file["particles/trajectory/position/value"].resize(4, axis=0)
    refuse_resume("run.h5md", "--steps", 50)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("every", 0),
        ("every", "x"),
        ("n_steps", "x"),
        ("dt", "x"),
        ("dt", 0.0),
        ("integrator", "leapfrog"),
        ("system", "galaxy"),
        ("bodies", 3),
        ("unheard-of", 1),
    ],
)
def test_a_checkpoint_with_a_strange_configuration(
    refuse_resume: Run, key: str, value: Any
) -> None:
    header, arrays = read_tensors("run.h5md.checkpoint")
    header["configuration"][key] = value
    write_tensors("run.h5md.checkpoint", header, arrays)
    refuse_resume("", "--steps", 50)


def test_a_run_that_another_process_is_writing(refuse_resume: Run, run: Path, shell: Run) -> None:
    """HDF5 locks the file: the second resume must not touch it."""
    with h5py.File(run, "r+"):
        outcome = shell("rollout", "--resume", "run.h5md", "--steps", 10)
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert "run.h5md" in outcome.err
