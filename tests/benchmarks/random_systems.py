"""Random particles in cells of every kind, and what is known of them by other means: ASE's
neighbour list, all images by brute force."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from integrators.state import State
from systems.sources.atoms import from_atoms
from trajectories.storage.writer import H5MDWriter

KINDS = (
    "cubic",
    "orthorhombic",
    "skewed",
    "very skewed",
    "fcc",
    "bcc",
    "hcp",
    "diamond",
    "dodecahedron",
    "octahedron",
)
_ELEMENTS = np.array([1, 6, 8])


@dataclass(frozen=True)
class Sample:
    """Two frames of the same particles: ``atoms`` as they are kept, and ``images`` [n, 3], the
    cells by which each was moved before."""

    kind: str
    atoms: tuple[Atoms, Atoms]
    images: tuple[np.ndarray, np.ndarray]

    def write(self, path: Path) -> Path:
        """As a run."""
        states = [State(from_atoms(one), float(k), k) for k, one in enumerate(self.atoms)]
        with H5MDWriter(path, states[0].system, overwrite=True) as writer:
            for state in states:
                writer.write(
                    replace(state, system=replace(state.system, masses=states[0].system.masses))
                )
        return path


def sample(seed: int, most: int = 120) -> Sample:
    """Up to ``most`` particles of one to three elements; the cell is turned, its vectors permuted,
    of either hand, periodic at random.

    In the second frame the cell is strained, all have moved a little, and each may have been put
    into another image.
    """
    stream = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    fractions, cell = (
        _crystal(kind, stream, most)
        if kind in ("fcc", "bcc", "hcp", "diamond")
        else _gas(kind, stream, most)
    )
    order = stream.permutation(3)
    fractions, cell = (
        fractions[:, order],
        cell[order] @ np.linalg.qr(stream.normal(size=(3, 3)))[0] * stream.choice([-1.0, 1.0]),
    )
    if kind == "cubic":  # of either hand, along the axes
        cell = np.linalg.norm(cell[0]) * np.eye(3)[order] * stream.choice([-1.0, 1.0], (3, 1))
    pbc = stream.random(3) < 0.75
    numbers = stream.choice(_ELEMENTS[: stream.integers(1, 4)], len(fractions))
    frames, images = [], []
    wrapped = stream.integers(0, 3)  # not at all, into the cell, anywhere
    for k in range(2):
        strained = cell @ (np.eye(3) + 0.01 * k * stream.normal(size=(3, 3)))
        moved = fractions + 0.02 * k * stream.normal(size=fractions.shape) @ np.linalg.inv(strained)
        out = {0: 0.0, 1: -np.floor(moved), 2: stream.integers(-3, 4, moved.shape)}[
            int(wrapped)
        ] * pbc + np.zeros(moved.shape)
        frames.append(Atoms(numbers=numbers, scaled_positions=moved + out, cell=strained, pbc=pbc))
        images.append(out)
    return Sample(kind, (frames[0], frames[1]), (images[0], images[1]))


def _crystal(kind: str, stream: np.random.Generator, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Fractional coordinates and primitive cell, repeated, rattled or not."""
    symbol, more = {"fcc": ("Cu", {}), "bcc": ("Fe", {}), "hcp": ("Mg", {}), "diamond": ("C", {})}[
        kind
    ]
    atoms = bulk(symbol, kind, **more) * tuple(int(k) for k in stream.integers(1, 5, 3))
    while len(atoms) > most:
        atoms = bulk(symbol, kind, **more) * tuple(int(k) for k in stream.integers(1, 4, 3))
    return (
        atoms.get_scaled_positions()
        + stream.choice([0.0, 0.02]) * stream.normal(size=(len(atoms), 3)),
        atoms.cell[:],
    )


def _gas(kind: str, stream: np.random.Generator, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Particles at random, about as dense as a liquid."""
    n = int(stream.integers(2, most + 1))
    lean = {"skewed": 0.5, "very skewed": 2.0}.get(kind, 0.0)
    shape = np.diag(stream.uniform(0.6, 1.6, 3)) if kind != "cubic" else np.eye(3)
    shape = shape + np.tril(stream.uniform(-lean, lean, (3, 3)), -1)
    if kind == "dodecahedron":
        shape = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.5**0.5]])
    if kind == "octahedron":
        shape = np.array(
            [[1.0, 0.0, 0.0], [1 / 3, 8**0.5 / 3, 0.0], [-1 / 3, 2**0.5 / 3, 6**0.5 / 3]]
        )
    cell = shape * (n / 0.05 / abs(np.linalg.det(shape))) ** (1 / 3)
    return stream.uniform(0.0, 1.0, (n, 3)), cell


def distances(atoms: Atoms, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, neighbour and distance of all pairs, from both sides, by ASE."""
    i, j, d = neighbor_list("ijd", atoms, reach)
    return i, j, d


def without_ties(atoms: Atoms, stream: np.random.Generator, n_bins: int, longest: float) -> float:
    """A reach of whose bins no edge is within 1e-6 of a distance."""
    d = distances(atoms, longest + 1e-5)[2]
    for _ in range(1000):
        reach = longest * stream.uniform(0.5, 1.0)
        edges = np.linspace(0.0, reach, n_bins + 1)
        near = np.searchsorted(edges, d).clip(1, n_bins)
        if not (np.minimum(abs(d - edges[near]), abs(d - edges[near - 1])) < 1e-6).any():
            return float(reach)
    raise RuntimeError("every reach has a distance on an edge")


def nearest_by_brute_force(offsets: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """The shortest image of each offset [n, 3]: all within reach of the longest offset are looked
    at.

    |fraction_k + n_k| * height_k is a distance to a plane through the origin, so no n_k beyond
    length / height_k + |fraction_k| can win.
    """
    inverse = np.linalg.inv(cell)
    inside = offsets - (np.round(offsets @ inverse) * pbc) @ cell
    if not len(inside):
        return inside
    longest = np.linalg.norm(inside, axis=-1).max()
    far = np.ceil(longest * np.linalg.norm(inverse, axis=0) + 0.5).astype(int) * pbc
    steps = (
        np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in far), indexing="ij"), -1).reshape(
            -1, 3
        )
        @ cell
    )
    found = np.empty_like(inside)
    for k in range(0, len(inside), block := max(1, 200_000 // len(steps))):
        some = inside[k : k + block]
        # |offset + step|^2 less the same for all steps
        squares = (steps**2).sum(-1) + 2.0 * some @ steps.T
        found[k : k + block] = some + steps[squares.argmin(-1)]
    return found
