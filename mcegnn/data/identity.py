"""Identity of structures, whatever file they are in: 64-bit numbers that a model keeps of its
training data.

A structure is identified by lengths that do not change when it is moved, turned, wrapped into its
cell or its atoms are listed in another order, and hardly when its numbers are rounded; they are
compared to within `TOLERANCE`. Of atoms in free space these are the extents of the weighted atoms
along their principal axes and two norms of their distances from the centre, of periodic ones the
lengths and diagonals of the cell and structure factors. Each length is put into a box of a grid,
and the boxes, together with the elements, are hashed. Of a structure that is sought all boxes
within the tolerance are tried, so that rounding across the edge of a box hides nothing. Labels do
not count. Mirror images are the same, as their energies are; other choices of the lattice vectors
and repeated cells are not recognised.
"""

import numpy as np

from mcegnn.data.dataset import Dataset
from systems.cell import complete

#: Angstrom: rounding to four decimals, of cells that atoms are two of away too, moves these lengths
#: by half of it
TOLERANCE = 4e-4
_BOX = (
    0.004  # Angstrom: of each length one in five is near an edge, so that some ten boxes are tried
)
_WAVES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [2, 1, 0], [0, 1, -2], [3, 2, 1]])
_N_LENGTHS = 6 + len(_WAVES)


def keys(structures: Dataset) -> np.ndarray:
    """Number that identifies each structure, uint64 [n]."""
    return _hashed(_elements(structures), _boxes(_lengths(structures)))


def known(structures: Dataset, kept: np.ndarray) -> np.ndarray:
    """Which structures, bool [n], are among those whose `keys` were kept."""
    of, tried = _candidates(structures)
    found = np.zeros(len(structures), dtype=bool)
    found[of[np.isin(tried, kept)]] = True
    return found


def same(structures: Dataset) -> np.ndarray:
    """The number of the first structure that each is the same as, int64 [n]; its own where it is
    the first or the only one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, lengths = len(structures), _lengths(structures)
    if not n:
        return np.zeros(0, dtype=np.int64)
    own, first = np.unique(keys(structures), return_index=True)
    whose, tried = _candidates(structures)
    at = np.searchsorted(own, tried).clip(max=len(own) - 1)
    one, other = (part[own[at] == tried] for part in (whose, first[at]))
    near = (abs(lengths[one] - lengths[other]) <= 2 * TOLERANCE).all(1)
    links = coo_array((np.ones(int(near.sum())), (one[near], other[near])), shape=(n, n))
    _, part = connected_components(links, directed=False)
    _, firsts, inverse = np.unique(part, return_index=True, return_inverse=True)
    return np.asarray(firsts[inverse], dtype=np.int64)


def label_keys(structures: Dataset) -> np.ndarray:
    """A number for the labels of each structure, to seven digits, uint64 [n]; unknown ones count as
    zero."""
    n = len(structures)
    owner = np.repeat(np.arange(n), structures.sizes)
    place = np.arange(len(owner)) - np.repeat(structures.starts[:-1], structures.sizes)
    forces = _mixed(_hashed(place.astype(np.uint64), _digits(structures["forces"])))
    summed = np.zeros(n, dtype=np.uint64)
    np.add.at(summed, owner, forces)
    others = np.concatenate(
        [structures["energy"][:, None], structures["stress"].reshape(n, 9)], axis=1
    )
    return _hashed(summed, _digits(others))


def _digits(values: np.ndarray) -> np.ndarray:
    """Whole numbers of values to seven digits after the point, int64 of their shape."""
    return np.rint(np.nan_to_num(values) * 1e7).astype(np.int64)


def _candidates(structures: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that the same structures may be kept by: whose each is, and the number, both
    [n_candidates]."""
    lengths = _lengths(structures)
    low, high = _boxes(lengths - TOLERANCE), _boxes(lengths + TOLERANCE)
    whose, boxes = np.arange(len(structures)), low
    for column in range(_N_LENGTHS):
        near = np.flatnonzero(low[whose, column] != high[whose, column])
        others = boxes[near]
        others[:, column] = high[whose[near], column]
        whose, boxes = np.concatenate([whose, whose[near]]), np.concatenate([boxes, others])
    return whose, _hashed(_elements(structures)[whose], boxes)


