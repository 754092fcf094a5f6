"""H5MD 1.1 files of rollouts: `H5MDWriter` keeps their frames."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import h5py

from integrators.state import State
from systems.system import System
from trajectories._layout import columns, create, extend, link_times, record, refuse_locked, series

_BUFFER_BYTES = 2**25


class H5MDWriter:
    """Writes states as frames. Frames wait in memory until `flush`; only what has been flushed is called written.

    ``names`` are the particles' names, ``provenance`` whatever should be known of the run later, ``n_frames`` a hint for the chunks.
    Raises FileExistsError where ``path`` exists, unless ``overwrite``.
    """

    def __init__(
        self, path: str | Path, system: System, *, names: Sequence[str] = (), provenance: Mapping[str, str] | None = None,
        n_frames: int = 1000, overwrite: bool = False,
    ) -> None:  # fmt: skip
        if overwrite:
            _refuse_live(path)
        elif Path(path).exists():
            raise FileExistsError(17, "File exists", str(path))
        self._file = h5py.File(path, "w" if overwrite else "x")
        self._n_hint = max(1, n_frames)
        self._begin()
        create(self._file, system, names, dict(provenance or {}))

    @classmethod
    def append(cls, path: str | Path, n_frames: int, provenance: Mapping[str, str] | None = None) -> Self:
        """Go on with a file of ours, cut to its first ``n_frames`` frames; ``provenance`` is added to what it has."""
        self = cls.__new__(cls)
        try:
            self._file = h5py.File(path, "r+")
        except OSError as error:
            refuse_locked(path, error)
            raise
        record(self._file, provenance or {})
        self._n_hint = n_frames
        self._begin()
        for dataset in series(self._file):
            dataset.resize(n_frames, axis=0)
        self.n_written = n_frames
        return self

    def _begin(self) -> None:
        self._pending: list[State] = []
        self._pending_bytes = 0
        self.n_written = 0
        self._last_flush = time.monotonic()

    def write(self, state: State) -> None:
        """Keep a frame; it is on disk after the next `flush`."""
        self._pending.append(state)
        self._pending_bytes += 3 * state.system.positions.nbytes

    @property
    def due(self) -> bool:
        """Whether frames have waited for a second, or fill their buffer."""
        return self._pending_bytes > _BUFFER_BYTES or time.monotonic() - self._last_flush > 1.0

    def flush(self) -> int:
        """Write the waiting frames to disk; returns how many frames the file holds."""
        if self._pending:
            first, rows = self.n_written, columns(self._pending)
            if first and (different := set(rows) ^ {dataset.name[1:] for dataset in series(self._file)}):
                raise ValueError(f"all frames of a run hold the same; these differ from the file's in {', '.join(sorted(different))}")
            for name, values in rows.items():
                extend(self._file, name, first, values, self._n_hint, self._pending[0].system.units)
            link_times(self._file)
            self.n_written = first + len(self._pending)
        self._file.flush()
        self._pending, self._pending_bytes, self._last_flush = [], 0, time.monotonic()
        return self.n_written

    def record(self, provenance: Mapping[str, str]) -> None:
        """Add to what the file says of its run; what it says already stays."""
        record(self._file, provenance)

    def close(self) -> None:
        """Flush and close."""
        if self._file:
            self.flush()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
            return
        # whatever failed, perhaps a full disk, would fail again: what has not been flushed is not written
        with suppress(OSError, RuntimeError):
            self._file.close()


def _refuse_live(path: str | Path) -> None:
    """Opening for writing truncates a file before it finds the lock of the run that writes it, so look for the lock first."""
    if Path(path).is_file():
        try:
            h5py.File(path, "r+").close()
        except OSError as error:
            refuse_locked(path, error)
