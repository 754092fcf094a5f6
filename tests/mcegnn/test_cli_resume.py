"""`mcegnn rollout --resume`: a run in parts is the same run to the bit, however it was stopped."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import integrators.compiled.driver
import mcegnn.runs.run_file
import trajectories.storage.writer
from trajectories.storage import checkpoint
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.journaled_file import JournaledFile
from trajectories.storage.writer import H5MDWriter

Run = Callable[..., Any]

CHARGED = ("symplectic-euler", "velocity-verlet", "yoshida-4", "yoshida-6", "yoshida-8")
RUNS = {f"charged {name}": ("charged", "--systems", 3, "--integrator", name) for name in CHARGED}
RUNS |= {
    f"solar {name}{' '.join(['', *extra])}": (
        "solar",
        "--dt",
        "0.5 day",
        "--integrator",
        name,
        *extra,
    )
    for name in (*CHARGED, "wisdom-holman")
    for extra in ((), ("--relativity",))
}


@pytest.fixture(params=RUNS)
def options(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    """Every integrator on every system that it moves, with relativity too."""
    return RUNS[request.param]


def assert_same_run(equal: Run, run: str, whole: str) -> None:
    """Files and checkpoints alike, but for chunks and for what the checkpoint says of the run's
    length."""
    assert equal(Path(run), Path(whole))
    a, b = checkpoint.load(run), checkpoint.load(whole)
    assert (a.n_frames, a.state.step, a.state.time) == (b.n_frames, b.state.step, b.state.time)
    assert dict(a.configuration) == dict(b.configuration)


def test_two_halves_are_the_whole(succeed: Run, equal: Run, options: tuple[Any, ...]) -> None:
    succeed("rollout", *options, "--steps", 1000, "--every", 50, "--threads", 1, "-o", "whole.h5md")
    succeed("rollout", *options, "--steps", 500, "--every", 50, "--threads", 3, "-o", "run.h5md")
    succeed("rollout", "--resume", "run.h5md", "--steps", 500, "--threads", 2)
    assert_same_run(equal, "run.h5md", "whole.h5md")


def test_many_parts_are_the_whole(succeed: Run, equal: Run) -> None:
    succeed("rollout", "charged", "--systems", 5, "--steps", 120, "--every", 20, "-o", "whole.h5md")
    succeed("rollout", "charged", "--systems", 5, "--steps", 20, "--every", 20, "-o", "run.h5md")
    for steps in (20, 60, 20):
        succeed("rollout", "--resume", "run.h5md", "--steps", steps)
    assert_same_run(equal, "run.h5md", "whole.h5md")


@pytest.mark.parametrize("step", [400, 777])
def test_an_interrupted_run_goes_on(
    cli: Run, succeed: Run, equal: Run, signalled: Run, options: tuple[Any, ...], step: int
) -> None:
    """On a frame and between two; the checkpoint says where."""
    succeed("rollout", *options, "--steps", 1000, "--every", 50, "-o", "whole.h5md")
    with signalled(step):
        stopped = cli("rollout", *options, "--steps", 1000, "--every", 50, "-o", "run.h5md")
    assert stopped.code == 130
    assert re.fullmatch(
        r"stopped; \d+ frames are kept; go on with: mcegnn rollout --resume run.h5md\n", stopped.err
    )
    assert "Rolled out" not in stopped.out
    at = checkpoint.load("run.h5md").state.step
    with H5MDReader("run.h5md") as reader:
        assert list(reader.steps) == list(range(0, at + 1, 50))
        assert not any(
            key.startswith("timing") for key in reader.provenance
        )  # of a part that was not finished
    assert at == step
    out = succeed("rollout", "--resume", "run.h5md").out
    assert f"{1000 - at:,}" in out
    assert_same_run(equal, "run.h5md", "whole.h5md")


def test_a_run_cut_between_frames_keeps_its_grid(cli: Run, succeed: Run, signalled: Run) -> None:
    with signalled(777):
        cli(
            "rollout", "solar", "--steps", 1000, "--every", 100, "--dt", "0.5 day", "-o", "run.h5md"
        )
    assert checkpoint.load("run.h5md").state.step % 100 != 0
    succeed("rollout", "--resume", "run.h5md", "--steps", 300)
    with H5MDReader("run.h5md") as reader:
        assert list(reader.steps) == list(range(0, 1301, 100))
        assert list(reader.times) == [50.0 * k for k in range(14)]


@pytest.mark.parametrize(("kill", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_while_frames_are_written(
    cli: Run,
    succeed: Run,
    equal: Run,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    kill: signal.Signals,
    code: int,
) -> None:
    """Ctrl-C in the middle of HDF5's own writing waits for its end; a second one does not, and
    spoils nothing."""
    arguments = ("rollout", "charged", "--systems", 2, "--steps", 100, "--every", 20)
    succeed(*arguments, "-o", "whole.h5md")
    write, calls = JournaledFile.write, [0]

    def interrupted(self: JournaledFile, data: Any) -> int:
        calls[0] += 1
        if calls[0] == 40:
            for _ in range(times):
                signal.raise_signal(kill)
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(JournaledFile, "write", interrupted)
        patch.setattr(trajectories.storage.writer, "_SECONDS", 0.0)
        stopped = cli(*arguments, "-o", "run.h5md")
    assert stopped.code == code
    assert calls[0] > 40 if times == 1 else calls[0] >= 40
    assert stopped.err.endswith("go on with: mcegnn rollout --resume run.h5md\n")
    assert stopped.err.startswith("stopped; " if times == 1 else "stopped at once; ")
    succeed("rollout", "--resume", "run.h5md")
    assert_same_run(equal, "run.h5md", "whole.h5md")


def test_a_crash_after_a_flush_loses_no_step(
    succeed: Run, equal: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames in the file that the checkpoint knows nothing of, as a kill between the two leaves
    them, are cut and made again."""
    arguments = ("rollout", "solar", "--steps", 90, "--every", 10, "--dt", "0.5 day")
    succeed(*arguments, "-o", "whole.h5md")
    succeed(*arguments[:3], 40, *arguments[4:], "-o", "run.h5md")
    old = Path("run.h5md.checkpoint").read_bytes()
    succeed("rollout", "--resume", "run.h5md", "--steps", 50)
    Path("run.h5md.checkpoint").write_bytes(old)
    succeed("rollout", "--resume", "run.h5md", "--steps", 50)
    assert_same_run(equal, "run.h5md", "whole.h5md")


