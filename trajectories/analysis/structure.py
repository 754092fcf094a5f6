"""Where particles are to each other, by MDAnalysis: radial distribution, bond lengths, angles."""

import warnings
from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from systems.cell import heights
from systems.units import METAL
from trajectories.analysis.blocks import Group
from trajectories.analysis.results import Axis, Curves
from trajectories.h5md import H5MDReader

_PAIRS = 3e7  # distances that are looked at in all frames together
_LOOKS = 1500  # frames, for all pairs of elements and systems together: each takes MDAnalysis some milliseconds
_SYSTEMS = 8  # of an ensemble
_KINDS = 3  # of atoms whose pairs are told apart
_BONDED = 2000  # atoms of which bonds are guessed


def kinds(run: H5MDReader) -> dict[str, np.ndarray]:
    """Particles [n of them] by element, the most frequent first; "all" where there are no elements."""
    if not run.species.any():
        return {"all": np.arange(run.n_particles)}
    from ase.data import chemical_symbols

    numbers, counts = np.unique(run.species, return_counts=True)
    return {chemical_symbols[z]: np.flatnonzero(run.species == z) for z in numbers[np.argsort(-counts, kind="stable")]}


def furthest(run: H5MDReader) -> float:
    """Up to where a radial distribution makes sense: half of the least distance between a periodic cell's faces, at most 10 Angstrom.

    ValueError where the run has no cell that is periodic in all directions.
    """
    cells = run.cells
    if not (all(run.pbc) and cells.any()):
        raise ValueError("a radial distribution takes a box that is periodic in all directions, which the run has not")
    half = 0.5 * float(np.min(heights(cells.reshape(-1, 3, 3))))
    return min(10.0, half) if run.units is METAL else half


