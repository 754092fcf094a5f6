"""Runs that are stopped by a signal, or by a disk that fails: what was written stays, and what
comes after is the same to the bit."""

import errno
import re
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import systems.sources.charged
import trajectories.storage.writer
from trajectories.storage import checkpoint, journal, journaled_file
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.journaled_file import JournaledFile

Run = Callable[..., Any]


def long_run(succeed: Run, seconds: float) -> tuple[Any, ...]:
    """A run that takes about so long on this machine."""
    # charges, which are not judged by a finer run at the end as planets are
    options = ("rollout", "charged", "--systems", 1, "--every", 2000, "--force", "--steps")
    succeed(*options, 2000, "-o", "warm.h5md", "--quiet")
    began = time.perf_counter()
    succeed(*options, 1_000_000, "-o", "timed.h5md", "--quiet")
    return (*options, max(1, int(500 * seconds / (time.perf_counter() - began))) * 2000)


def flushed(process: subprocess.Popen[str], run: Path, n: int) -> bool:
    """Wait until the checkpoint has been renamed ``n`` times: the file is whole then, and the next
    flush a second away."""
    target, seen, deadline = checkpoint.path_of(run), set(), time.monotonic() + 300
    while len(seen) < n and process.poll() is None:
        assert time.monotonic() < deadline
        if target.exists():
            seen.add(target.stat().st_mtime_ns)
        time.sleep(0.005)
    return len(seen) >= n and process.poll() is None


def stopped(
    launch: Run, succeed: Run, folder: Path, kill: int
) -> tuple[tuple[Any, ...], int, str, str]:
    """A run that got the signal in its middle: its options, exit code and words. A machine that has
    sped up meanwhile gets a longer one."""
    for seconds in (3.0, 12.0, 48.0):
        options = long_run(succeed, seconds)
        process = launch(
            *options, "-o", "a run.h5md", "--quiet"
        )  # a slow machine would say how far it is
        if flushed(process, folder / "a run.h5md", 2):
            process.send_signal(kill)
            out, err = process.communicate(timeout=300)
            return options, process.returncode, out, err
    pytest.fail("every run ended before it could be stopped")


