"""Radial distribution functions and coordination numbers, by the neighbour search of `systems`, in
any cell."""

from collections.abc import Callable, Mapping
from itertools import combinations_with_replacement

import numpy as np

from systems.cell import heights
from systems.sources.identities import VIRTUAL_MASS
from systems.units import METAL
from trajectories.analysis.blocks import Group, check_cells, settled, single_frames, some_systems
from trajectories.analysis.pair_distances import PairDistances, count_pairs
from trajectories.analysis.results import Axis, Curves, Number
from trajectories.storage.h5md import H5MDReader

_PAIRS = 1e8  # distances that are looked at in all frames together
_LOOKS = 10_000  # frames, of all systems together
KINDS = 3  # of atoms whose pairs are told apart
_METERED = 10.0  # Angstrom up to which atoms are looked at
_BINS = 200


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
    """Largest distance of a radial distribution: half of the least distance between a periodic
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
    edges = np.linspace(0.0, reach, n_bins + 1)
    counted = count_pairs(run, {"": (first, second)}, edges, frames)[""]
    return counted.centers, counted.distribution


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
    groups_of = {name: named[pair] for name, pair in labels.items()}
    found = count_pairs(run, groups_of, np.linspace(0.0, reach, _BINS + 1), which, told)
    centers = next(iter(found.values())).centers
    values = {
        labels[name][0] if len(groups) == 1 else name: counted.distribution
        for name, counted in found.items()
    }
    title = "Radial distribution function" if periodic else "Distribution of interatomic distances"
    unit = run.units.length
    axis = Axis("g(r)") if periodic else Axis("neighbours", f"1/{unit}" if unit else "")
    rdf = Curves(
        "rdf", title, Axis("distance", unit), centers, axis, values, _peaks(centers, values, unit)
    )
    curves, numbers = _coordination(run, {labels[name]: counted for name, counted in found.items()})
    return [rdf, curves], numbers, every


def _every(run: H5MDReader, reach: float, periodic: bool) -> int:
    """Stride between the frames of a run's second half that are analysed."""
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
    run: H5MDReader, found: Mapping[tuple[str, str], PairDistances]
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
        f"Up to first minima: {'; '.join(texts)}." if texts else "g(r) has no clear first minimum."
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