def _boxes(lengths: np.ndarray) -> np.ndarray:
    """The box of each length, int64 of their shape; round lengths, which are many, are not near the
    edges."""
    offsets = (np.arange(1, _N_LENGTHS + 1) * 0.6180339887498949) % 0.6 * _BOX + 0.2 * _BOX
    return np.floor((lengths + offsets) / _BOX).astype(np.int64)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Numbers of which each bit depends on all bits of these, uint64 (the finalizer of
    SplitMix64)."""
    with np.errstate(over="ignore"):
        x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def _hashed(start: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A number of the start [n] and the columns [n, m], uint64 [n]."""
    found = _mixed(start)
    for column in columns.T:
        found = _mixed(found ^ column.astype(np.uint64))
    return found


def _elements(structures: Dataset) -> np.ndarray:
    """A number for each structure's elements, their numbers of atoms and its periodic directions,
    uint64 [n]."""
    found = np.zeros(len(structures), dtype=np.uint64)
    owner = np.repeat(np.arange(len(structures)), structures.sizes)
    np.add.at(found, owner, _mixed(structures.species))  # in any order
    return _mixed(found ^ (structures.periodic @ np.array([1, 2, 4])).astype(np.uint64))


def _lengths(structures: Dataset) -> np.ndarray:
    """Lengths that tell structures apart, Angstrom [n, 13], moved by no more than some of what all
    atoms are moved by at random."""
    found = np.zeros((len(structures), _N_LENGTHS))
    periodic = np.asarray(structures.periodic.any(1))
    for which, of in ((~periodic, _free), (periodic, _periodic)):
        if which.any():
            lengths = of(structures.take(which))
            found[which, : lengths.shape[1]] = lengths
    return found


def _free(molecules: Dataset) -> np.ndarray:
    """Extents along principal axes, by two weights, and norms of distances, [n, 8]."""
    starts, owner = molecules.starts[:-1], np.repeat(np.arange(len(molecules)), molecules.sizes)
    centre = np.add.reduceat(molecules.positions, starts) / molecules.sizes[:, None]
    x = molecules.positions - centre[owner]
    first, second = _weights(molecules.species)
    extents = []
    for weight in (first, second):
        tensor = np.add.reduceat(weight[:, None, None] * x[:, :, None] * x[:, None, :], starts)
        extents.append(np.linalg.eigvalsh(tensor).clip(min=0.0) ** 0.5)
    square = (x**2).sum(1)
    norms = [np.add.reduceat(first * square**power, starts) ** (0.5 / power) for power in (2, 4)]
    return np.concatenate([*extents, np.stack(norms, axis=1)], axis=1)


def _periodic(crystals: Dataset) -> np.ndarray:
    """Lengths and diagonals of the cell, and structure factors in units of length, [n, 13]."""
    starts, owner = crystals.starts[:-1], np.repeat(np.arange(len(crystals)), crystals.sizes)
    # a vector that is not periodic says only where a file ends its vacuum
    cells = complete(np.where(crystals.periodic[:, :, None], crystals.cells, 0.0))
    inverse = np.linalg.inv(cells)
    fractional = np.einsum("ai,aij->aj", crystals.positions, inverse[owner])
    edges = np.concatenate([cells, cells + np.roll(cells, -1, axis=1)], axis=1)
    weight, _ = _weights(crystals.species)
    factors = []
    for wave in _WAVES:
        phase = 2.0 * np.pi * (fractional @ wave)
        summed = np.hypot(
            *(np.add.reduceat(weight * part, starts) for part in (np.cos(phase), np.sin(phase)))
        )
        spacing = 1.0 / np.linalg.norm(inverse @ wave, axis=-1)
        factors.append(summed * spacing / (2.0 * np.pi) / crystals.sizes**0.5)
    return np.concatenate([np.linalg.norm(edges, axis=-1), np.stack(factors, axis=1)], axis=1)


def _weights(species: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two weights of atoms, 0.5 to 1.5, which no two elements share."""
    return 0.5 + (species * 0.6180339887498949) % 1.0, 0.5 + (species * 0.7548776662466927) % 1.0
