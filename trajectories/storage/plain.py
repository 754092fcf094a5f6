"""`PlainFile`: HDF5's own file, for runs that may be lost.

Nothing stands between HDF5 and the disk: a process that is killed while HDF5 writes may leave a
file that no reader opens. Runs are kept in a `journaled_file.JournaledFile` unless another storage
is chosen.
"""

from pathlib import Path

from trajectories.storage.locks import Lock


class PlainFile:
    """A file that HDF5 writes by itself. ``fresh`` begins a new one at once, whatever is there.

    Raises `locks.FileInUseError` if another process writes the file, and OSError if it cannot be
    written.
    """

    def __init__(self, path: str | Path, *, fresh: bool) -> None:
        self.target = str(path)
        self._lock = Lock(path)

    def commit(self) -> None:
        """HDF5 has been told to flush; nothing more is done."""

    def close(self) -> None:
        """Let others have the file."""
        self._lock.release()
