"""Positions, velocities and forces of a run as lazy arrays, read from the file when indexed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trajectories.storage.h5md import H5MDReader


class Frames:
    """Lazy float64 array [frames, (n_systems,) n_particles, 3]: indexing by a number or a slice
    reads those frames only, `numpy.asarray` reads all of them.

    >>> run.positions[-1], run.positions[::10, 0], np.asarray(run.positions)
    """

    def __init__(
        self, opened: "Callable[[], AbstractContextManager[H5MDReader]]", element: str
    ) -> None:
        self._opened, self._element = opened, element

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, (frames, (n_systems,) n_particles, 3)."""
        with self._opened() as reader:
            systems = () if reader.n_systems is None else (reader.n_systems,)
            return (len(reader), *systems, reader.n_particles, 3)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.float64]:
        """float64."""
        return np.dtype(np.float64)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> np.ndarray:
        first, *rest = which if isinstance(which, tuple) else (which,)
        if isinstance(first, slice) or (np.ndim(first) == 0 and first is not Ellipsis):
            read = first if isinstance(first, slice) else int(first)
            with self._opened() as reader:
                found = reader.frames(self._element, read)
            if not rest:
                return found
            return np.asarray(found[(slice(None), *rest) if isinstance(read, slice) else (*rest,)])
        return np.asarray(np.asarray(self)[which])

    def __iter__(self) -> Iterator[np.ndarray]:
        with self._opened() as reader:
            for k in range(len(reader)):
                yield reader.frames(self._element, k)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def __repr__(self) -> str:
        shape = " x ".join(f"{n:,}" for n in self.shape)
        return f"Frames({self._element}, {shape}, float64, on disk)"
