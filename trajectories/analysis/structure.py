"""Where particles are to each other, with MDAnalysis' distances: radial distribution, bond lengths, angles.

MDAnalysis' own InterRDF knows one box a frame, where an ensemble's systems have their own, and reads a run once for each pair of elements.
"""

import warnings
from collections.abc import Callable, Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from systems.cell import heights
from systems.units import METAL
from trajectories.analysis.blocks import SYSTEMS, Group, settled, single_frames, some_systems
from trajectories.analysis.results import Axis, Curves
from trajectories.h5md import H5MDReader

_PAIRS = 3e7  # distances that are looked at in all frames together
_LOOKS = 10_000  # frames, of all systems together
_KINDS = 3  # of atoms whose pairs are told apart
_BONDED = 2000  # atoms of which bonds are guessed
_MEASURED = 2e7  # bond lengths and angles that are kept
_METERED = 10.0  # Angstrom up to which atoms are looked at
_BELOW = 1.0 - 1e-6  # of half a box, which MDAnalysis has in single precision
_FAR = 1e4  # Angstrom, the cell's length where it is not periodic: no image is met


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
    if not (all(run.pbc) and run.cells.any()):
        raise ValueError("a radial distribution takes a box that is periodic in all directions, which the run has not")
    return _half_way(run)


def _half_way(run: H5MDReader) -> float:
    """Half of the least distance between faces of the cell in its periodic directions; in metal units at most 10 Angstrom."""
    boxes = [heights(_closed(cell, run.pbc)) for cell in run.cells.reshape(-1, 3, 3)]
    half = 0.5 * float(np.min(np.array(boxes)[:, list(run.pbc)]))
    return min(_METERED, half) if run.units is METAL else half


