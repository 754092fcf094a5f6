"""The extended XYZ file that labelled structures are written to, one after the other."""

import os
from pathlib import Path
from typing import Any

from trajectories.extxyz import ExtendedXYZ


class LabelledFile:
    """An extended XYZ file, opened with the first structure that is written, so that an old one
    stays where nothing can be labelled; one that is resumed is cut to ``n_bytes``."""

    def __init__(self, path: Path, n_bytes: int) -> None:
        self.path, self.n_bytes = path, n_bytes
        self._xyz: ExtendedXYZ | None = None

    @property
    def left_out(self) -> set[str]:
        """Names of what the format has no place for."""
        return set() if self._xyz is None else self._xyz.left_out

    def write(self, atoms: Any) -> int:
        """To the operating system; returns the length of the file."""
        if self._xyz is None:
            self._file = open(  # noqa: SIM115 (closed by close)
                self.path, "r+" if self.n_bytes else "w", encoding="utf-8", newline="\n"
            )
            if self.n_bytes:
                os.truncate(self._file.fileno(), self.n_bytes)
                self._file.seek(0, os.SEEK_END)
            self._xyz = ExtendedXYZ(self._file)
        self._xyz.write(atoms)
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        if self._xyz is not None:
            self._file.close()
