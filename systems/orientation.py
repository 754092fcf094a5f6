"""Standard orientation of cells: lower triangular with a positive diagonal, what lengths and angles
alone stand for.

MDAnalysis' boxes, DCD and PDB hold a cell's lengths and angles, and take its first vector to lie
along x and its second in the xy plane. Whatever is handed to them has to be turned together with
its cell, and turned back where it comes from them.
"""

from dataclasses import dataclass

import numpy as np

from systems.arrays import Array
from systems.cell import PBC, PERIODIC, complete

_NEARLY = (
    1.0 - 1e-3
    # of a vector's length, that its sums with others may be shorter: in many lattices they are just
    # as long
)


@dataclass(frozen=True, eq=False)
class Orientation:
    """A cell in standard orientation, [..., 3, 3], and the proper rotation [..., 3, 3] from the
    frame that it was given in.

    Vectors v (rows: positions, velocities, forces, momenta) become v @ rotation, tensors t
    (stresses, virials) rotation^T t rotation. Distances, angles, dihedrals and chirality stay: a
    rotation is no reflection.
    """

    cell: Array
    rotation: Array

    def turn(self, vectors: Array) -> Array:
        """Vectors [..., n, 3] of the cell's own frame in the standard one."""
        return vectors @ self.rotation


def standard_orientation(cell: Array) -> Orientation:
    """Orientation of cells [..., 3, 3] whose rows are lattice vectors; lattice vectors that are
    zero stay zero.

    cell = L Q^T with L lower triangular and Q orthogonal is the QR decomposition of the transposed
    cell. Of a left-handed cell Q is a reflection; then -Q is a rotation, and it takes the vectors
    -a, -b, -c to L. They span the lattice of a, b, c and have its lengths and angles. So L
    describes a lattice of either hand, and only fractional coordinates change their sign.
    """
    given = np.asarray(cell, dtype=float)
    orthogonal, upper = np.linalg.qr(np.swapaxes(complete(given), -1, -2))
    signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0.0, -1.0, 1.0)
    orthogonal = orthogonal * signs[..., None, :]
    lower = np.tril(np.swapaxes(upper * signs[..., :, None], -1, -2))
    hand = np.where(np.linalg.det(orthogonal) < 0.0, -1.0, 1.0)[..., None, None]
    # without adding zero, there would be negative zeros
    return Orientation(
        np.where(given.any(-1, keepdims=True), lower, 0.0) + 0.0, hand * orthogonal + 0.0
    )


def without_images(cell: Array, pbc: PBC, length: float) -> Array:
    """A cell [3, 3] for a library to which every direction is periodic.

    The vectors that are not periodic stand at right angles to the others and are ``length`` long:
    where that is more than twice the extent of the particles, nobody has an image there that is
    nearer than what is seen without.
    """
    if pbc == PERIODIC:
        return cell
    periodic = np.reshape(pbc, (3, 1))
    whole = complete(np.where(periodic, cell, 0.0))
    return np.where(periodic, whole, length * whole)


def compact_basis(cell: Array) -> Array:
    """Whole numbers B [3, 3]: the rows of B @ cell are a basis of the cell's lattice in which no
    shortest image is far to seek.

    Libraries that look for shortest images one cell around miss some in cells that lean a lot. The
    identity, where the cell is nearly Minkowski-reduced, as most are; else the reduction by ASE,
    which keeps the hand.
    """
    given = np.asarray(cell, dtype=float)
    signs = np.array(
        [
            (x, y, z)
            for x in (0, 1)
            for y in (-1, 0, 1)
            for z in (-1, 0, 1)
            if abs(x) + abs(y) + abs(z) > 1
        ]
    )
    lengths = np.where(signs != 0, np.linalg.norm(given, axis=-1), 0.0).max(-1)
    if (np.linalg.norm(signs @ given, axis=-1) >= _NEARLY * lengths).all():
        return np.eye(3, dtype=int)
    from ase.geometry import minkowski_reduce

    return np.asarray(minkowski_reduce(given)[1])
