"""One process writes a file; who comes second is told which, and a lock that was left behind counts
for nothing."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from trajectories.storage import locks
from trajectories.storage.locks import FileInUseError, Lock, check_not_in_use, lock_path

HOLD = """
import sys, trajectories.storage.locks as locks
lock = locks.Lock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["native", "soft"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The operating system's locks, and filelock's for systems without."""
    if request.param == "soft":
        monkeypatch.setattr(filelock, "FileLock", filelock.SoftFileLock)
    return str(request.param)


@pytest.fixture
def holder(tmp_path: Path, kind: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which holds the lock of ``x``."""
    soft = "import filelock; filelock.FileLock = filelock.SoftFileLock\n" if kind == "soft" else ""
    process = subprocess.Popen(
        [sys.executable, "-c", soft + HOLD, tmp_path / "x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=600)


def test_who_holds_it_is_named(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    for attempt in (Lock, check_not_in_use):
        with pytest.raises(FileInUseError) as refused:
            attempt(tmp_path / "x")
        assert refused.value.filename == str(tmp_path / "x")
        assert refused.value.strerror == (
            f"it is open in another program (process {holder.pid} on {socket.gethostname()}),"
            " perhaps the run that writes it; wait for its end, or look at a copy of the file"
        )


def test_a_lock_ends_with_its_process(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    """However it ends; what it leaves behind is removed by the next."""
    holder.kill()
    holder.wait()
    assert lock_path(tmp_path / "x").exists()
    check_not_in_use(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    with Lock(tmp_path / "x"), pytest.raises(FileInUseError):
        Lock(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("kind")
def test_what_is_left_of_a_lock_is_taken_over(tmp_path: Path) -> None:
    """By who writes, too, even if a process of another host's number now has that number."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock_path(tmp_path / "x").write_text(f"{gone.pid}\n{socket.gethostname()}\n")
    Lock(tmp_path / "x").release()
    assert list(tmp_path.iterdir()) == []


def test_an_existence_lock_of_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its process still runs nobody here can tell."""
    monkeypatch.setattr(filelock, "FileLock", filelock.SoftFileLock)
    lock_path(tmp_path / "x").write_text("17\nfar-away\n")
    with pytest.raises(FileInUseError, match="process 17 on far-away") as refused:
        Lock(tmp_path / "x")
    assert str(refused.value.strerror).endswith(
        f"; if that process is no more, remove {lock_path(tmp_path / 'x')}"
    )


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_systems_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As some of networks are: there it is written without one, as HDF5 does."""
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with Lock(tmp_path / "x"), Lock(tmp_path / "x"), open(tmp_path / "x", "wb") as file:
        locks.lock_open_file(file.fileno(), tmp_path / "x")
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


@pytest.mark.usefixtures("kind")
def test_no_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        Lock(tmp_path / "none" / "x")
    assert list(tmp_path.iterdir()) == []


def test_hdf5_keeps_to_it(tmp_path: Path) -> None:
    """What is open for writing here HDF5 does not open, and the other way round."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x"
    with h5py.File(path, "w"), open(path, "rb") as file, pytest.raises(FileInUseError):
        locks.lock_open_file(file.fileno(), path)
    with open(path, "rb") as file:
        locks.lock_open_file(file.fileno(), path)
        with pytest.raises(OSError, match="lock"):
            h5py.File(path, "r")