def test_a_run_that_another_process_has_gone_on_with(
    cli: Run, succeed: Run, equal: Run, shell: Run, signalled: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its checkpoint was read and before its file was locked: the other's frames stay, and
    the file is free again."""
    arguments = ("rollout", "charged", "--systems", 2, "--steps", 100, "--every", 20)
    succeed(*arguments, "-o", "whole.h5md")
    with signalled(50):
        cli(*arguments, "-o", "run.h5md")
    append = H5MDWriter.append

    def slowly(*given: Any) -> H5MDWriter:
        assert shell("rollout", "--resume", "run.h5md", "--quiet").code == 0
        return append(*given)

    with monkeypatch.context() as patch:
        patch.setattr(H5MDWriter, "append", slowly)
        outcome = cli("rollout", "--resume", "run.h5md")
    assert outcome.code == 2
    assert outcome.err == "mcegnn: another process has continued run.h5md meanwhile\n"
    assert_same_run(equal, "run.h5md", "whole.h5md")
    assert sorted(path.name for path in Path().glob("run.*")) == ["run.h5md", "run.h5md.checkpoint"]


def test_signals_are_as_before(succeed: Run) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    succeed("rollout", "charged", "--systems", 2, "--steps", 10)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_checkpoints_come_between_frames_that_are_far_apart(
    cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock; a kill takes no more than what has been done since."""
    monkeypatch.setattr(mcegnn.runs.run_file, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_SECONDS", 1e-9)
    err = cli(
        "rollout",
        "charged",
        "--systems",
        2,
        "--steps",
        1000,
        "--every",
        1000,
        "--verbose",
        "-o",
        "run.h5md",
    ).err
    assert "written: 1 frames, step 999\n" in err


def test_a_finished_run_says_so(succeed: Run) -> None:
    succeed("rollout", "charged", "--systems", 2, "--steps", 10)
    before = Path("charged.h5md").read_bytes(), Path("charged.h5md.checkpoint").read_bytes()
    out = succeed("rollout", "--resume", "charged.h5md").out
    assert out == "charged.h5md is complete: all 10 steps are done; add --steps N for N more\n"
    assert (
        Path("charged.h5md").read_bytes(),
        Path("charged.h5md.checkpoint").read_bytes(),
    ) == before


def test_dry_run_of_a_resume(succeed: Run) -> None:
    succeed("rollout", "charged", "--systems", 2, "--steps", 100, "--every", 10)
    before = Path("charged.h5md").read_bytes()
    out = succeed("rollout", "--resume", "charged.h5md", "--steps", 50, "--dry-run").out
    assert "50, to time 0.15" in out
    assert Path("charged.h5md").read_bytes() == before
