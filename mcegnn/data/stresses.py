"""Check of the unit and sign of stresses against energies, by finite differences between structures
of different cells."""

import numpy as np

from mcegnn.data.consistency import (
    FEWEST_PAIRS,
    LEAST_DIFFERENCE,
    alike,
    rank_correlation,
    slope,
)
from mcegnn.data.dataset import Dataset

_N_CENTRES, _N_OTHERS = 200, 300
_LEAST_STRAIN, _MOST_STRAIN, _MOST_MOVED = 1e-4, 0.15, 0.5  # Angstrom
# of right data: 0.8 or more, and 0.7 to 1; units are ten times apart or more
_CORRELATED, _WRONG_FACTOR = 0.7, 2.5
_LARGE = 0.6  # eV/Angstrom^3, about 100 GPa
_KBAR = 1602.1766208
#: what residual energies are of what stresses say, where stresses are in other units
_MISTAKES = {
    "in kbar": ("kbar", 1.0 / _KBAR),
    "in GPa": ("GPa", 10.0 / _KBAR),
    "in Hartree/Bohr^3": (None, 183.6315),
}


def stress_warnings(structures: Dataset) -> list[str]:
    """Warnings about stresses whose unit or sign does not fit the energies or, if no two structures
    can be compared, about stresses of unusual size.

    Of two near structures a and b whose cells differ by a strain e, the energies differ by (V_a s_a
    + V_b s_b) : e / 2 and by the work of the forces along what atoms move beside the strain,
    exactly so to second order.
    """
    solid = structures.periodic.all(1) & np.isfinite(structures["stress"]).all((1, 2))
    known = (
        np.logical_and.reduceat(np.isfinite(structures["forces"]).all(1), structures.starts[:-1])
        if len(structures)
        else solid
    )
    rms = float((structures["stress"][solid] ** 2).mean() ** 0.5) if solid.any() else 0.0
    risen, said = _differences(structures.take(solid & known))
    n = len(said)
    if n >= FEWEST_PAIRS and np.median(abs(risen)) > LEAST_DIFFERENCE and said.any():
        correlation, factor = rank_correlation(risen, said), abs(slope(risen, said))
        if abs(correlation) > _CORRELATED:
            return _verdict(correlation < 0, factor, n)
    if rms > _LARGE:
        return [
            f"stresses of {rms:.3g} eV/Angstrom^3 rms are beyond those of solids, about 0.01; if"
            " they are in kbar or GPa, set data.stress_unit=kbar or data.stress_unit=GPa, and"
            " data.stress_sign=-1 where compression is positive, as in VASP's files"
        ]
    return []


def _verdict(opposite: bool, factor: float, n: int) -> list[str]:
    """Conclusion from the slope of energies over stresses."""
    right = 1 / _WRONG_FACTOR < factor < _WRONG_FACTOR
    if right and not opposite:
        return []
    likely = [
        (words, unit) for words, (unit, one) in _MISTAKES.items() if abs(np.log(factor / one)) < 0.6
    ]
    words = [] if right else [likely[0][0] if likely else f"{1 / factor:.3g} times too large"]
    words += ["of the other sign (compression positive, as in VASP's files)"] if opposite else []
    keys = [f"data.stress_unit={likely[0][1]}"] if likely and likely[0][1] and not right else []
    keys += ["data.stress_sign=-1"] if opposite else []
    remedy = f"set {' and '.join(keys)}" if keys else "convert them to eV/Angstrom^3"
    return [
        f"stresses do not fit the energies of {n} pairs of structures with different cells: they"
        f" look {' and '.join(words)}; {remedy}"
    ]


def _differences(solids: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Energy differences of near structures less the work of the forces, and what stresses say of
    them, eV, both [n_pairs]."""
    groups = sorted(
        (members for members in alike(solids, cells=False) if len(members) > 1),
        key=len,
        reverse=True,
    )[:_N_CENTRES]
    total = sum(map(len, groups))
    found = [
        _compared(solids.take(np.array(members)), -(-_N_CENTRES * len(members) // total))
        for members in groups
    ]
    both = np.concatenate([np.zeros((2, 0)), *found], axis=1)
    return both[0], both[1]


def _compared(same: Dataset, n_centres: int) -> np.ndarray:
    """The two [2, n_pairs] from the first structures of the same atoms to the nearest of other
    cells."""
    some = same.take(slice(0, _N_OTHERS))
    n, n_atoms = len(some), int(some.sizes[0])
    positions = some.positions.reshape(n, n_atoms, 3)
    fractional = np.einsum("kai,kij->kaj", positions, np.linalg.inv(some.cells))
    forces = some["forces"].reshape(n, n_atoms, 3)
    virials = some["stress"] * abs(np.linalg.det(some.cells))[:, None, None]
    found = []
    for a in range(min(n_centres, n)):
        strain, turn = _strains(some.cells[a], some.cells)
        if not (np.linalg.det(turn) > 0).all():
            continue  # a cell of the other hand
        offset = _offsets(fractional, a, some.cells[a] @ (np.eye(3) + strain / 2))
        size, moved = abs(strain).max((1, 2)), np.linalg.norm(offset, axis=-1)
        fit = (size > _LEAST_STRAIN) & (size < _MOST_STRAIN) & (moved.max(1) < _MOST_MOVED)
        if fit.any():
            length = abs(np.linalg.det(some.cells[a])) ** (1 / 3)
            b = int(np.where(fit, (moved**2).mean(1) + (size * length) ** 2 / 4, np.inf).argmin())
            work = -0.5 * ((forces[a] + forces[b] @ turn[b].T) * offset[b]).sum()
            said = 0.5 * ((virials[a] + turn[b] @ virials[b] @ turn[b].T) * strain[b]).sum()
            found.append([some["energy"][b] - some["energy"][a] - work, said])
    return np.array(found).reshape(-1, 2).T


def _strains(cell: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithmic strains that make ``cells`` [n, 3, 3] of a cell, along the axes of it, and the
    rotations that come with them, both [n, 3, 3]."""
    u, sigma, vt = np.linalg.svd(np.linalg.inv(cell) @ cells)
    return (u * np.log(sigma)[:, None]) @ u.mT, u @ vt


def _offsets(fractional: np.ndarray, a: int, between: np.ndarray) -> np.ndarray:
    """How far atoms of each structure are from their nearest images in structure a, Angstrom
    [n, n_atoms, 3], beside the strain; ``between`` [n, 3, 3] are cells half-way."""
    offset = fractional - fractional[a]
    offset -= np.rint(offset)
    return (offset - offset.mean(1, keepdims=True)) @ between
