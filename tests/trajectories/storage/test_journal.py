"""`JournaledFile`: as any file to whoever writes it, and on disk always as it was at one of its
commits."""

import errno
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trajectories.storage import journal, journaled_file
from trajectories.storage.journal import journal_of, recover
from trajectories.storage.journaled_file import JournaledFile
from trajectories.storage.locks import FileInUseError, Lock, lock_path

# lengths around a page and positions around the ends of pages
LENGTHS = st.integers(0, 9000)
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 20000), LENGTHS),
        st.tuples(st.just("read"), st.integers(0, 25000), LENGTHS),
        st.tuples(st.just("commit"), st.just(0), st.just(0)),
        st.tuples(st.just("truncate"), st.integers(0, 20000), st.just(0)),
    ),
    max_size=25,
)


CUT_TWICE = [
    ("write", 0, 2),
    ("commit", 0, 0),
    ("truncate", 0, 0),
    ("write", 0, 2),
    ("truncate", 1, 0),
    ("read", 0, 2),
]


LINUX = ("preadv", "pread", "pwrite", "fdatasync")  # what Windows lacks


@pytest.mark.parametrize("missing", [(), LINUX])
@given(DEEDS, st.integers(0, 2**32 - 1))
@example(CUT_TWICE, 0)
@settings(max_examples=150, deadline=None)
def test_is_a_file(
    tmp_path_factory: pytest.TempPathFactory,
    missing: tuple[str, ...],
    deeds: list[tuple[str, int, int]],
    seed: int,
) -> None:
    """What is read is what was written, committed or not; what is on disk is what was committed,
    and its part that was never changes."""
    path, stream = tmp_path_factory.mktemp("file") / "x", np.random.default_rng(seed)
    model, final = bytearray(), b""
    with pytest.MonkeyPatch.context() as patch, JournaledFile(path, fresh=True) as file:
        for name in missing:
            patch.delattr(os, name)
        for deed, at, length in deeds:
            if deed == "write":
                data = stream.bytes(length)
                file.seek(at)
                assert file.write(data) == length
                if length:
                    model.extend(bytes(max(0, at + length - len(model))))
                    model[at : at + length] = data
            elif deed == "read":
                file.seek(at)
                assert file.read(length) == bytes(model[at : at + length]).ljust(length, b"\0")
                assert file.tell() == at + length
            elif deed == "truncate":
                # HDF5 never shortens a file below what is final but at its own will, which holds
                # from the next commit on
                file.truncate(at)
                model = bytearray(model[:at].ljust(at, b"\0"))
            else:
                file.commit()
                final = bytes(model)
                assert path.read_bytes() == final
            assert file.seek(0, os.SEEK_END) == len(model)
            if final:
                assert path.read_bytes()[: len(final)] == final
    assert (path.read_bytes() if path.exists() else b"") == final
    assert [one.name for one in path.parent.iterdir()] == ["x"] * path.exists()


class Killed(BaseException):
    """The process ends here."""


def end(file: JournaledFile) -> None:
    """As the end of its process does: its files are closed, and with them go its locks, but for
    their names."""
    for fd in (file._fd, file._old, file._journal):
        if fd >= 0:
            os.close(fd)
    file._fd = file._old = file._journal = -1
    if file._lock._lock is not None:
        file._lock._lock.release()


@contextmanager
def killed_at(n: int, part: float) -> Iterator[list[int]]:
    """Within, the ``n``-th change of anything on disk ends the process, with a ``part`` of what it
    had to write written."""
    real = {name: getattr(os, name) for name in ("pwrite", "ftruncate", "replace", "unlink")}
    calls = [0]

    def spied(name: str, *arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] < n:
            return real[name](*arguments, **more)
        if calls[0] == n and name == "pwrite" and part:
            fd, data, at = arguments
            real[name](fd, memoryview(data)[: int(part * len(data))], at)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(
                os, name, lambda *arguments, name=name, **more: spied(name, *arguments, **more)
            )
        yield calls


