"""Distances between particles of two groups, counted over the frames of a run, and the minima of
their distribution that noise cannot have made.

Distances are counted in float64, so that single precision decides no bin, and in the cell in its
own orientation: neither lengths and angles nor wrapped positions are used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from systems.cell import PBC, minimum_image
from systems.neighbors.pair_counts import pair_counts
from systems.system import System
from trajectories.analysis.blocks import Group, single_frames, some_systems
from trajectories.storage.h5md import H5MDReader

_SMOOTH = 2.0  # bins over which noise is taken out before peaks are looked for
_RISE = 0.1  # of the mean density, by which a peak is higher than what is beside it
_SIGNIFICANT = 4.0  # standard deviations of counts, the same
# of that smoothing, that particles move from one frame to another that tells something new
_WIDTHS = 4.0
_FOLLOWED = 1000  # particles whose motion is looked at


@dataclass(frozen=True, eq=False)
class PairDistances:
    """Pairs between two groups by distance: mean counts a frame [n_systems, n_bins], ``sizes`` of
    the groups and of both together.

    ``volumes`` [n_systems] are the mean volumes, zero where there is no density. ``looks`` are the
    frames of all systems that are independent of each other: pairs that stay together in frame
    after frame are counted once by whoever judges noise.
    """

    edges: np.ndarray
    counts: np.ndarray
    sizes: tuple[int, int, int]
    volumes: np.ndarray
    looks: float

    @property
    def centers(self) -> np.ndarray:
        """Distances in the middle of bins [n_bins]."""
        return np.asarray(0.5 * (self.edges[1:] + self.edges[:-1]))

    @property
    def distribution(self) -> np.ndarray:
        """g(r) [n_bins], or neighbours per unit of length where there is no density."""
        first, second, both = self.sizes
        if self.volumes.all():
            pairs = max(float(first) * second - both, 1.0)
            per = pairs * 4.0 / 3.0 * np.pi * np.diff(self.edges**3) / self.volumes[:, None]
        else:
            per = first * np.diff(self.edges)
        return np.asarray((self.counts / per).mean(0))

    def around(self, first: bool) -> np.ndarray:
        """Mean number of particles nearer than each bin's upper edge [n_bins]: of the second group
        around one of the first, or back."""
        return np.asarray(self.counts.mean(0).cumsum() / self.sizes[0 if first else 1])

    def first_minimum(self) -> int | None:
        """The bin of the first minimum after the first peak of the density around a particle; None
        where noise may have made it."""
        from scipy.ndimage import gaussian_filter1d
        from scipy.signal import find_peaks

        counts, shells = self.counts.sum(0), np.diff(self.edges**3)
        if not counts.any():
            return None
        mean = counts.sum() / shells.sum()  # per volume; all is measured in it
        density = gaussian_filter1d(counts / shells / mean, _SMOOTH)
        # pairs are seen from both sides; a Gaussian averages over 2 sqrt(pi) of its widths
        expected = (
            self.looks / len(self.counts) * mean * shells * 2.0 * np.sqrt(np.pi) * _SMOOTH / 2.0
        )
        # a distribution may begin or end with a peak
        where, shape = find_peaks(np.pad(density, 1), prominence=_RISE)
        where -= 1
        padded = np.pad(density / expected, 1)  # squared noise of a peak, and of what is beside it
        bases = [padded[shape[f"{side}_bases"]] for side in ("left", "right")]
        lower = np.pad(density, 1)
        higher = np.where(lower[shape["left_bases"]] > lower[shape["right_bases"]], *bases)
        tops = where[
            shape["prominences"] > _SIGNIFICANT * np.sqrt(density[where] / expected[where] + higher)
        ]
        if len(tops) < 2:
            return None
        between = density[tops[0] : tops[1] + 1]
        lowest = np.flatnonzero(between <= between.min() + 1e-6 * between.max())
        return int(tops[0] + lowest[len(lowest) // 2])


class _Independent:
    """How many frames ``n`` of those added are independent: their particles have moved by ``far``,
    rms, since the last of them."""

    def __init__(self, far: float) -> None:
        self.n, self._far = 0, far
        self._last: np.ndarray | None = None

    def add(self, system: System) -> None:
        """Take a frame of the same particles."""
        x = system.positions[:: 1 + len(system.positions) // _FOLLOWED]
        if self._last is not None:
            moved = (
                x - self._last
                if system.cell is None
                else minimum_image(x - self._last, system.cell, system.pbc)
            )
            if (moved**2).sum(-1).mean() < self._far**2:
                return
        self.n, self._last = self.n + 1, x


class _Classes:
    """Particles that are in the same groups are of one class: pairs are counted between classes,
    whatever groups they belong to."""

    def __init__(self, pairs: Mapping[str, tuple[Group, Group]]) -> None:
        groups = [np.asarray(group) for both in pairs.values() for group in both]
        self.particles = np.unique(np.concatenate(groups))
        self._names = list(pairs)
        self._member = np.array([np.isin(self.particles, group) for group in groups])
        self._classes, of = np.unique(self._member, axis=1, return_inverse=True)
        self.of = np.ravel(of)  # the class of each particle
        self.n = self._classes.shape[1]

    def sums(self, counts: np.ndarray) -> dict[str, tuple[np.ndarray, tuple[int, int, int]]]:
        """Of each two groups, counts [n_systems, n_bins] between them, of those between classes
        [n_systems, n, n, n_bins], and the sizes of both and of what they share."""
        found = {}
        for row, name in enumerate(self._names):
            a, b = self._classes[2 * row], self._classes[2 * row + 1]
            first, second = self._member[2 * row], self._member[2 * row + 1]
            sizes = (int(first.sum()), int(second.sum()), int((first & second).sum()))
            # each of the first sees each of the second, but not itself
            found[name] = counts[:, a][:, :, b].sum((1, 2)), sizes
        return found


def count_pairs(
    run: H5MDReader,
    pairs: Mapping[str, tuple[Group, Group]],
    edges: np.ndarray,
    frames: slice,
    told: Callable[[float], None] = lambda share: None,
) -> dict[str, PairDistances]:
    """The pairs between each two groups in bins of these edges, evenly spaced from zero; each frame
    is read and its distances are found once."""
    classes, n_systems, n_bins = _Classes(pairs), some_systems(run), len(edges) - 1
    n_frames, cells = len(range(*frames.indices(len(run)))), run.cells.reshape(len(run), -1, 3, 3)
    counts = np.zeros((n_systems, classes.n, classes.n, n_bins))
    volumes = np.zeros(n_systems)
    far = _WIDTHS * 2.0 * np.sqrt(np.pi) * _SMOOTH * float(edges[-1]) / n_bins
    independent = [_Independent(far) for _ in range(n_systems)]
    template = System.create(np.zeros((len(classes.particles), 3)))
    for done, (k, x) in enumerate(single_frames(run, "position", frames)):
        for s in range(n_systems):
            cell = cells[k, s % cells.shape[1]]
            volumes[s] += abs(np.linalg.det(cell)) / n_frames if all(run.pbc) else 0.0
            one = _in_cell(template, x[s, classes.particles], cell, run.pbc)
            independent[s].add(one)
            try:
                counts[s] += pair_counts(*one.geometry, edges, classes.of) / n_frames
            except ValueError as error:
                raise ValueError(f"frame {k}: {error}") from None
        told((done + 1) / n_frames)
    looks = float(sum(one.n for one in independent))
    return {
        name: PairDistances(edges, between, sizes, volumes, looks)
        for name, (between, sizes) in classes.sums(counts).items()
    }


def _in_cell(template: System, x: np.ndarray, cell: np.ndarray, pbc: PBC) -> System:
    """The particles of a frame, in its cell where there is one."""
    periodic = any(pbc) and bool(cell.any())
    return replace(
        template,
        positions=x,
        cell=cell if periodic else None,
        pbc=pbc if periodic else (False,) * 3,
    )
