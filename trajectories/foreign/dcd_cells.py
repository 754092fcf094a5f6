"""Cells of DCD files: six numbers a frame, which each program means in its own way, and how
positions lie in the cell.

NAMD, LAMMPS and others write lengths and angles, the latter as cosines or degrees; LAMMPS' cells
are in standard orientation, NAMD's lie as its user chose. CHARMM writes the lower triangle of a
symmetric matrix, in which positions lie; so they do where other programs copied its frames and
wrote lengths and angles. MDAnalysis turns all into lengths and angles, frame by frame, but no
positions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from systems.cell import PERIODIC, minimum_image
from systems.neighbors.pair_counts import pair_counts

Matrix = Callable[[int], np.ndarray]
Way = Callable[[np.ndarray], np.ndarray]  # from the six numbers of a frame to its cell
_LOOKS, _PAIRS = 64, 12  # frames whose cells are looked at, and pairs of frames whose atoms are
_FEW, _CLEAR = (
    5,
    4.0,
)  # jumps or contacts that tell nothing, and how many times better the right cell is to be
_NEAR = (
    0.9  # of the distance to which one atom in 20 has a neighbour: nearer than that there are few
)
_ATOMS = 20_000  # that are looked at
_SAME = 1e-3  # Angstrom, between matrices of single precision
_FLAT = 1e-6  # Angstrom^3, of a cell without volume


def lengths_and_angles(record: np.ndarray) -> np.ndarray:
    """The cell in standard orientation; all zero where the six numbers are no cell's."""
    from MDAnalysis.lib.mdamath import triclinic_vectors

    a, gamma, b, beta, alpha, c = (float(number) for number in record)
    angles = np.array([alpha, beta, gamma])
    degrees = np.degrees(np.arccos(angles)) if (abs(angles) <= 1.0).all() else angles
    if min(a, b, c) <= 0.0 or (degrees <= 0.0).any() or (degrees >= 180.0).any():
        return np.zeros((3, 3))
    return np.asarray(triclinic_vectors([a, b, c, *degrees], dtype=np.float64))


def turned_symmetric(record: np.ndarray) -> np.ndarray:
    """The symmetric matrix with the same lengths and angles; all zero where the six numbers are no
    cell's."""
    standard = lengths_and_angles(record)
    squares, axes = np.linalg.eigh(standard @ standard.T)
    return np.asarray((axes * np.sqrt(np.maximum(squares, 0.0))) @ axes.T)


def second_along_y(record: np.ndarray) -> np.ndarray:
    """The standard one turned about z, so that its second vector lies along y; as many hexagonal
    cells of NAMD do."""
    standard = lengths_and_angles(record)
    x, y, length = standard[1, 0], standard[1, 1], max(float(np.hypot(*standard[1, :2])), _FLAT)
    return np.asarray(standard @ np.array([[y, x, 0.0], [-x, y, 0.0], [0.0, 0.0, length]]) / length)


def symmetric_matrix(record: np.ndarray) -> np.ndarray:
    """The symmetric matrix whose lower triangle the six numbers are; all zero where they are no
    cell's."""
    xx, xy, yy, xz, yz, zz = (float(number) for number in record)
    matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return matrix if np.linalg.eigvalsh(matrix).min() > 0.0 else np.zeros((3, 3))


_WORDS: dict[Way, str] = {
    lengths_and_angles: (
        "the first lattice vector was taken to lie along x, and the second in the xy plane"
    ),
    turned_symmetric: (
        "the cell was taken to be the symmetric matrix of the file's lengths and angles, as CHARMM"
        " lays it"
    ),
    second_along_y: (
        "the second lattice vector was taken to lie along y, and the first in the xy plane"
    ),
    symmetric_matrix: "the cell was taken to be a symmetric matrix, as CHARMM lays it",
}


class _Frame(NamedTuple):
    record: np.ndarray
    x: np.ndarray