@contextmanager
def synced() -> Iterator[dict[int, bytes]]:
    """Within, what each file held when it was last synced, by its inode: what is left of it where
    the power is cut at the worst moment."""
    found: dict[int, bytes] = {}
    real = os.fdatasync

    def spied(fd: int) -> None:
        real(fd)
        status = os.fstat(fd)
        found[status.st_ino] = os.pread(fd, status.st_size, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", spied)
        yield found


@pytest.mark.parametrize("lost", [(), ("",), (".journal",), ("", ".journal")])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_killed_at_any_change(tmp_path: Path, part: float, lost: tuple[str, ...]) -> None:
    """Whichever write, truncation or renaming is the last: after recovery the file is as of a
    commit, one that was told of or the next.

    Also where the power goes with the process, and with it of the file, of its journal or of both
    all that was not synced, but for its length: that leaves zeros.
    """
    stream = np.random.default_rng(1)
    # pieces over what is there, beyond it, and across its end; a file that is shorter at last
    edits = [(0, 5000), (4000, 3000), (100, 10), (6990, 9000), (0, 1), (15000, 4097)]
    versions = [b""]
    for at, length in edits:
        before = versions[-1]
        versions.append(before[:at].ljust(at, b"\0") + stream.bytes(length) + before[at + length :])
    versions.append(versions[-1][:9000])
    reached = 0
    for n in range(1, 1000):
        path = tmp_path / str(n)
        told, made = 0, []
        with synced() as kept, killed_at(n, part) as calls:
            try:
                file = JournaledFile(path, fresh=True)
                made.append(file)
                for k, (at, length) in enumerate(edits, 1):
                    file.seek(at)
                    file.write(versions[k][at : at + length])
                    file.commit()
                    told = k
                file.truncate(9000)
                file.commit()
                told = len(versions) - 1
                file.close()
            except Killed:
                pass
        if made:
            end(made[-1])
        if calls[0] < n:
            assert told == len(versions) - 1
            break
        reached += 1
        for one in (Path(f"{path}{ending}") for ending in lost):
            if one.exists():
                one.write_bytes(kept.get(one.stat().st_ino, b"").ljust(one.stat().st_size, b"\0"))
        if not path.exists():
            assert told == 0
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", journal.RecoveredWarning)
            recover(path)
        found = path.read_bytes()
        # beyond the end of a commit there may be what was to follow it, which nothing refers to
        assert any(
            found[: len(versions[k])] == versions[k]
            for k in (told, min(told + 1, len(versions) - 1))
        ), n
    assert reached > 3 * len(edits)


def test_a_journal_that_is_not_whole_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"before")
    record = journal.record_of(6, [(0, zlib.crc32(b"before"), b"after!")])
    for k in range(len(record)):
        journal_of(path).write_bytes(record[:k])
        assert not recover(path)
        assert not journal_of(path).exists()
        flipped = bytearray(record)
        flipped[k] ^= 1
        journal_of(path).write_bytes(flipped)
        assert not recover(path)
    assert path.read_bytes() == b"before"
    journal_of(path).write_bytes(record)
    with pytest.warns(journal.RecoveredWarning, match="repaired from its journal"):
        assert recover(path)
    assert path.read_bytes() == b"after!"
    assert not journal_of(path).exists()
    assert not recover(path)


def test_one_writer(tmp_path: Path) -> None:
    """While a file is being written, nobody else gets it, whether it has its name already or not;
    nothing of the first is spoilt."""
    path = tmp_path / "x"
    with JournaledFile(path, fresh=True) as file:
        with pytest.raises(FileInUseError):
            JournaledFile(path, fresh=True)
        file.write(b"one")
        file.commit()
        for fresh in (True, False):
            with pytest.raises(FileInUseError):
                JournaledFile(path, fresh=fresh)
        with pytest.raises(FileInUseError):
            recover(path)
        assert journal_of(path).exists()
        file.seek(0)
        file.write(b"two")
        journal_of(path).write_bytes(journal.record_of(3, [(0, zlib.crc32(b"one"), b"six")]))
        with pytest.raises(FileInUseError):
            recover(path)
        file.commit()
    assert path.read_bytes() == b"two"
    with JournaledFile(path, fresh=False) as file:
        assert file.read(3) == b"two"