@pytest.mark.parametrize(
    ("kill", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_real_signal(
    launch: Run, succeed: Run, equal: Run, tmp_path: Path, kill: int, code: int
) -> None:
    """Ctrl-C, a batch system's SIGTERM and kill -9 on a process."""
    options, found, out, err = stopped(launch, succeed, tmp_path, kill)
    assert found == code
    assert out == ""
    said = r"stopped; [\d,]+ frames are kept; go on with: mcegnn rollout --resume 'a run.h5md'\n"
    assert re.fullmatch("" if kill == signal.SIGKILL else said, err)
    saved = checkpoint.load("a run.h5md")
    with H5MDReader("a run.h5md") as reader:
        assert len(reader) >= saved.n_frames > 1
        assert saved.state.step < options[-1]
    succeed("rollout", "--resume", "a run.h5md", "--quiet")
    succeed(*options, "-o", "whole.h5md", "--quiet")
    assert equal(Path("a run.h5md"), Path("whole.h5md"))
    assert checkpoint.load("a run.h5md").state.step == options[-1]


@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 0.9])
def test_a_disk_that_gets_full(
    cli: Run, succeed: Run, equal: Run, monkeypatch: pytest.MonkeyPatch, part: float
) -> None:
    """What was flushed is kept and the run goes on from there, once there is room again. Every
    frame is flushed by itself."""
    monkeypatch.setattr(trajectories.storage.writer, "_SECONDS", 0.0)
    arguments = ("rollout", "charged", "--systems", 2, "--steps", 100, "--every", 20)
    write, written = journal.write_at, [0]

    def counted(fd: int, data: Any, at: int, most: float = float("inf")) -> None:
        written[0] += len(data)
        if written[0] > most:
            write(fd, memoryview(data)[: len(data) // 2], at)
            raise OSError(errno.ENOSPC, "No space left on device")
        write(fd, data, at)

    with monkeypatch.context() as patch:
        for module in (journal, journaled_file):
            patch.setattr(module, "write_at", counted)
        succeed(*arguments, "-o", "whole.h5md")
        room, written[0] = part * written[0], 0
        for module in (journal, journaled_file):
            patch.setattr(module, "write_at", lambda fd, data, at: counted(fd, data, at, room))
        outcome = cli(*arguments, "-o", "run.h5md")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "writing run.h5md failed (No space left on device)" in outcome.err
    assert outcome.err.endswith("go on with: mcegnn rollout --resume run.h5md\n")
    if part:
        warnings.simplefilter("ignore", journal.RecoveredWarning)
        with H5MDReader("run.h5md") as reader, H5MDReader("whole.h5md") as whole:
            # one more where the disk got full after the journal had it
            assert int(re.search(r"; (\d) frames are kept;", outcome.err)[1]) in (
                len(reader),
                len(reader) - 1,
            )  # type: ignore[index]
            for k in range(len(reader)):
                assert np.array_equal(reader[k].system.positions, whole[k].system.positions)
            assert checkpoint.load("run.h5md").n_frames <= len(reader)
    else:
        assert not Path("run.h5md").exists()
    assert cli("rollout", "--resume", "run.h5md").code == 0
    assert equal(Path("run.h5md"), Path("whole.h5md"))
    assert sorted(path.name for path in Path().glob("run.*")) == ["run.h5md", "run.h5md.checkpoint"]


def test_a_checkpoint_is_never_ahead_of_its_file(
    cli: Run, succeed: Run, equal: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk gets full at the last flush, which has all frames but the first: the run can be gone
    on with."""
    arguments = ("rollout", "charged", "--systems", 2, "--steps", 100, "--every", 20)
    succeed(*arguments, "-o", "whole.h5md")
    commit, calls = JournaledFile.commit, [0]

    def full(self: JournaledFile) -> None:
        calls[0] += 1
        if calls[0] > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        commit(self)

    with monkeypatch.context() as patch:
        patch.setattr(trajectories.storage.writer, "_SECONDS", 600.0)
        patch.setattr(JournaledFile, "commit", full)
        assert cli(*arguments, "-o", "run.h5md").code == 1
    with H5MDReader("run.h5md") as reader:
        assert checkpoint.load("run.h5md").n_frames <= len(reader) == 1
    succeed("rollout", "--resume", "run.h5md")
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_a_disk_that_is_too_small(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is written, and before millions of systems are drawn."""
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6)
    )  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(
            systems.sources.charged, "charged_systems", lambda *counts: pytest.fail("drawn in vain")
        )
        outcome = cli("rollout", "charged", "--systems", 100, "--steps", 5000)
    assert outcome.code == 2
    assert (
        outcome.err
        == "mcegnn: charged.h5md would need about 2.1 MB, and its disk has 1.0 MB free; make room,"
        " name another with -o or keep fewer frames with a larger --every\n"
    )
    assert list(tmp_path.iterdir()) == []
    # a larger --every, as it says, does
    assert cli("rollout", "charged", "--systems", 10, "--steps", 5000, "--every", 500).code == 0


def test_the_room_is_that_of_its_own_disk(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the current folder's; what is to be overwritten makes room."""
    (tmp_path / "disk").mkdir()
    room = {tmp_path: 10**12, tmp_path / "disk": 10**6}

    def usage(path: Path) -> Any:
        return shutil._ntuple_diskusage(10**12, 0, room[Path(path).resolve()])  # type: ignore[attr-defined]

    monkeypatch.setattr(shutil, "disk_usage", usage)
    arguments = ("rollout", "charged", "--systems", 100, "--steps", 5000, "-o", "disk/run.h5md")
    assert cli(*arguments).code == 2
    Path("disk/run.h5md").write_bytes(bytes(2 * 10**6))
    outcome = cli(*arguments, "--force")
    assert outcome.code == 0, outcome.err
