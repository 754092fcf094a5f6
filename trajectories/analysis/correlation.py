"""Correlations in time over all origins: mean squared displacement, velocity autocorrelation,
vibrational spectrum.

MDAnalysis' own EinsteinMSD keeps a whole run in memory and in float32, and it has no velocity
autocorrelation. Here a run is read in blocks, each correlated by FFT with itself and as many frames
after it as there are lags: n log(lags) time for n frames.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np

from trajectories.analysis.blocks import Group
from trajectories.storage.h5md import H5MDReader

BUDGET = 2**28  # bytes that a block and its transforms may take


def longest_lag(run: H5MDReader, n_frames: int) -> int:
    """Half of the frames, or as many as the memory for two blocks holds."""
    per_frame = 24 * (run.n_systems or 1) * run.n_particles
    return max(1, min(n_frames // 2, BUDGET // (4 * per_frame)))


def mean_squared_displacement(
    run: H5MDReader,
    groups: Mapping[str, Group],
    n_lags: int,
    frames: slice = slice(None),
    told: Callable[[int], None] = lambda n: None,
    *,
    about_center: bool = False,
) -> dict[str, np.ndarray]:
    """<|x(t + lag) - x(t)|^2> over all origins t and particles of a group, for lags of 0 to n_lags
    frames: [n_lags + 1, n_systems].

    Positions are taken as they are: ours are never wrapped. ``about_center`` takes off what the
    centre of mass does, which under friction and noise diffuses itself, and what a cell that
    breathes does to all positions alike. ``told`` is called with the number of frames done.
    """
    first, last = _range(run, frames)
    places = _about_center(run) if about_center else partial(_columns, run, "position")
    origin = places(slice(first, first + 1))[0]

    def blocks(begin: int, end: int) -> np.ndarray:
        return places(slice(begin, end)) - origin

    crossed, squares = _correlated(blocks, first, last, n_lags, groups, None, told)
    found = {}
    for name, cross in crossed.items():
        s = np.concatenate([np.zeros((1, squares[name].shape[1])), squares[name].cumsum(0)])
        n, lags = last - first, np.arange(n_lags + 1)
        pairs = (
            s[n - lags] + (s[n] - s[lags]) - 2.0 * cross
        )  # of origins 0 ... n - 1 - lag and of ends lag ... n - 1
        found[name] = np.maximum(pairs, 0.0) / ((n - lags)[:, None] * len(groups[name]))
        found[name][0] = 0.0
    return found


def velocity_autocorrelation(
    run: H5MDReader,
    groups: Mapping[str, Group],
    n_lags: int,
    weights: np.ndarray | None = None,
    told: Callable[[int], None] = lambda n: None,
    *,
    about_center: bool = False,
) -> dict[str, np.ndarray]:
    """<w v(t) · v(t + lag)> over all origins and particles of a group, [n_lags + 1, n_systems];
    ``weights`` w [n_particles], as masses.

    ``about_center`` takes off the velocity of the centre of mass.
    """
    first, last = _range(run, slice(None))

    def blocks(begin: int, end: int) -> np.ndarray:
        v = _columns(run, "velocity", slice(begin, end))
        return v - _center(run, v) if about_center else v

    crossed, _ = _correlated(blocks, first, last, n_lags, groups, weights, told)
    counts = (last - first - np.arange(n_lags + 1))[:, None]
    return {name: cross / (counts * len(groups[name])) for name, cross in crossed.items()}


def _range(run: H5MDReader, frames: slice) -> tuple[int, int]:
    first, last, _ = frames.indices(len(run))
    return first, last


def _columns(run: H5MDReader, element: str, frames: slice) -> np.ndarray:
    """[frames, n_systems, n_particles, 3]."""
    return run.frames(element, frames).reshape(-1, run.n_systems or 1, run.n_particles, 3)


def _center(run: H5MDReader, values: np.ndarray) -> np.ndarray:
    """Means over particles, weighted by their masses, [frames, n_systems, 1, 3]."""
    return np.asarray(np.einsum("n,fsna->fsa", run.masses / run.masses.sum(), values)[:, :, None])


def _about_center(run: H5MDReader) -> Callable[[slice], np.ndarray]:
    """Reads positions about the centre of mass; where the cell changes, their fractions of it times
    the mean cell."""
    cells = run.cells.reshape(len(run), -1, 3, 3)
    breathes = bool(all(run.pbc) and np.ptp(cells, axis=0).any())
    mean = cells.mean(0)

    def read(frames: slice) -> np.ndarray:
        x = _columns(run, "position", frames)
        x = x - _center(run, x)
        return (
            x @ np.linalg.solve(cells[frames], np.broadcast_to(mean, cells[frames].shape))
            if breathes
            else x
        )

    return read


def _correlated(
    read: Callable[[int, int], np.ndarray],
    first: int,
    last: int,
    n_lags: int,
    groups: Mapping[str, Group],
    weights: np.ndarray | None,
    told: Callable[[int], None],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Sums over origins and a group's particles of x(t) . x(t + lag), [n_lags + 1, n_systems], and
    of |x(t)|^2, [frames, n_systems]."""
    from scipy import fft

    n, size = last - first, max(n_lags, 64)
    length = fft.next_fast_len(min(size, n) + n_lags, real=True)
    crossed: dict[str, np.ndarray] = {}
    squares: dict[str, list[np.ndarray]] = {name: [] for name in groups}
    for begin in range(first, last, size):
        window = read(begin, min(last, begin + size + n_lags))
        own = window[:size]
        n_systems = window.shape[1]
        for name, group in groups.items():
            squares[name].append((own[:, :, group] ** 2).sum((2, 3)))
            sums = crossed.setdefault(name, np.zeros((n_lags + 1, n_systems)))
            for s in range(n_systems):
                for some in _batches(group, length):
                    scale = 1.0 if weights is None else np.asarray(weights)[some][:, None]
                    later = fft.rfft(window[:, s, some], length, axis=0)
                    earlier = (
                        fft.rfft(own[:, s, some] * scale, length, axis=0)
                        if begin + size < last or weights is not None
                        else later
                    )
                    power = (np.conj(earlier) * later).sum((1, 2))
                    sums[:, s] += fft.irfft(power, length)[: n_lags + 1]
        told(min(begin + size, last) - first)
    return crossed, {name: np.concatenate(parts) for name, parts in squares.items()}


def _batches(group: Group, length: int) -> Iterable[Group]:
    """Particles whose transforms fit a quarter of the memory."""
    many = max(1, BUDGET // (4 * 16 * 3 * length))
    for k in range(0, len(group), many):
        yield group[k : k + many]


def spectrum(autocorrelation: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, in cycles per unit of ``spacing``, and the power at each: the cosine transform
    of an autocorrelation [n_lags + 1].

    The lags fade out by half a Hann window, so that a line has a width of about 1 / (n_lags *
    spacing); four frequencies tell its shape.
    """
    from scipy import fft

    n = len(autocorrelation)
    faded = autocorrelation * np.cos(0.5 * np.pi * np.arange(n) / n) ** 2
    length = fft.next_fast_len(8 * n, real=True)
    power = 2.0 * fft.rfft(faded, length).real - faded[0]
    return fft.rfftfreq(length, spacing), power * spacing
