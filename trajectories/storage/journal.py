"""Journals of commits: what is to be written over a file goes into one first, with a checksum, so
that a commit that was stopped half way is done once more.

This is the write-ahead logging of databases (Mohan et al., ACM TODS 17 (1992) 94), redo only; a
journal found whole was not applied to its end, and `recover` does so once more; one that is not
whole was never begun to be applied, so the file is as it was.
"""

import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

from trajectories.storage._random_access import BINARY, read_at, sync, write_at
from trajectories.storage.locks import FileInUseError, Lock, lock_open_file, lock_path

_MAGIC = b"mcegnn journal 1"
_HEAD = struct.Struct("<16sQQ")  # magic, the file's length after this commit, number of pages
# where a page's bytes go, how many they are, and the checksum of those that were there
_PLACE = struct.Struct("<QII")
_CHECK = struct.Struct("<I")
#: Of a commit: where, the checksum of what was there, and what is to be there.
Pages = Sequence[tuple[int, int, bytes | bytearray]]


class RecoveredWarning(UserWarning):
    """A file was brought to the last commit of a process that was stopped."""


def journal_of(path: str | Path) -> Path:
    """Path of a file's journal, which exists while the file is written."""
    return Path(f"{real_path(path)}.journal")


def write_journal(fd: int, end: int, pages: Pages) -> None:
    """Put a commit into an open journal: the file's length after it, and its pages."""
    write_at(fd, record_of(end, pages), 0)
    sync(fd)


def recover(path: str | Path) -> bool:
    """Bring a file to the last commit of a process that was stopped in its middle; returns whether
    there was anything to do, and warns.

    Raises `FileInUseError` if that process still runs, and OSError if the file cannot be written.
    """
    if not journal_of(path).exists() and not lock_path(path).exists():
        return False
    try:
        applied = _recover(real_path(path), Path(path))
    except FileInUseError:
        raise
    except OSError:
        if _read_journal(path) is not None:
            raise
        return False  # a file that is only to be read is whole with such a journal too
    if applied:
        warnings.warn(
            f"{path} was left in the middle of a write; it has been repaired from its journal",
            RecoveredWarning,
            stacklevel=2,
        )
    return applied


def _recover(real: Path, path: Path) -> bool:
    """Apply the journal of a process that is no more, or remove it where nothing of it was applied;
    one that lives holds the lock."""
    with Lock(real):
        try:
            fd = open_locked(real, path)
        except FileInUseError:
            if _read_journal(real) is not None:
                raise
            return False  # somebody reads it with HDF5: it is whole
        try:
            applied = apply_journal(fd, real)
        finally:
            os.close(fd)
        if applied or _read_journal(real) is None:
            journal_of(real).unlink(missing_ok=True)
        return applied


def apply_journal(fd: int, path: Path) -> bool:
    """Apply the journal to a file that is locked, where it is this file's."""
    commit = _read_journal(path)
    if commit is None or not _fits(fd, *commit):
        return False
    apply_pages(fd, *commit)
    sync(fd)
    return True


def _fits(fd: int, end: int, pages: Pages) -> bool:
    """Whether a journal is this file's, and not that of another one which has its name now.

    Each page is as it was before the commit or as it is after, but for one in whose middle the
    process was stopped; the file has been made long enough before.
    """
    strange = 0
    for at, before, page in pages:
        held = read_at(fd, len(page), at)
        strange += held != bytes(page) and zlib.crc32(held) != before
    return strange <= 1 and os.fstat(fd).st_size >= end


def _read_journal(path: str | Path) -> tuple[int, Pages] | None:
    try:
        return _read(journal_of(path).read_bytes())
    except FileNotFoundError:
        return None


def real_path(path: str | Path) -> Path:
    """Behind any links, where the file is and its journal belongs."""
    return Path(os.path.realpath(path))


def open_locked(name: Path, path: Path, flags: int = 0) -> int:
    """The file of that name, open for writing, and locked for HDF5 too."""
    fd = os.open(name, os.O_RDWR | BINARY | flags, 0o666)
    try:
        lock_open_file(fd, path)
    except OSError:
        os.close(fd)
        raise
    return fd


def record_of(end: int, pages: Pages) -> bytes:
    """A commit as it stands in the journal."""
    body = b"".join(
        [
            _HEAD.pack(_MAGIC, end, len(pages)),
            *(_PLACE.pack(at, len(page), before) + page for at, before, page in pages),
        ]
    )
    return body + _CHECK.pack(zlib.crc32(body))


def _read(record: bytes) -> tuple[int, Pages] | None:
    """The length and the pages of a commit, None where its record is not whole."""
    body, check = record[: -_CHECK.size], record[-_CHECK.size :]
    if len(body) < _HEAD.size or _CHECK.pack(zlib.crc32(body)) != check:
        return None
    magic, end, n = _HEAD.unpack_from(body)
    if magic != _MAGIC:
        return None
    pages, place = [], _HEAD.size
    for _ in range(n):
        at, length, before = _PLACE.unpack_from(body, place)
        place += _PLACE.size + length
        pages.append((at, before, body[place - length : place]))
    return end, pages


def apply_pages(fd: int, end: int, pages: Pages) -> None:
    """Write pages over an open file and set its length."""
    for at, _, page in pages:
        write_at(fd, page, at)
    os.ftruncate(fd, end)
