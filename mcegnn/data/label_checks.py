"""Numbers of structures and of their labels, checked: finite, of the right shape, no two atoms at
one point."""

from typing import Any

import numpy as np

_SAME_POINT = 1e-3  # Angstrom
_MOST_COMPARED = 500  # atoms, of which all pairs are compared


def numbers(given: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Return finite numbers of a shape.

    Raises ValueError, whose message begins with ``what``, if they are not finite numbers of that
    shape.
    """
    try:
        found = np.array(given, dtype=float).reshape(shape)
    except (TypeError, ValueError):
        raise ValueError(
            f"{what} should be {' x '.join(map(str, shape)) or 'one'} numbers, not"
            f" {str(given)[:40]!r}"
        ) from None
    if not np.isfinite(found).all():
        raise ValueError(f"{what} must be finite; take the structure out")
    return found


def matrix(given: Any, what: str) -> np.ndarray:
    """[3, 3] from itself, nine numbers, or xx yy zz yz xz xy."""
    six = np.size(given) == 6
    found = numbers(given, (6,) if six else (3, 3), what)
    return found[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]] if six else found


def check_apart(x: np.ndarray, cell: np.ndarray, pbc: np.ndarray, where: str) -> None:
    """Raise ValueError if two atoms are at one point, or one and an image of the other: between
    them a force has no direction."""
    from ase.neighborlist import primitive_neighbor_list

    from systems.cell import complete

    if len(x) < 2:
        return
    if len(x) <= _MOST_COMPARED:
        offsets = x[:, None] - x
        if pbc.any():
            whole = complete(cell)
            offsets = offsets - np.where(pbc, np.rint(offsets @ np.linalg.inv(whole)), 0.0) @ whole
        near = np.argwhere(np.triu((offsets**2).sum(-1) < _SAME_POINT**2, 1))
    else:
        i, j = primitive_neighbor_list("ij", pbc, complete(cell), x, _SAME_POINT)
        near = np.stack([i, j], axis=1)
    if len(near):
        i, j = near[0].tolist()
        raise ValueError(f"{where} has its atoms {i} and {j} at one point; take one of them out")