def dcd_cells(trajectory: Any) -> tuple[Matrix | None, str]:
    """The cell [3, 3] of each frame, Angstrom, and in words how it was found to lie; "" where there
    was nothing to find.

    None where it is in standard orientation, with the lengths and angles that MDAnalysis finds.
    """
    from MDAnalysis.lib.formats.libdcd import DCDFile

    file = DCDFile(str(trajectory.filename))
    n = len(file)

    def frame(k: int) -> _Frame:
        if k != file.tell():
            file.seek(k)
        found = file.read()
        return _Frame(np.array(found.unitcell, dtype=float), np.array(found.xyz, dtype=float))

    records = [frame(k).record for k in np.unique(np.linspace(0, n - 1, _LOOKS).astype(int))]
    ways = (
        [lengths_and_angles]
        if "LAMMPS" in str(file.header.get("remarks", ""))
        else _possible(records)
    )
    way, why = ways[0], "the six numbers of each frame can be nothing else"
    if len(ways) > 1:
        starts = np.unique(np.linspace(0, max(0, n - 2), _PAIRS).astype(int))
        way, why = _best(
            ways, [[frame(k) for k in range(first, min(first + 2, n))] for first in starts]
        )
    elif way is lengths_and_angles:  # right angles, or LAMMPS wrote it, which has no other cells
        return None, ""
    words = f"{_WORDS[way]}: {why}"
    # of files that MDAnalysis takes for what they are no frame is read twice
    return (None if way is lengths_and_angles else lambda k: way(frame(k).record)), words


def _possible(records: Sequence[np.ndarray]) -> list[Way]:
    """What the numbers of all frames can mean, once where it comes to the same cells; lengths and
    angles where they can be nothing."""
    found: dict[Way, np.ndarray] = {}
    for way in _WORDS:
        cells = np.array([way(record) for record in records])
        same = any(np.allclose(cells, other, rtol=0, atol=_SAME) for other in found.values())
        if (abs(np.linalg.det(cells)) > _FLAT).all() and not same:
            found[way] = cells
    return list(found) or [lengths_and_angles]


def _best(ways: Sequence[Way], pairs: Sequence[Sequence[_Frame]]) -> tuple[Way, str]:
    """In which cell atoms that jump have taken short steps, else in which images do not overlap;
    lengths and angles, where all do."""
    left = _left_of_jumps(ways, pairs)
    if len(left) and left.min() * _CLEAR < np.sort(left)[1]:
        return ways[int(left.argmin())], "in it, atoms that jump across it have taken short steps"
    contacts = np.array([_contacts(way, pairs) for way in ways])
    volumes = np.array([abs(np.linalg.det(way(pairs[0][0].record))) for way in ways])
    apart = np.flatnonzero(contacts <= _CLEAR * contacts.min() + _FEW)
    apart = apart[
        volumes[apart] < 1.001 * volumes[apart].min()
    ]  # in a cell that is too large atoms keep apart as well
    if len(apart) == 1:
        return ways[apart[0]], "in it, no atoms overlap across its faces"
    return (
        ways[0],
        (
            "neither the file nor its atoms tell, and distances across faces are wrong if it lies"
            " otherwise"
        ),
    )


def _left_of_jumps(ways: Sequence[Way], pairs: Sequence[Sequence[_Frame]]) -> np.ndarray:
    """Median squares [n_ways] of what is left of jumps once lattice vectors are taken off, in terms
    of the cell; empty for few jumps.

    A jump is a step that one of the cells makes less than half as long.
    """
    found = []
    for first, second in (pair for pair in pairs if len(pair) == 2):
        steps = (second.x - first.x)[:: 1 + len(first.x) // _ATOMS]
        cells = [way(second.record) for way in ways]
        left = np.array([(minimum_image(steps, cell) ** 2).sum(1) for cell in cells])
        jumped = left.min(0) < 0.25 * (steps**2).sum(1)
        found.append(left[:, jumped] / abs(np.linalg.det(cells))[:, None] ** (2 / 3))
    squares = np.concatenate(found, axis=1) if found else np.zeros((len(ways), 0))
    return np.median(squares, axis=1) if squares.shape[1] > _FEW else np.zeros(0)


def _contacts(way: Way, pairs: Sequence[Sequence[_Frame]]) -> int:
    """Neighbours across faces of the cell that are nearer than neighbours are elsewhere."""
    from scipy.spatial import KDTree

    total = 0
    for x, record in ((first.x, first.record) for first, *_ in pairs if len(first.x) > 1):
        tree = KDTree(x)
        near = _NEAR * float(np.quantile(tree.query(x, 2)[0][:, 1], 0.05))
        if near > 0.0:
            within = pair_counts(
                x, way(record), PERIODIC, np.array([0.0, near]), np.zeros(len(x), dtype=int)
            )
            total += int(within.sum()) - (int(tree.count_neighbors(tree, near)) - len(x))
    return total
