"""Files that are always whole: written under another name, synced to disk, then renamed, so that a
stop in between leaves the old one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
    except OSError:  # a full disk is not to be left fuller
        temporary.unlink(missing_ok=True)
        raise
    rename(temporary, path)


@contextmanager
def replacing(path: str | Path, temporary: str | Path) -> Iterator[None]:
    """Let ``temporary``, written within, take the place of ``path`` at the end; a failure leaves
    what was there, and nothing else."""
    try:
        yield
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def rename(temporary: str | Path, path: str | Path) -> None:
    """Let a file that has been synced take its name, and sync the folder, so that a power cut does
    not take the name back."""
    os.replace(temporary, path)
    with suppress(OSError):  # some file systems sync no folders
        folder = os.open(Path(path).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
