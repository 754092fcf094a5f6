"""Locks: a file is written by one process at a time, which the error for a second one names.

A `Lock` lies beside its file, as ``FILE.lock``, while that is written, and names the process and
its host. The operating system ends it with the process, however that ends: one that is left behind
by a kill locks nothing, and the next one to write or read the file removes it. A system without
such locks has filelock's existence locks instead, with filelock's warning; one whose process is no
more is taken over. A file system without locks, as some of networks are, goes without.

`lock_open_file` locks the open file itself, which is what HDF5 looks at: so other programs that
read or write with HDF5 are kept away too.
"""

import errno
import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import filelock

_WAIT = 0.3  # seconds, for who only looks whether a lock is left behind
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
_OPEN = "it is open in another program"
_ADVICE = ", perhaps the run that writes it; wait for its end, or look at a copy of the file"

OPEN_ELSEWHERE = f"{_OPEN}{_ADVICE}"


class FileInUseError(OSError):
    """The file is being written by another process."""


def lock_path(path: str | Path) -> Path:
    """Where the lock of a file lies while the file is written."""
    return Path(f"{os.path.realpath(path)}.lock")


class Lock:
    """The lock of a file, held until `release`.

    Raises `FileInUseError`, which names the process that holds it, and OSError if the folder cannot
    be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = lock_path(path)
        if not self._file.parent.is_dir():  # filelock would make it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        native = not issubclass(filelock.FileLock, filelock.SoftFileLock)
        options: dict[str, Any] = {"on_acquired": _sign} if native else {}  # soft ones sign anyway
        lock = filelock.FileLock(
            self._file,
            timeout=_WAIT,
            poll_interval=_WAIT / 10,
            thread_local=False,
            fallback_to_soft=False,
            **options,
        )
        self._lock: filelock.BaseFileLock | None = lock
        try:
            lock.acquire()
        except filelock.Timeout:
            raise _in_use(path, self._file, native) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self._lock = None
            self._file.unlink(missing_ok=True)

    def release(self) -> None:
        """Let others have the file; nothing is left beside it."""
        if self._lock is None or not self._lock.is_locked:
            return
        # while it is held: who waits for it then sees that it has lost its name, and asks anew.
        # Windows does not remove what is open, and filelock does so there
        with suppress(OSError):
            self._file.unlink()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def lock_open_file(fd: int, path: str | Path) -> None:
    """Lock a file that is open, as HDF5 does, until it is closed. Raises `FileInUseError`."""
    try:
        free = filelock.lock_descriptor(fd, blocking=False)
    except OSError:
        return  # a system without locks, or a file system, where HDF5 goes without one too
    if not free:
        raise FileInUseError(errno.EAGAIN, OPEN_ELSEWHERE, str(path))


def check_not_in_use(path: str | Path) -> None:
    """Raise `FileInUseError` if a process writes the file, or has it open with HDF5."""
    if lock_path(path).exists():
        try:
            Lock(path).release()
        except FileInUseError:
            raise
        except OSError:
            pass  # in a folder that is only to be read, where nobody writes
    with suppress(FileNotFoundError, PermissionError):
        fd = os.open(path, os.O_RDONLY)
        try:
            lock_open_file(fd, path)
        finally:
            os.close(fd)


def _sign(fd: int) -> None:
    """Write who holds the lock, in the form of filelock's existence locks."""
    with suppress(OSError):  # a full disk
        # the first byte is what Windows locks, and nobody else can read
        os.lseek(fd, 1, os.SEEK_SET)
        os.write(fd, f"{os.getpid()}\n{socket.gethostname()}\n".encode())
        os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))


def _in_use(path: str | Path, lock: Path, native: bool) -> FileInUseError:
    holder, advice = _holder(lock), ""
    if holder is None:
        return FileInUseError(errno.EAGAIN, OPEN_ELSEWHERE, str(path))
    pid, host = holder
    # whether it has ended cannot be seen from here
    if not native and host != socket.gethostname():
        advice = f"; if that process is no more, remove {lock}"
    where = f" (process {pid} on {host})"
    return FileInUseError(errno.EAGAIN, f"{_OPEN}{where}{_ADVICE}{advice}", str(path))


def _holder(lock: Path) -> tuple[str, str] | None:
    """Process and host; None if that cannot be read."""
    try:
        with open(lock, "rb", buffering=0) as file:
            try:
                text = file.read(1000)
            except PermissionError:  # of the byte that Windows locks
                file.seek(1)
                text = file.read(1000)
    except OSError:
        return None
    found = re.match(r"\0?(\d+)\n(\S+)\n", text.decode(errors="replace"))
    return None if found is None else (found[1], found[2])
