"""Files that are always whole: written under another name, synced to disk, then renamed, so that a
stop in between leaves the old one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Windows puts nothing in the place of a file that is open, as virus scanners open what was written:
# its errors for that, and seconds between tries
_OPEN_ELSEWHERE = (5, 32)
_WAITS = (0.01, 0.03, 0.1, 0.3, 0.6)


def temporary_path(path: str | Path) -> Path:
    """The name under which a file is written before it takes the place of the last."""
    return Path(f"{path}.tmp")


def write_atomically(path: str | Path, data: bytes) -> None:
    """Put ``data`` in place of whatever ``path`` holds."""
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        rename(temporary, path)
    except OSError:  # a full disk is not to be left fuller
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(path: str | Path, temporary: str | Path) -> Iterator[None]:
    """Let ``temporary``, written within, take the place of ``path`` at the end; a failure leaves
    what was there, and nothing else."""
    try:
        yield
        _replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def rename(temporary: str | Path, path: str | Path) -> None:
    """Let a file that has been synced take its name, and sync the folder, so that a power cut does
    not take the name back."""
    _replace(temporary, path)
    with suppress(OSError):  # some file systems, and Windows, sync no folders
        folder = os.open(Path(path).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _replace(temporary: str | Path, path: str | Path) -> None:
    for seconds in _WAITS:
        try:
            os.replace(temporary, path)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _OPEN_ELSEWHERE:
                raise
        time.sleep(seconds)
    os.replace(temporary, path)
