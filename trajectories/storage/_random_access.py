"""Reading, writing and syncing an open file at a place, on systems that have calls for it and on
those that have not."""

import errno
import os
from typing import Any

# without it Windows takes a byte for the end of a line, or of the file
BINARY = getattr(os, "O_BINARY", 0)


def read_into(fd: int, buffer: memoryview, at: int) -> int:
    """Fill a buffer from a place on; returns how many bytes there were."""
    if hasattr(os, "preadv"):
        return os.preadv(fd, [buffer], at)
    found = read_at(fd, len(buffer), at)
    buffer[: len(found)] = found
    return len(found)


def read_at(fd: int, length: int, at: int) -> bytes:
    """The bytes at a place, fewer of them at the end of the file."""
    if hasattr(os, "pread"):
        return os.pread(fd, length, at)
    os.lseek(fd, at, os.SEEK_SET)
    return os.read(fd, length)


def write_at(fd: int, data: Any, at: int) -> None:
    """Write all of the data at a place. Raises OSError if the disk does not take it."""
    left = memoryview(data)
    while left:
        if hasattr(os, "pwrite"):
            n = os.pwrite(fd, left, at)
        else:
            os.lseek(fd, at, os.SEEK_SET)
            n = os.write(fd, left)
        if not n:
            raise OSError(errno.EIO, "the file system takes nothing and does not say why")
        left, at = left[n:], at + n


def sync(fd: int) -> None:
    """Wait until what was written is on the disk; of the file's times Linux may leave out some."""
    getattr(os, "fdatasync", os.fsync)(fd)
