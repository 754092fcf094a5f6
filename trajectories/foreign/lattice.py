"""Lattices of periodic cells: their shortest bases, and the images of a step that may be the
shortest one."""

from itertools import product

import numpy as np

from systems.cell import complete

_STRAIN = 0.05  # after which the shortest basis is looked for again


class Lattice:
    """A cell with its shortest basis, and the lattice vectors about the origin, to which a nearest
    image may be off by rounding.

    In a cell that leans far over rounding would be wrong by more than one. Raises LinAlgError if
    there is no volume.
    """

    shortest: np.ndarray
    reduced_as: np.ndarray  # the inverse of the lattice whose shortest basis was looked for

    def __init__(self, cell: np.ndarray, pbc: np.ndarray, before: "Lattice | None") -> None:
        self.cell, self.pbc = np.array(cell), pbc
        vectors = complete(np.where(pbc[:, None], cell, 0.0))
        if not np.any(cell, axis=1)[pbc].all() or abs(np.linalg.det(vectors)) < 1e-9:
            raise np.linalg.LinAlgError
        self.vectors, self.inverse = vectors, np.linalg.inv(vectors)
        if before is not None and abs(before.reduced_as @ vectors - np.eye(3)).max() < _STRAIN:
            self.shortest, self.reduced_as = before.shortest, before.reduced_as
        else:
            from ase.geometry import minkowski_reduce

            self.shortest = np.asarray(minkowski_reduce(vectors, pbc)[1], dtype=float)
            self.reduced_as = self.inverse
        self.reduced_inverse = np.linalg.inv(self.shortest @ vectors)
        around = np.array(
            list(product(*([0, 1, -1] if periodic else [0] for periodic in pbc))), dtype=float
        )
        self._around = around[1:]
        self.offsets = self._around @ (self.shortest @ vectors)
        self._squares = (self.offsets**2).sum(1)
        self.least_height = float((1.0 / np.linalg.norm(self.reduced_inverse, axis=0))[pbc].min())

    def to_nearest(self, step: np.ndarray, turns: np.ndarray) -> None:
        """Change turns [n, 3], of the shortest basis, so that steps less these are the shortest of
        all images."""
        left = step - turns @ (self.shortest @ self.vectors)
        squares = np.einsum("ni,ni->n", left, left)
        far = np.flatnonzero(
            squares > 0.25 * self._squares.min()
        )  # no shorter image is possible for others
        if len(far):
            gained = 2.0 * left[far] @ self.offsets.T - self._squares
            best = gained.argmax(1)
            better = gained[np.arange(len(far)), best] > 1e-9
            turns[far[better]] += self._around[best[better]]


def flipped(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The basis of the lattice before that is nearest to the one after; LAMMPS flips cells that it
    shears."""
    flip = np.rint(np.linalg.solve(before.T, after.T).T)
    return flip if abs(abs(np.linalg.det(flip)) - 1.0) < 1e-6 else np.eye(3)
