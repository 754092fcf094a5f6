"""Who is how far from whom: radial distribution and coordination numbers, by the neighbour search
of `systems`, in any cell.

Distances are counted in float64, so that single precision decides no bin, and in the cell as it
lies: neither lengths and angles nor wrapped positions are asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np

from systems.cell import heights, minimum_image
from systems.neighbors.pair_counts import pair_counts
from systems.sources.identities import VIRTUAL_MASS
from systems.system import System
from systems.units import METAL
from trajectories.analysis.blocks import Group, check_cells, settled, single_frames, some_systems
from trajectories.analysis.results import Axis, Curves, Number
from trajectories.storage.h5md import H5MDReader

_PAIRS = 1e8  # distances that are looked at in all frames together
_LOOKS = 10_000  # frames, of all systems together
KINDS = 3  # of atoms whose pairs are told apart
_METERED = 10.0  # Angstrom up to which atoms are looked at
_BINS = 200
_SMOOTH = 2.0  # bins over which noise is taken out before peaks are looked for
_RISE = 0.1  # of the mean density, by which a peak is higher than what is beside it
_SIGNIFICANT = 4.0  # standard deviations of counts, the same
_WIDTHS = (
    4.0  # of that smoothing, that particles move from one frame to another that tells something new
)
_FOLLOWED = 1000  # particles whose motion is looked at


def kinds(run: H5MDReader) -> dict[str, np.ndarray]:
    """Particles [n of them] by element, the most frequent first; "all" where there are no
    elements."""
    if not run.species.any():
        return {"all": np.arange(run.n_particles)}
    from ase.data import chemical_symbols

    numbers, counts = np.unique(run.species, return_counts=True)
    return {
        chemical_symbols[z]: np.flatnonzero(run.species == z)
        for z in numbers[np.argsort(-counts, kind="stable")]
    }


def furthest(run: H5MDReader) -> float:
    """Up to where a radial distribution makes sense: half of the least distance between a periodic
    cell's faces, at most 10 Angstrom.

    Raises ValueError if the run has no cell that is periodic in all directions, or a frame's cell
    has no volume.
    """
    if not (all(run.pbc) and run.cells.any()):
        raise ValueError(
            "a radial distribution takes a box that is periodic in all directions, which the run"
            " has not"
        )
    return _half_way(run)


def _half_way(run: H5MDReader) -> float:
    """Half of the least distance between faces of the cell in its periodic directions; in metal
    units at most 10 Angstrom."""
    check_cells(run)
    periodic = np.reshape(run.pbc, (3, 1))
    cells = np.unique(np.where(periodic, run.cells, 0.0).reshape(-1, 9), axis=0).reshape(-1, 3, 3)
    half = 0.5 * float(heights(cells)[:, list(run.pbc)].min())
    return min(_METERED, half) if run.units is METAL else half


def radial_distribution(
    run: H5MDReader,
    first: Group,
    second: Group,
    *,
    reach: float,
    n_bins: int = _BINS,
    frames: slice = slice(None),
) -> tuple[np.ndarray, np.ndarray]:
    """Distances in the middle of bins up to ``reach``, and g(r) between two groups of particles,
    over some frames; [n_bins] each.

    Normalised by the mean volume, as MDAnalysis' InterRDF; of an ensemble the mean over its first
    eight systems, each in its own cell. Without a cell that is periodic in all directions there is
    no density to compare with: then it is how many of ``second`` there are at a distance from one
    of ``first``, per unit of length.
    """
    counted = _counted(run, {"": (first, second)}, reach, n_bins, frames)[""]
    return counted.centers, counted.distribution


@dataclass(frozen=True, eq=False)
class _Counted:
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
        where, shape = find_peaks(
            np.pad(density, 1), prominence=_RISE
        )  # a distribution may begin or end with a peak
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


def _counted(
    run: H5MDReader,
    pairs: Mapping[str, tuple[Group, Group]],
    reach: float,
    n_bins: int,
    frames: slice,
    told: Callable[[float], None] = lambda share: None,
) -> dict[str, _Counted]:
    """The pairs between each two groups; each frame is read and its distances are found once."""
    chosen = np.unique(
        np.concatenate([np.asarray(group) for both in pairs.values() for group in both])
    )
    member = np.array([np.isin(chosen, group) for both in pairs.values() for group in both])
    # particles that are in the same groups are of a kind
    classes, kind = np.unique(member, axis=1, return_inverse=True)
    edges, n_systems = np.linspace(0.0, reach, n_bins + 1), some_systems(run)
    n_frames, cells = len(range(*frames.indices(len(run)))), run.cells.reshape(len(run), -1, 3, 3)
    counts, volumes = (
        np.zeros((n_systems, classes.shape[1], classes.shape[1], n_bins)),
        np.zeros(n_systems),
    )
    template = System.create(np.zeros((len(chosen), 3)))
    independent = [
        _Independent(_WIDTHS * 2.0 * np.sqrt(np.pi) * _SMOOTH * reach / n_bins)
        for _ in range(n_systems)
    ]
    for done, (k, x) in enumerate(single_frames(run, "position", frames)):
        for s in range(n_systems):
            cell = cells[k, s % cells.shape[1]]
            periodic = any(run.pbc) and bool(cell.any())
            volumes[s] += abs(np.linalg.det(cell)) / n_frames if all(run.pbc) else 0.0
            one = replace(
                template,
                positions=x[s, chosen],
                cell=cell if periodic else None,
                pbc=run.pbc if periodic else (False,) * 3,
            )
            independent[s].add(one)
            try:
                counts[s] += pair_counts(*one.geometry, edges, np.ravel(kind)) / n_frames
            except ValueError as error:
                raise ValueError(f"frame {k}: {error}") from None
        told((done + 1) / n_frames)
    found, looks = {}, float(sum(one.n for one in independent))
    for row, name in enumerate(pairs):
        a, b = classes[2 * row], classes[2 * row + 1]
        first, second = member[2 * row], member[2 * row + 1]
        sizes = (int(first.sum()), int(second.sum()), int((first & second).sum()))
        # each of the first sees each of the second, but not itself
        found[name] = _Counted(edges, counts[:, a][:, :, b].sum((1, 2)), sizes, volumes, looks)
    return found


def radial_distributions(
    run: H5MDReader,
    groups: dict[str, np.ndarray] | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> tuple[list[Curves], list[Number], int]:
    """g(r) and running coordination numbers of each pair of groups, the most frequent elements
    else, over the second half of a run.

    With them the coordination numbers up to the first minimum of g(r), and every which frame was
    looked at. There are no curves where there are no pairs. Raises ValueError, naming the frame, if
    a cell has no volume.
    """
    groups = groups or dict(list(with_mass(run).items())[:KINDS])
    named = {
        (a, b): (groups[a], groups[b])
        for a, b in combinations_with_replacement(groups, 2)
        if a != b or len(groups[a]) > 1
    }
    if not named:
        return [], [], 1
    periodic = all(run.pbc) and bool(run.cells.any())
    reach = _half_way(run) if any(run.pbc) and run.cells.any() else _extent(run)
    every = _every(run, reach, periodic)
    which = slice(settled(run), None, every)
    labels = {"-".join(pair): pair for pair in named}
    found = _counted(
        run, {name: named[pair] for name, pair in labels.items()}, reach, _BINS, which, told
    )
    centers = next(iter(found.values())).centers
    values = {
        labels[name][0] if len(groups) == 1 else name: counted.distribution
        for name, counted in found.items()
    }
    title = "Radial distribution" if periodic else "Distances between atoms"
    unit = run.units.length
    axis = Axis("g(r)") if periodic else Axis("neighbours", f"1/{unit}" if unit else "")
    rdf = Curves(
        "rdf", title, Axis("distance", unit), centers, axis, values, _peaks(centers, values, unit)
    )
    curves, numbers = _coordination(run, {labels[name]: counted for name, counted in found.items()})
    return [rdf, curves], numbers, every


def _every(run: H5MDReader, reach: float, periodic: bool) -> int:
    """Which share of a run's second half is looked at."""
    n, near = run.n_particles, run.n_particles - 1.0
    if periodic:
        volume = float(np.mean(abs(np.linalg.det(run.cells.reshape(-1, 3, 3)))))
        near = min(near, n / volume * 4.2 * reach**3)
    looks = (len(run) - settled(run)) * some_systems(run)
    return max(1, int(np.ceil(looks * max(n * near / _PAIRS, 1 / _LOOKS))))


