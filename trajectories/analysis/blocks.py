"""Reading a run in blocks of frames, so that one larger than memory can be analysed."""

from collections.abc import Iterator, Sequence

import numpy as np

from trajectories.storage.h5md import H5MDReader

BLOCK = 2**25  # bytes
SYSTEMS = 8  # of an ensemble, where each is looked at one by one
_FLAT = 1e-12  # of the product of its vectors' lengths, below which a cell has no volume
_SPARSE = 8  # frames apart, from where on they are read one by one
Group = Sequence[int] | np.ndarray  # numbers of particles


def block_length(run: H5MDReader, budget: int = BLOCK) -> int:
    """Frames in a block."""
    return max(1, budget // (24 * (run.n_systems or 1) * run.n_particles))


def blocks(
    run: H5MDReader, element: str, budget: int = BLOCK
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of frames with their values [frames, n_systems, n_particles, 3], in blocks of 32
    MiB."""
    length = block_length(run, budget)
    for first in range(0, len(run), length):
        where = slice(first, min(first + length, len(run)))
        yield where, run.frames(element, where).reshape(-1, run.n_systems or 1, run.n_particles, 3)


def settled(run: H5MDReader) -> int:
    """First frame of the second half of a run, over which means are taken: the first half is for
    equilibration."""
    return len(run) // 2


def some_systems(run: H5MDReader) -> int:
    """Number of systems that are analysed one by one: at most eight."""
    return min(SYSTEMS, run.n_systems or 1)


def spacing(times: np.ndarray) -> float:
    """Mean time from one frame to the next, over all frames since other programs keep times in
    single precision."""
    return float(times[-1] - times[0]) / (len(times) - 1)


def single_frames(run: H5MDReader, element: str, frames: slice) -> Iterator[tuple[int, np.ndarray]]:
    """Frames one after the other, each with its number, [n_systems, n_particles, 3]; near ones are
    read in blocks."""
    which = range(*frames.indices(len(run)))
    shape = (-1, run.n_systems or 1, run.n_particles, 3)
    length = max(1, block_length(run) // which.step) if which.step <= _SPARSE else 1
    for first in range(0, len(which), length):
        some = which[first : first + length]
        values = run.frames(element, slice(some[0], some[-1] + 1)).reshape(shape)[:: which.step]
        yield from zip(some, values, strict=True)


def check_cells(run: H5MDReader) -> None:
    """Raise ValueError, naming the frame, if a periodic run has a cell without volume."""
    cells = run.cells.reshape(len(run), -1, 3, 3)
    if not (any(run.pbc) and cells.any()):
        return
    lengths = np.linalg.norm(cells, axis=-1)
    given = lengths > 0  # a direction that is not periodic needs no vector
    flat = given.all(-1) & (abs(np.linalg.det(cells)) <= _FLAT * lengths.prod(-1)) | (
        np.array(run.pbc) & ~given
    ).any(-1)
    if flat.any():
        k, s = (int(at) for at in np.argwhere(flat)[0])
        of = f" of system {s}" if cells.shape[1] > 1 else ""
        raise ValueError(f"the cell{of} has no volume in frame {k}")
