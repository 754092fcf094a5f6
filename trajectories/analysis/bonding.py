"""Bond lengths and angles in any cell: bonds are those of the first frame."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from systems.cell import FREE, PBC, PERIODIC, complete, minimum_image
from systems.neighbors.cells import cell_list
from systems.neighbors.pairs import halved
from trajectories.analysis.blocks import check_cells, settled, single_frames, some_systems
from trajectories.analysis.results import Axis, Curves
from trajectories.storage.h5md import H5MDReader

_BONDED = 2000  # atoms of which bonds are guessed
_OVERLAP = (
    0.55  # of the sum of van der Waals radii below which atoms are bonded, as in VMD and MDAnalysis
)
_SHORTEST = 0.1  # Angstrom, below which two are at one place
_MEASURED = 2e7  # bond lengths and angles that are kept


@dataclass(frozen=True, eq=False)
class Bonds:
    """Bonds i-j: atoms [n_bonds, 2], and the lattice vectors [n_bonds, 3] to add: r_ij = x[j] -
    x[i] + shifts @ cell.

    In a small cell two atoms are bonded several times, to different images, and an atom to its own.
    """

    pairs: np.ndarray
    shifts: np.ndarray

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def ends(self) -> np.ndarray:
        """Each bond from both sides, [2 n_bonds, 2]: the one it is seen from, and the other."""
        return np.concatenate([self.pairs, self.pairs[:, ::-1]])


def bonds(run: H5MDReader) -> Bonds:
    """Bonds of the first frame of the first system, as `bonded` has them."""
    cell = run.cells[0].reshape(-1, 3, 3)[0]
    x = run.frames("position", 0).reshape(-1, run.n_particles, 3)[0]
    return bonded(run.species, x, cell if any(run.pbc) and cell.any() else None, run.pbc)


def bonded(
    species: np.ndarray, x: np.ndarray, cell: np.ndarray | None = None, pbc: PBC = PERIODIC
) -> Bonds:
    """Atoms nearer than 0.55 times the sum of their van der Waals radii, in MDAnalysis' table; none
    above 2,000 atoms.

    ``species`` are atomic numbers [n_particles], ``x`` positions [n_particles, 3] in Angstrom,
    ``cell`` [3, 3] is None in free space.
    """
    none = Bonds(np.zeros((0, 2), dtype=int), np.zeros((0, 3), dtype=int))
    if not species.any() or len(species) > _BONDED:
        return none
    from ase.data import chemical_symbols
    from MDAnalysis.guesser.tables import vdwradii

    radii = np.array(
        [vdwradii.get(chemical_symbols[z].upper(), 0.0) for z in species]
    )  # of some elements it knows none
    if not radii.max():
        return none
    directions = FREE if cell is None else pbc
    near = halved(cell_list(x, cell, directions, 2.0 * _OVERLAP * float(radii.max())))
    lengths = np.linalg.norm(near.offsets(x, cell), axis=-1)
    keep = (lengths > _SHORTEST) & (lengths < _OVERLAP * (radii[near.i] + radii[near.j]))
    return Bonds(np.stack([near.i, near.j], -1)[keep].astype(int), near.shift[keep].astype(int))


def angles(between: Bonds) -> np.ndarray:
    """Triples [n_angles, 3] of atoms, the middle one bonded to both others."""
    first, second = _corners(between).T
    ends = between.ends
    return np.stack([ends[first, 1], ends[first, 0], ends[second, 1]], -1)


def _corners(between: Bonds) -> np.ndarray:
    """Pairs [n_angles, 2] of `Bonds.ends` that are seen from the same atom."""
    beside: dict[int, list[int]] = {}
    others = between.ends[:, 1]
    for number, (center, _) in enumerate(between.ends.tolist()):
        beside.setdefault(center, []).append(number)
    found = []
    for _, those in sorted(beside.items()):
        those.sort(key=lambda number: (others[number], number))
        found += [(a, b) for n, a in enumerate(those) for b in those[n + 1 :]]
    return np.array(found, dtype=int).reshape(-1, 2)


def bond_curves(run: H5MDReader) -> list[Curves]:
    """Distributions of bond lengths and of angles by kinds of atoms, over a thousand frames of a
    run's second half; none without bonds."""
    check_cells(run)
    between = bonds(run)
    if not len(between):
        return []
    triples = angles(between)
    looks = max(1, min(1000, int(_MEASURED / ((len(between) + len(triples)) * some_systems(run)))))
    every = max(1, -(-(len(run) - settled(run)) // looks))
    lengths, bends = measured(run, between, slice(settled(run), None, every))
    axis = Axis("length", run.units.length)
    found = [_distribution(run, "bonds", "Bond lengths", axis, between.pairs, lengths)]
    if len(triples):
        axis = Axis("angle", "degrees")
        found.append(_distribution(run, "angles", "Bond angles", axis, triples, np.degrees(bends)))
    return found


def measured(
    run: H5MDReader, between: Bonds, frames: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """[frames * systems, n_bonds] lengths and [frames * systems, n_angles] angles in radians, of
    some frames and at most eight systems."""
    first, second = _corners(between).T
    vectors_of = _BondVectors(run, between)
    lengths, bends = [], []
    for k, systems in single_frames(run, "position", frames):
        for s in range(some_systems(run)):
            v = vectors_of(k, s, systems[s])
            ends = np.concatenate([v, -v])
            a, b = ends[first], ends[second]
            lengths.append(np.linalg.norm(v, axis=-1))
            # unlike the arc cosine, exact near 0 and 180 degrees
            bends.append(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)))
    return np.array(lengths), np.array(bends)


class _BondVectors:
    """Vectors of bonds in the frames of a run: the shortest images, whether or not atoms were
    followed across faces of the cell.

    Of atoms that are bonded several times, to different images, each bond is the image nearest to
    what it was in the first frame.
    """

    def __init__(self, run: H5MDReader, between: Bonds) -> None:
        self._i, self._j = between.pairs.T
        self._cells, self._pbc = run.cells.reshape(len(run), -1, 3, 3), run.pbc
        self._periodic = any(run.pbc) and bool(run.cells.any())
        seen = Counter(map(tuple, np.sort(between.pairs, -1).tolist()))
        self._several = np.array(
            [i == j or seen[min(i, j), max(i, j)] > 1 for i, j in between.pairs.tolist()]
        )
        if self._periodic:
            x = run.frames("position", 0).reshape(-1, run.n_particles, 3)[0]
            cell = complete(self._cells[0, 0])
            self._fractions = (x[self._j] - x[self._i]) @ np.linalg.inv(cell) + between.shifts

    def __call__(self, k: int, s: int, x: np.ndarray) -> np.ndarray:
        """[n_bonds, 3] in frame k of system s, whose positions are x [n_particles, 3]."""
        apart = np.asarray(x[self._j] - x[self._i])
        if not self._periodic:
            return apart
        cell = self._cells[k, s % self._cells.shape[1]]
        near = np.where(self._several[:, None], self._fractions @ complete(cell), 0.0)
        return near + minimum_image(apart - near, cell, self._pbc)


def _distribution(
    run: H5MDReader, key: str, title: str, axis: Axis, which: np.ndarray, values: np.ndarray
) -> Curves:
    names = [_kind(run, row) for row in which]
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low - 0.02 * (high - low) - 1e-3, high + 0.02 * (high - low) + 1e-3, 201)
    curves, said = {}, []
    for name in sorted(set(names)):
        own = values[:, [k for k, other in enumerate(names) if other == name]]
        curves[name] = np.histogram(own, edges, density=True)[0]
        said.append(f"{name} {own.mean():.4g} ± {own.std():.2g} {axis.unit}")
    return Curves(
        key,
        title,
        axis,
        0.5 * (edges[1:] + edges[:-1]),
        Axis("probability density", f"1/{axis.unit}"),
        curves,
        f"Means and standard deviations: {', '.join(said)}.",
    )


def _kind(run: H5MDReader, row: Sequence[int]) -> str:
    """C-O-H, read from the end that comes first in the alphabet."""
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[run.species[k]] for k in row]
    return "-".join(min(symbols, symbols[::-1]))
