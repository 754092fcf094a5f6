"""H5MD 1.1 files of rollouts: `H5MDWriter` writes their frames."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

import h5py

from integrators.state import State
from systems.sources.template import to_text
from systems.system import System
from trajectories.interrupts import uninterrupted
from trajectories.storage.journal import recover
from trajectories.storage.journaled_file import JournaledFile
from trajectories.storage.layout import (
    OBSERVABLES,
    STRESS,
    VERSION,
    create,
    estimated_bytes,
    extend,
    link_times,
    record,
    seal,
    series,
)
from trajectories.storage.rows import rows_of

__all__ = ["H5MDWriter", "estimated_bytes"]

_BUFFER_BYTES = 2**25
_SECONDS = 1.0


class Storage(Protocol):
    """Where HDF5 writes a run: `journaled_file.JournaledFile`, or `plain.PlainFile`."""

    @property
    def target(self) -> Any:
        """What h5py opens: a name, or a file in Python."""

    def commit(self) -> None:
        """Make all that HDF5 has flushed final. Raises OSError if the disk does not take it."""

    def close(self) -> None:
        """Forget what was not committed, and let others have the file."""


class OpenStorage(Protocol):
    """Function that opens a `Storage`, a new one or to append."""

    def __call__(self, path: str | Path, *, fresh: bool) -> Storage:
        """Raises OSError if the file cannot be written."""


class H5MDWriter:
    """Writer of states as frames of an H5MD file. Frames wait in memory for about a second, then
    are flushed; only flushed frames count as written.

    A process killed at any moment leaves a file with all written frames, and one that was stopped
    while it flushed has a journal beside it, from which `H5MDReader` recovers. A new file appears
    with its first flush. ``names`` are the particles' names, ``provenance`` whatever should be
    known of the run later, ``n_frames`` a hint for the chunks, ``template`` the ``ase.Atoms`` that
    the system was made of, whose info and further arrays are to be in what the run is converted to,
    ``storage`` what HDF5 writes into: a kill costs nothing only of a `JournaledFile`. Raises
    FileExistsError if ``path`` exists, unless ``overwrite``; `locks.FileInUseError`, an OSError, if
    another process writes it; and OSError, from `write` and `flush` too, if the disk does not take
    what is written: then the file stays as it was after the last flush.
    """

    def __init__(
        self,
        path: str | Path,
        system: System,
        *,
        names: Sequence[str] = (),
        provenance: Mapping[str, str] | None = None,
        n_frames: int = 1000,
        overwrite: bool = False,
        template: Any = None,
        storage: OpenStorage = JournaledFile,
    ) -> None:
        if Path(path).exists() and not overwrite:
            raise FileExistsError(17, "File exists", str(path))
        self._begin(storage(path, fresh=True), "w", max(1, n_frames))
        with self._or_nothing():
            if Path(path).exists() and not overwrite:  # another process has been faster
                raise FileExistsError(17, "File exists", str(path))
            text = {} if template is None else {"template": to_text(template)}
            create(self._file, system, names, {**(provenance or {}), **text})

    @classmethod
    def append(
        cls,
        path: str | Path,
        n_frames: int,
        provenance: Mapping[str, str] | None = None,
        *,
        storage: OpenStorage = JournaledFile,
    ) -> Self:
        """Append to a run's file, cut to its first ``n_frames`` frames; ``provenance`` is added to
        what it has."""
        self = cls.__new__(cls)
        recover(path)
        self._begin(storage(path, fresh=False), "r+", n_frames)
        with self._or_nothing():
            record(self._file, provenance or {})
            for dataset in series(self._file):
                dataset.resize(n_frames, axis=0)
        self.n_written = n_frames
        return self

    def _begin(self, disk: Storage, mode: str, n_hint: int) -> None:
        self._disk, self._n_hint = disk, n_hint
        self._pending: list[State] = []
        self._pending_bytes = 0
        self.n_written = 0
        self._last_flush = time.monotonic()
        self._to_seal = True
        try:
            self._file = h5py.File(disk.target, mode, libver=VERSION)
        except BaseException:
            disk.close()
            raise

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """What fails at the beginning leaves nothing behind."""
        try:
            yield
        except BaseException:
            self.abandon()
            raise

    def write(self, state: State) -> None:
        """Write a frame; frames are flushed once they have waited for a second or fill their
        buffer."""
        self._pending.append(state)
        self._pending_bytes += 3 * state.system.positions.nbytes
        if self._pending_bytes > _BUFFER_BYTES or time.monotonic() - self._last_flush > _SECONDS:
            self.flush()

    def flush(self) -> int:
        """Write the waiting frames to disk; returns how many frames the file holds. Ctrl-C waits
        for its end."""
        with uninterrupted():
            self._flush()
        return self.n_written

    def _flush(self) -> None:
        if self._pending:
            first, rows = self.n_written, rows_of(self._pending)
            there = {dataset.name[1:] for dataset in series(self._file)} if first else set(rows)
            stress = f"{OBSERVABLES}/{STRESS}/value"
            if stress not in there:  # a run that was begun before stresses were kept
                rows.pop(stress, None)
            if different := set(rows) ^ there:
                raise ValueError(
                    "all frames of a run hold the same; these differ from the file's in"
                    f" {', '.join(sorted(different))}"
                )
            for name, values in rows.items():
                extend(self._file, name, first, values, self._n_hint, self._pending[0].system.units)
            link_times(self._file)
        if self._to_seal and (self.n_written or self._pending):
            seal(self._file)
            self._to_seal = False
        self._file.flush()
        self._disk.commit()
        self.n_written += len(self._pending)
        self._pending, self._pending_bytes, self._last_flush = [], 0, time.monotonic()

    def record(self, provenance: Mapping[str, str]) -> None:
        """Add to what the file says of its run; what it says already stays."""
        record(self._file, provenance)
        self._to_seal = True

    def close(self) -> None:
        """Flush and close."""
        if not self._file:
            return
        with uninterrupted():
            try:
                self._flush()
                self._file.close()
                self._disk.commit()
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Close without what has not been flushed: the file is as it was after the last flush."""
        with suppress(OSError, RuntimeError):
            self._file.close()
        self._disk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
            return
        # whatever failed, perhaps a full disk, would fail again: what has not been flushed is not
        # written
        self.abandon()
