"""Reading a run in blocks of frames, so that one larger than memory can be analysed."""

from collections.abc import Iterator, Sequence

import numpy as np

from trajectories.h5md import H5MDReader

BLOCK = 2**25  # bytes
Group = Sequence[int] | np.ndarray  # numbers of particles


def block_length(run: H5MDReader, budget: int = BLOCK) -> int:
    """Frames in a block."""
    return max(1, budget // (24 * (run.n_systems or 1) * run.n_particles))


def blocks(run: H5MDReader, element: str, budget: int = BLOCK) -> Iterator[tuple[slice, np.ndarray]]:
    """Which frames, and these, [frames, n_systems, n_particles, 3], in blocks of 32 MiB."""
    length = block_length(run, budget)
    for first in range(0, len(run), length):
        where = slice(first, min(first + length, len(run)))
        yield where, run.frames(element, where).reshape(-1, run.n_systems or 1, run.n_particles, 3)