def radial_distribution(
    run: H5MDReader, first: Group, second: Group, *, reach: float, n_bins: int = 200, every: int = 1, workers: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Distances in the middle of bins up to ``reach``, and g(r) between two groups of particles, over every so many frames; [n_bins] each.

    MDAnalysis' InterRDF in ``workers`` processes, of an ensemble the mean over its first eight systems. Without a periodic box there is no
    density to compare with: then it is how many of ``second`` there are at a distance from one of ``first``, per unit of length.
    """
    from MDAnalysis.analysis.rdf import InterRDF

    u = run.universe()
    periodic = all(run.pbc) and bool(run.cells.any())
    same = set(first) == set(second)
    more = {"backend": "multiprocessing", "n_workers": workers} if workers > 1 else {}
    total = np.zeros(n_bins)
    n_systems = min(_SYSTEMS, run.n_systems or 1)
    for s in range(n_systems):
        a, b = (u.atoms[s * run.n_particles + np.asarray(group)] for group in (first, second))
        found = InterRDF(
            a, b, nbins=n_bins, range=(0.0, reach), norm="rdf" if periodic else "none", exclusion_block=(1, 1) if same else None
        )
        with _quiet():
            found.run(step=every, **more)
        total += found.results.rdf
    bins = np.asarray(found.results.bins)
    u.trajectory.close()
    if not periodic:
        total /= len(first) * (reach / n_bins)
    return bins, total / n_systems


def radial_distributions(
    run: H5MDReader, groups: dict[str, np.ndarray] | None = None, told: Callable[[float], None] = lambda share: None
) -> tuple[Curves, int]:
    """g(r) of each pair of groups, the most frequent elements else, and which frames were looked at: every so many."""
    periodic = all(run.pbc) and bool(run.cells.any())
    reach = furthest(run) if periodic else _extent(run)
    n, groups = run.n_particles, groups or dict(list(kinds(run).items())[:_KINDS])
    told(0.0)
    named = list(combinations_with_replacement(groups, 2))
    near = n - 1.0
    if periodic:
        volume = float(np.mean(abs(np.linalg.det(run.cells.reshape(-1, 3, 3)))))
        near = min(near, n / volume * 4.2 * reach**3)
    n_systems = min(_SYSTEMS, run.n_systems or 1)
    every = max(1, int(np.ceil(len(run) * n_systems * max(n * near / _PAIRS, len(named) / _LOOKS))))
    values, bins = {}, np.zeros(0)
    for k, (a, b) in enumerate(named):
        if a == b and len(groups[a]) < 2:
            continue
        bins, values[a if len(groups) == 1 else f"{a}-{b}"] = radial_distribution(run, groups[a], groups[b], reach=reach, every=every)
        told((k + 1) / len(named))
    title = "Radial distribution" if periodic else "Distances between atoms"
    axis = Axis("g(r)") if periodic else Axis("neighbours", f"1/{run.units.length}" if run.units.length else "")
    return Curves("rdf", title, Axis("distance", run.units.length), bins, axis, values, _peaks(bins, values, run.units.length)), every


def _extent(run: H5MDReader) -> float:
    """The largest distance in the first frame, and a tenth more."""
    x = run.frames("position", 0).reshape(-1, run.n_particles, 3)
    return 1.1 * float(np.linalg.norm(x - x.mean(1, keepdims=True), axis=-1).max()) * 2.0


def _peaks(bins: np.ndarray, values: dict[str, np.ndarray], unit: str) -> str:
    tops = [f"{name} at {bins[g.argmax()]:.3g} {unit}".rstrip() for name, g in values.items() if g.any()]
    return f"Highest peaks: {', '.join(tops)}." if tops else "There are no pairs."


def bonds(run: H5MDReader) -> np.ndarray:
    """Pairs of atoms [n_bonds, 2] that are bonded in the first frame of the first system, as `bonded` has it."""
    cell = run.cells[0].reshape(-1, 3, 3)[0]
    x = run.frames("position", 0).reshape(-1, run.n_particles, 3)[0]
    return bonded(run.species, x, cell if any(run.pbc) and cell.any() else None)


def bonded(species: np.ndarray, x: np.ndarray, cell: np.ndarray | None = None) -> np.ndarray:
    """Pairs of atoms [n_bonds, 2] that MDAnalysis takes for bonded, by van der Waals radii; none above 2,000 atoms.

    ``species`` are atomic numbers [n_particles], ``x`` positions [n_particles, 3] in Angstrom, ``cell`` [3, 3] is None in free space.
    """
    if not species.any() or len(species) > _BONDED:
        return np.zeros((0, 2), dtype=int)
    import MDAnalysis
    from ase.data import chemical_symbols
    from MDAnalysis.guesser.default_guesser import DefaultGuesser
    from MDAnalysis.guesser.tables import vdwradii

    symbols = [chemical_symbols[z].upper() for z in species]
    known = {symbol: vdwradii.get(symbol, 0.0) for symbol in set(symbols)}  # of some elements it knows none
    if not max(known.values()):
        return np.zeros((0, 2), dtype=int)
    with _quiet():
        u = MDAnalysis.Universe.empty(len(species))
        u.add_TopologyAttr("types", symbols)
        u.add_TopologyAttr("elements", symbols)
        guesser = DefaultGuesser(u, vdwradii=known, box=None if cell is None else _box(cell))
        pairs = guesser.guess_bonds(u.atoms, np.asarray(x, dtype=np.float32))
    return np.array(pairs, dtype=int).reshape(-1, 2)


def angles(pairs: np.ndarray) -> np.ndarray:
    """Triples [n_angles, 3] of atoms, the middle one bonded to both others."""
    beside: dict[int, list[int]] = {}
    for i, j in pairs.tolist():
        beside.setdefault(i, []).append(j)
        beside.setdefault(j, []).append(i)
    triples = [(i, j, k) for j, ends in sorted(beside.items()) for n, i in enumerate(sorted(ends)) for k in sorted(ends)[n + 1 :]]
    return np.array(triples, dtype=int).reshape(-1, 3)


def bond_curves(run: H5MDReader) -> list[Curves]:
    """Distributions of bond lengths and of angles by kinds of atoms, of a thousand frames evenly taken; none without bonds."""
    pairs, every = bonds(run), max(1, -(-len(run) // 1000))
    if not len(pairs):
        return []
    triples = angles(pairs)
    lengths, bends = _measured(run, pairs, triples, every)
    found = [_distribution(run, "bonds", "Bond lengths", Axis("length", run.units.length), pairs, lengths)]
    if len(triples):
        found.append(_distribution(run, "angles", "Bond angles", Axis("angle", "degrees"), triples, np.degrees(bends)))
    return found


def _measured(run: H5MDReader, pairs: np.ndarray, triples: np.ndarray, every: int) -> tuple[np.ndarray, np.ndarray]:
    """[frames * systems, n_bonds] lengths and [..., n_angles] angles in radians, by MDAnalysis."""
    from MDAnalysis.lib.distances import calc_angles, calc_bonds

    lengths, bends = [], []
    cells = run.cells
    for k in range(0, len(run), every):
        box = _box(cells[k].reshape(-1, 3, 3)[0]) if any(run.pbc) else None
        for x in run.frames("position", k).reshape(-1, run.n_particles, 3)[:_SYSTEMS]:
            lengths.append(calc_bonds(x[pairs[:, 0]], x[pairs[:, 1]], box=box))
            bends.append(calc_angles(x[triples[:, 0]], x[triples[:, 1]], x[triples[:, 2]], box=box))
    return np.array(lengths), np.array(bends)


def _box(cell: np.ndarray) -> Any:
    from MDAnalysis.lib.mdamath import triclinic_box

    return triclinic_box(*cell)


def _distribution(run: H5MDReader, key: str, title: str, axis: Axis, which: np.ndarray, values: np.ndarray) -> Curves:
    names = [_kind(run, row) for row in which]
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low - 0.02 * (high - low) - 1e-3, high + 0.02 * (high - low) + 1e-3, 201)
    curves, said = {}, []
    for name in sorted(set(names)):
        own = values[:, [k for k, other in enumerate(names) if other == name]]
        curves[name] = np.histogram(own, edges, density=True)[0]
        said.append(f"{name} {own.mean():.4g} ± {own.std():.2g} {axis.unit}")
    return Curves(key, title, axis, 0.5 * (edges[1:] + edges[:-1]), Axis("probability density", f"1/{axis.unit}"), curves,
                  f"Means and standard deviations: {', '.join(said)}.")  # fmt: skip


def _kind(run: H5MDReader, row: np.ndarray) -> str:
    """C-O-H, read from the end that comes first in the alphabet."""
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[run.species[k]] for k in row]
    return "-".join(min(symbols, symbols[::-1]))


def _quiet() -> Any:
    """MDAnalysis warns of things that are as they should be, such as no box."""
    return _Quiet()


class _Quiet(warnings.catch_warnings):
    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        return entered
