"""Crash-safe files: a stop at any moment leaves them as they were at their last commit;
`H5MDWriter` lets HDF5 write into them.

HDF5 knows no transactions: a program killed while it writes may leave a file that no reader opens.
So it is given this file instead of the disk. What it writes beyond the end of the last commit goes
to disk at once, since nothing refers to it yet. What it writes over is kept in memory, page by
page, until `JournaledFile.commit`: the pages go into a journal beside the file, then over the file,
and the journal is emptied (`trajectories.storage.journal`).
"""

import os
import zlib
from pathlib import Path
from typing import Any, Self

from trajectories.storage._random_access import BINARY, read_at, read_into, sync, write_at
from trajectories.storage.atomic_write import rename
from trajectories.storage.journal import (
    apply_journal,
    apply_pages,
    journal_of,
    open_locked,
    real_path,
    write_journal,
)
from trajectories.storage.locks import Lock

_PAGE = 4096


class JournaledFile:
    """A file for reading and writing, as h5py wants one; nothing is final before `commit`.

    A new file has another name, ``path`` with ``.tmp`` behind it, until its first commit; so
    ``path`` either is a whole file or is not there. ``fresh`` begins a new one, which takes the
    place of what is there. Raises `FileInUseError` if another process writes the file, and OSError
    if it cannot be written.
    """

    def __init__(self, path: str | Path, *, fresh: bool) -> None:
        self._path = real_path(path)
        self._name = Path(f"{self._path}.tmp") if fresh else self._path
        # what a fresh file takes the place of stays locked until then
        self._fd = self._old = self._journal = -1
        self.failure: OSError | None = None
        self._lock = Lock(self._path)
        try:
            self._fd = open_locked(self._name, self._path, os.O_CREAT if fresh else 0)
            if fresh and self._path.exists():
                self._old = open_locked(self._path, self._path)
            there = self._old if fresh else self._fd
            if there >= 0:
                apply_journal(there, self._path)  # its journal is about to go
            if fresh:
                os.ftruncate(self._fd, 0)
            self._journal = os.open(
                journal_of(self._path), os.O_RDWR | os.O_CREAT | os.O_TRUNC | BINARY, 0o666
            )
        except BaseException:
            self._close_files()
            if fresh:
                self._name.unlink(missing_ok=True)
            self._lock.release()
            raise
        # as of the last commit, and as HDF5 sees it
        self._final = self._end = os.fstat(self._fd).st_size
        # what is beyond has been cut off, and is zero where it is written anew
        self._low = self._final
        self._pages: dict[int, bytearray] = {}
        self._before: dict[int, int] = {}  # checksums of what the pages are to be written over
        self._at = 0

    @property
    def target(self) -> Self:
        """What h5py writes into: this."""
        return self

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file; beyond what was written there are zeros."""
        into = memoryview(buffer).cast("B")
        first, n = self._at, len(into)
        held = read_into(self._fd, into, first)
        into[held:] = bytes(n - held)
        if self._low < first + n and first < self._final:
            cut = slice(max(self._low - first, 0), min(self._final - first, n))
            into[cut] = bytes(max(0, cut.stop - cut.start))
        if self._pages and first < self._final:
            for k in range(first // _PAGE, -(-min(first + n, self._final) // _PAGE)):
                if (page := self._pages.get(k)) is not None:
                    at = k * _PAGE
                    begin, end = max(first, at), min(first + n, at + len(page))
                    into[begin - first : end - first] = page[begin - at : end - at]
        self._at += n
        return n

    def read(self, size: int) -> bytes:
        """As of any file; h5py takes what can be read and sought for a file."""
        out = bytearray(size)
        self.readinto(out)
        return bytes(out)

    def write(self, data: Any) -> int:
        """To disk where nothing is yet; what is there is written over at the next commit."""
        out = memoryview(data).cast("B")
        first, n = self._at, len(out)
        over = min(n, max(0, self._final - first))
        place = 0
        while place < over:
            k, within = divmod(first + place, _PAGE)
            page = self._page(k)
            length = min(over - place, len(page) - within)
            page[within : within + length] = out[place : place + length]
            place += length
        if over < n and self.failure is None:
            try:
                write_at(self._fd, out[over:], first + over)
            # HDF5 would not take no for an answer, not even when it is closed: the writer asks for
            # it
            except OSError as error:
                self.failure = error
        self._at += n
        self._end = max(self._end, self._at) if n else self._end
        return n

    def _page(self, k: int) -> bytearray:
        """The bytes of a page that were final at the last commit, to be written over."""
        if k not in self._pages:
            held = read_at(self._fd, min(_PAGE, self._final - k * _PAGE), k * _PAGE)
            self._before[k] = zlib.crc32(held)
            self._pages[k] = bytearray(held if k * _PAGE < self._low else len(held))
        return self._pages[k]

    def truncate(self, size: int) -> int:
        """Set the length, which holds from the next commit on; what is cut off reads as zeros, if
        there is ever more again."""
        if size < self._end:
            for k in [k for k in self._pages if k * _PAGE >= size]:
                self._pages[k][:] = bytes(len(self._pages[k]))
            whole = -(-size // _PAGE) * _PAGE
            if (
                size % _PAGE
                and size < self._final
                and (size < self._low or size // _PAGE in self._pages)
            ):
                page = self._page(size // _PAGE)
                page[size % _PAGE :] = bytes(len(page) - size % _PAGE)
            self._low = min(self._low, whole)
            os.ftruncate(self._fd, max(size, self._final))
        self._end = size
        return size

    def flush(self) -> None:
        """HDF5's own flush says nothing of ours."""

    def commit(self) -> None:
        """Make all that was written final. Raises OSError if the disk does not take it: then
        nothing of it is."""
        if self.failure is None:
            try:
                self._commit()
            except OSError as error:
                self.failure = error
        if self.failure is not None:
            raise self.failure

    def _commit(self) -> None:
        if self._end > self._final:
            os.ftruncate(self._fd, self._end)
        for k in range(self._low // _PAGE, -(-min(self._end, self._final) // _PAGE)):
            self._page(k)  # cut off and grown over again: zeros
        pages = [
            (k * _PAGE, self._before[k], page)
            for k, page in sorted(self._pages.items())
            if k * _PAGE < self._end
        ]
        if self._final:  # a new file is not seen before it is whole
            sync(self._fd)
            write_journal(self._journal, self._end, pages)
        apply_pages(self._fd, self._end, pages)
        sync(self._fd)
        os.ftruncate(self._journal, 0)
        if self._name != self._path:
            self._take_name()
        self._final = self._low = self._end
        self._pages, self._before = {}, {}

    def _take_name(self) -> None:
        """Put the new file in the old one's place. Windows does so with none that is open; the lock
        stays."""
        self._close_data()
        try:
            rename(self._name, self._path)
            self._name = self._path
        finally:
            self._fd = open_locked(self._name, self._path)

    def close(self) -> None:
        """Forget what was not committed."""
        if self._fd < 0:
            return
        begun = self._name != self._path
        # else a commit failed half way, and whoever reads the file ends it
        done = not os.fstat(self._journal).st_size
        if done and not begun and os.fstat(self._fd).st_size > self._final:
            os.ftruncate(self._fd, self._final)
        self._close_files()  # first: Windows removes no file that is open
        if begun:
            self._name.unlink(missing_ok=True)
        if done:
            journal_of(self._path).unlink(missing_ok=True)
        self._lock.release()

    def _close_files(self) -> None:
        self._close_data()
        if self._journal >= 0:
            os.close(self._journal)
        self._journal = -1

    def _close_data(self) -> None:
        for fd in (self._fd, self._old):
            if fd >= 0:
                os.close(fd)
        self._fd = self._old = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