def with_mass(run: H5MDReader) -> dict[str, np.ndarray]:
    """The kinds of a run but for virtual sites, which models place beside atoms: nobody is their
    neighbour."""
    masses, found = np.asarray(run.masses), kinds(run)
    real = {
        name: group for name, group in found.items() if (masses[..., group] > VIRTUAL_MASS).any()
    }
    return real or found


def _coordination(
    run: H5MDReader, found: Mapping[tuple[str, str], _Counted]
) -> tuple[Curves, list[Number]]:
    """Running coordination numbers n(r) of each kind around each other, and the numbers up to the
    first minimum of g(r)."""
    unit, values, numbers = run.units.length, {}, []
    for (a, b), counted in found.items():
        edges, at = counted.edges[1:], counted.first_minimum()
        for center, other, first in ((a, b, True), (b, a, False))[: 1 if a == b else 2]:
            running = values[f"{center}-{other}"] = counted.around(first)
            if at is not None:
                note = (
                    f"neighbours within {edges[at]:.3g} {unit}".rstrip()
                    + ", the first minimum of g(r)"
                )
                label = f"coordination number, {other} around {center}"
                numbers.append(
                    Number(f"coordination_{center}-{other}", label, float(running[at]), note=note)
                )
    edges = next(iter(found.values())).edges[1:]
    texts = [
        f"{n.label.removeprefix('coordination number, ')} {n.value:.4g}"
        f" {n.note.removeprefix('neighbours ')}"
        for n in numbers
    ]
    said = (
        f"Up to first minima: {'; '.join(texts)}."
        if texts
        else "No first minimum stands out of g(r)."
    )
    return (
        Curves(
            "coordination",
            "Coordination number",
            Axis("distance", unit),
            edges,
            Axis("neighbours"),
            values,
            said,
        ),
        numbers,
    )


def _extent(run: H5MDReader) -> float:
    """Twice the largest distance of a particle from the middle in a hundred frames, and a little
    more."""
    n_frames = len(run) - settled(run)
    frames = slice(settled(run), None, max(1, n_frames // 100))
    radii = (
        np.linalg.norm(x - x.mean(1, keepdims=True), axis=-1).max()
        for _, x in single_frames(run, "position", frames)
    )
    return max(2.05 * float(max(radii)), 1e-6)


def _peaks(bins: np.ndarray, values: dict[str, np.ndarray], unit: str) -> str:
    """The last bin is none: there the distribution ends, and perhaps not its rise."""
    highest = {name: int(g.argmax()) for name, g in values.items() if g.any()}
    tops = [
        f"{name} at {bins[k]:.3g} {unit}".rstrip()
        for name, k in highest.items()
        if k < len(bins) - 1
    ]
    return f"Highest peaks: {', '.join(tops)}." if tops else "There are no peaks."