def test_what_was_there_stays_until_there_is_better(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with JournaledFile(path, fresh=True) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"old"
    with JournaledFile(path, fresh=True) as file:
        file.write(b"new")
        file.commit()
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_process_began_is_not_in_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_bytes(b"longer than what is written now")
    with JournaledFile(tmp_path / "x", fresh=True) as file:
        file.write(b"new")
        file.commit()
    assert (tmp_path / "x").read_bytes() == b"new"


def torn(folder: Path, name: str = "x") -> tuple[Path, bytes, bytes]:
    """A file killed in the middle of a commit, with a whole journal: it, and what it held before
    and after that commit."""
    path, stream = folder / name, np.random.default_rng(7)
    before, change = stream.bytes(20000), stream.bytes(9000)
    file = JournaledFile(path, fresh=True)
    file.write(before)
    file.commit()
    file.seek(3000)
    file.write(change)
    write, calls = journal.write_at, [0]

    def stop(fd: int, data: Any, at: int) -> None:
        calls[0] += 1
        if calls[0] == 3:  # the journal, and one page
            raise Killed
        write(fd, data, at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "write_at", stop)
        with pytest.raises(Killed):
            file.commit()
    end(file)
    assert lock_path(path).exists()
    after = before[:3000] + change + before[12000:]
    assert path.read_bytes() not in (before, after)
    return path, before, after


def test_a_journal_is_of_its_file_alone(tmp_path: Path) -> None:
    """Whatever is put under the name later, another file or a copy of before, is left as it is."""
    path, before, after = torn(tmp_path)
    half = path.read_bytes()
    shorter, unlike = (after[:8000], after[:15000], b""), bytes(8192) + after[8192:]
    for other in (
        np.random.default_rng(1).bytes(20000),
        np.random.default_rng(2).bytes(50000),
        *shorter,
        unlike,
    ):
        path.write_bytes(other)
        assert not recover(path)
        assert path.read_bytes() == other
    path.write_bytes(half)
    with pytest.warns(journal.RecoveredWarning):
        assert recover(path)
    assert path.read_bytes() == after
    assert before != after


def test_mended_on_disk_before_the_journal_goes(tmp_path: Path) -> None:
    path, _, after = torn(tmp_path)
    with synced() as kept, pytest.warns(journal.RecoveredWarning):
        recover(path)
    assert kept[path.stat().st_ino] == after


def test_a_torn_file_is_mended_by_who_overwrites_it_too(tmp_path: Path) -> None:
    """The new one may never come to be."""
    path, _, after = torn(tmp_path)
    with JournaledFile(path, fresh=True) as file:
        file.write(b"new")
    assert path.read_bytes() == after
    path, _, after = torn(tmp_path, "y")
    with JournaledFile(path, fresh=False) as file:
        assert file.read(len(after)) == after


def test_a_journal_lies_behind_links(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    path, _, after = torn(tmp_path / "far")
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.warns(journal.RecoveredWarning):
        assert recover(link)
    assert path.read_bytes() == after
    with JournaledFile(link, fresh=True) as file:
        file.write(b"new")
        file.commit()
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


def test_an_old_journal_is_not_applied_after_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before the lock was there may be the commit before the last."""
    path, _, after = torn(tmp_path)
    stale = journal.journal_of(path).read_bytes()

    def slowly(*arguments: Any) -> Lock:
        monkeypatch.setattr(journal, "Lock", Lock)
        with JournaledFile(
            path, fresh=False
        ) as file:  # another process mends, goes on and ends meanwhile
            file.truncate(5000)
            file.commit()
        return Lock(*arguments)

    monkeypatch.setattr(journal, "Lock", slowly)
    assert not recover(path)
    assert path.read_bytes() == after[:5000]
    assert stale


@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_that_was_replaced_before_it_was_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    """It is the new one that is opened: what would be written into the old one would be lost."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def slowly(*arguments: Any) -> Lock:
        monkeypatch.setattr(journaled_file, "Lock", Lock)
        with JournaledFile(
            path, fresh=True
        ) as file:  # another process begins anew and ends meanwhile
            file.write(b"new")
            file.commit()
        return Lock(*arguments)

    monkeypatch.setattr(journaled_file, "Lock", slowly)
    with JournaledFile(path, fresh=fresh) as file:
        assert path.read_bytes() == b"new"
        assert file.read(3) == (bytes(3) if fresh else b"new")
        file.seek(0)
        file.write(b"one")
        file.commit()
    assert path.read_bytes() == b"one"


def test_a_journal_that_becomes_whole_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not before the lock was there, as while it is written; then its process was killed."""
    path, _, after = torn(tmp_path)
    record = journal_of(path).read_bytes()
    journal_of(path).write_bytes(record[:100])

    def slowly(*arguments: Any) -> Lock:
        journal_of(path).write_bytes(record)
        return Lock(*arguments)

    monkeypatch.setattr(journal, "Lock", slowly)
    with pytest.warns(journal.RecoveredWarning):
        assert recover(path)
    assert path.read_bytes() == after


def test_no_two_that_begin_and_go_on(tmp_path: Path) -> None:
    """One makes a new file where another would go on with the old one."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with JournaledFile(path, fresh=True), pytest.raises(FileInUseError):
        JournaledFile(path, fresh=False)
    with JournaledFile(path, fresh=False), pytest.raises(FileInUseError):
        JournaledFile(path, fresh=True)
    assert path.read_bytes() == b"old"
    path.unlink()
    with JournaledFile(path, fresh=True):
        path.write_bytes(b"put there")  # they would have one journal
        with pytest.raises(FileInUseError):
            JournaledFile(path, fresh=False)


def test_what_cannot_be_begun_locks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    journal_of(path).mkdir()
    for fresh in (True, False):
        with pytest.raises(IsADirectoryError):
            JournaledFile(path, fresh=fresh)
    journal_of(path).rmdir()
    for fresh in (True, False):
        with JournaledFile(path, fresh=fresh):
            pass
    assert path.read_bytes() == b"old"


def test_after_a_failure_nothing_more_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that is wanted to mend the file may not be written over."""
    path = tmp_path / "x"

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with JournaledFile(path, fresh=True) as file:
        file.write(b"one")
        file.commit()
        file.seek(0)
        file.write(b"two")
        with monkeypatch.context() as patch:
            patch.setattr(journaled_file, "apply_pages", full)
            with pytest.raises(OSError, match="No space left"):
                file.commit()
        file.seek(0)
        file.write(b"six")
        with pytest.raises(OSError, match="No space left"):
            file.commit()
    with pytest.warns(journal.RecoveredWarning):
        assert recover(path)
    assert path.read_bytes() == b"two"


def test_writes_of_which_a_part_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an almost full disk does: the rest is written too, or refused."""
    write, data = os.pwrite, np.random.default_rng(3).bytes(20000)
    monkeypatch.setattr(os, "pwrite", lambda fd, piece, at: write(fd, memoryview(piece)[:1000], at))
    with JournaledFile(tmp_path / "x", fresh=True) as file:
        for content in (data[:15000], data[::-1]):
            file.seek(0)
            file.write(content)
            file.commit()
            assert (tmp_path / "x").read_bytes() == content


def test_cutting_takes_no_memory(tmp_path: Path) -> None:
    with JournaledFile(tmp_path / "x", fresh=True) as file:
        file.truncate(2**30)
        file.commit()
        file.truncate(5000)
        assert len(file._pages) <= 1
        file.truncate(2**20)
        file.seek(4000)
        assert file.read(2000) == bytes(2000)
        file.commit()
    assert (tmp_path / "x").stat().st_size == 2**20