def radial_distribution(
    run: H5MDReader, first: Group, second: Group, *, reach: float, n_bins: int = 200, frames: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """Distances in the middle of bins up to ``reach``, and g(r) between two groups of particles, over some frames; [n_bins] each.

    Normalised by the mean volume, as MDAnalysis' InterRDF; of an ensemble the mean over its first eight systems, each in its own cell.
    Without a periodic box there is no density to compare with: then it is how many of ``second`` there are at a distance from one of
    ``first``, per unit of length.
    """
    bins, found = _distributions(run, {"": (first, second)}, reach, n_bins, frames)
    return bins, found[""]


def _distributions(
    run: H5MDReader, pairs: Mapping[str, tuple[Group, Group]], reach: float, n_bins: int, frames: slice,
    told: Callable[[float], None] = lambda share: None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:  # fmt: skip
    """The same of several pairs of groups, with each frame read and its distances found once."""
    from MDAnalysis.lib.distances import self_capped_distance

    chosen = np.unique(np.concatenate([np.asarray(group) for both in pairs.values() for group in both]))
    inside = {name: (np.isin(chosen, a), np.isin(chosen, b)) for name, (a, b) in pairs.items()}
    edges, n_systems = np.linspace(0.0, reach, n_bins + 1), some_systems(run)
    counts = {name: np.zeros((n_systems, n_bins)) for name in pairs}
    n_frames, cells = len(range(*frames.indices(len(run)))), run.cells.reshape(len(run), -1, 3, 3)
    volumes = np.zeros(n_systems)
    for done, (k, x) in enumerate(single_frames(run, "position", frames)):
        for s in range(n_systems):
            cell = cells[k, s % cells.shape[1]]
            volumes[s] += abs(np.linalg.det(cell)) / n_frames
            near, distances = self_capped_distance(x[s, chosen].astype(np.float32), _BELOW * reach, box=_box(cell, run.pbc))
            i, j = near.T
            for name, (a, b) in inside.items():
                # each of a sees each of b, but not itself
                seen = (a[i] & b[j]).astype(float) + (a[j] & b[i])
                counts[name][s] += np.histogram(distances, edges, weights=seen)[0]
        told((done + 1) / n_frames)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    for name, (a, b) in inside.items():
        if all(run.pbc) and volumes.all():
            both = float(a.sum()) * float(b.sum()) - float((a & b).sum())
            counts[name] /= n_frames * max(both, 1.0) * shells / volumes[:, None]
        else:
            counts[name] /= n_frames * a.sum() * np.diff(edges)
    return 0.5 * (edges[1:] + edges[:-1]), {name: each.mean(0) for name, each in counts.items()}


def radial_distributions(
    run: H5MDReader, groups: dict[str, np.ndarray] | None = None, told: Callable[[float], None] = lambda share: None
) -> tuple[Curves | None, int]:
    """g(r) of each pair of groups, the most frequent elements else, over the second half of a run, and every which frame was looked at.

    None where there are no pairs.
    """
    periodic = all(run.pbc) and bool(run.cells.any())
    n, groups = run.n_particles, groups or dict(list(kinds(run).items())[:_KINDS])
    named = {
        a if len(groups) == 1 else f"{a}-{b}": (groups[a], groups[b])
        for a, b in combinations_with_replacement(groups, 2)
        if a != b or len(groups[a]) > 1
    }
    if not named:
        return None, 1
    reach = _half_way(run) if any(run.pbc) and run.cells.any() else _extent(run)
    near = n - 1.0
    if periodic:
        volume = float(np.mean(abs(np.linalg.det(run.cells.reshape(-1, 3, 3)))))
        near = min(near, n / volume * 4.2 * reach**3)
    n_frames, n_systems = len(run) - settled(run), some_systems(run)
    every = max(1, int(np.ceil(n_frames * n_systems * max(n * near / _PAIRS, 1 / _LOOKS))))
    bins, values = _distributions(run, named, reach, 200, slice(settled(run), None, every), told)
    title = "Radial distribution" if periodic else "Distances between atoms"
    axis = Axis("g(r)") if periodic else Axis("neighbours", f"1/{run.units.length}" if run.units.length else "")
    return Curves("rdf", title, Axis("distance", run.units.length), bins, axis, values, _peaks(bins, values, run.units.length)), every


def _extent(run: H5MDReader) -> float:
    """Twice the largest distance of a particle from the middle in a hundred frames, and a little more."""
    n_frames = len(run) - settled(run)
    frames = slice(settled(run), None, max(1, n_frames // 100))
    radii = (np.linalg.norm(x - x.mean(1, keepdims=True), axis=-1).max() for _, x in single_frames(run, "position", frames))
    return max(2.05 * float(max(radii)), 1e-6)


def _peaks(bins: np.ndarray, values: dict[str, np.ndarray], unit: str) -> str:
    """The last bin is none: there the distribution ends, and perhaps not its rise."""
    highest = {name: int(g.argmax()) for name, g in values.items() if g.any()}
    tops = [f"{name} at {bins[k]:.3g} {unit}".rstrip() for name, k in highest.items() if k < len(bins) - 1]
    return f"Highest peaks: {', '.join(tops)}." if tops else "There are no peaks."


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
    with warnings.catch_warnings(action="ignore"):  # of no box, as it should be
        u = MDAnalysis.Universe.empty(len(species))
        u.add_TopologyAttr("types", symbols)
        u.add_TopologyAttr("elements", symbols)
        guesser = DefaultGuesser(u, vdwradii=known, box=None if cell is None else _box(cell, (True, True, True)))
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
    """Distributions of bond lengths and of angles by kinds of atoms, over a thousand frames of a run's second half; none without bonds."""
    pairs = bonds(run)
    if not len(pairs):
        return []
    triples = angles(pairs)
    looks = max(1, min(1000, int(_MEASURED / ((len(pairs) + len(triples)) * some_systems(run)))))
    every = max(1, -(-(len(run) - settled(run)) // looks))
    lengths, bends = _measured(run, pairs, triples, slice(settled(run), None, every))
    found = [_distribution(run, "bonds", "Bond lengths", Axis("length", run.units.length), pairs, lengths)]
    if len(triples):
        found.append(_distribution(run, "angles", "Bond angles", Axis("angle", "degrees"), triples, np.degrees(bends)))
    return found


def _measured(run: H5MDReader, pairs: np.ndarray, triples: np.ndarray, frames: slice) -> tuple[np.ndarray, np.ndarray]:
    """[frames * systems, n_bonds] lengths and [..., n_angles] angles in radians, by MDAnalysis."""
    from MDAnalysis.lib.distances import calc_angles, calc_bonds

    lengths, bends = [], []
    cells = run.cells.reshape(len(run), -1, 3, 3)
    for k, systems in single_frames(run, "position", frames):
        for s, x in enumerate(systems[:SYSTEMS]):
            box = _box(cells[k, s % cells.shape[1]], run.pbc)
            lengths.append(calc_bonds(x[pairs[:, 0]], x[pairs[:, 1]], box=box))
            bends.append(calc_angles(x[triples[:, 0]], x[triples[:, 1]], x[triples[:, 2]], box=box))
    return np.array(lengths), np.array(bends)


def _box(cell: np.ndarray, pbc: tuple[bool, bool, bool]) -> Any:
    """MDAnalysis' box; None where nothing is periodic."""
    from MDAnalysis.lib.mdamath import triclinic_box

    return triclinic_box(*_closed(cell, pbc)) if any(pbc) and cell.any() else None


def _closed(cell: np.ndarray, pbc: tuple[bool, bool, bool]) -> np.ndarray:
    """The cell, in directions that are not periodic so long that no image is met."""
    if all(pbc):
        return cell
    from ase.geometry.cell import complete_cell

    whole = complete_cell(np.where(np.array(pbc)[:, None], cell, 0.0))
    return np.where(np.array(pbc)[:, None], whole, _FAR * whole)


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
