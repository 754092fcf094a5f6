"""The file behind a `Trajectory`: a run's own, or the H5MD file that another program's trajectory
is converted to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mcegnn.runs.reading import check_own, imported
from systems.sources.file_options import FileOptions

if TYPE_CHECKING:
    from trajectories.storage.h5md import H5MDReader


class Source:
    """A run's file, open only while it is read or between `keep_open` and `close`, so that the run
    may be resumed meanwhile.

    A foreign trajectory is converted to a run's file in a temporary folder, which `close` deletes.
    Raises FileNotFoundError or ValueError if it cannot be read or holds no frames.
    """

    def __init__(self, path: Path, topology: Path | None, said: Mapping[str, str | None]) -> None:
        self.path = path
        self._folder: TemporaryDirectory[str] | None = None
        self._kept: H5MDReader | None = None
        options = FileOptions.parse(**said)
        if check_own(path, topology, options):
            self.file = path.absolute()
        else:
            self._folder = TemporaryDirectory()
            self.file = Path(self._folder.name) / f"{path.name}.h5md"
            imported(path, self.file, topology, options)
        with self.opened() as reader:
            if not len(reader):
                raise ValueError(f"{path} holds no frames yet")

    @contextmanager
    def opened(self) -> "Iterator[H5MDReader]":
        """The reader of all frames."""
        if self._kept is not None:
            yield self._kept
            return
        with self.anew() as reader:
            yield reader

    def anew(self) -> "H5MDReader":
        """Open a new reader. Raises ValueError if the trajectory is closed."""
        from trajectories.storage.h5md import H5MDReader

        if self._folder is not None and not self.file.exists():
            raise ValueError(f"the trajectory of {self.path} is closed; open it anew")
        return H5MDReader(self.file)

    def keep_open(self) -> None:
        """Open the file until `close`."""
        if self._kept is None:
            self._kept = self.anew()

    def close(self) -> None:
        """Close the file; delete the temporary one of a converted foreign trajectory."""
        if self._kept is not None:
            self._kept.__exit__()
            self._kept = None
        if self._folder is not None:
            self._folder.cleanup()
