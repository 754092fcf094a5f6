"""Checks that energies and forces of labelled structures are consistent and in the right units."""

import numpy as np

from mcegnn.data.dataset import Dataset
from systems.cell import complete

_HOT, _FROZEN = 15.0, 1e-4  # eV/Angstrom; molecules at 500 K have 1.2
# a second's work
_MOST_STRUCTURES, _N_CENTRES, _N_OTHERS, _N_OTHER_ATOMS = 20_000, 200, 1000, 20_000
_NEAR_PAIR = 0.4  # Angstrom, of the atom that is displaced most
FEWEST_PAIRS = 12
# of published data: 0.88 or more, and 0.78 to 1.11
_CORRELATED, _UNCORRELATED, _WRONG_FACTOR = 0.7, 0.5, 1.5
LEAST_DIFFERENCE = 1e-3  # eV: smaller ones are the noise of labels


# energy differences over the work of the forces, where one of them is in other units
_MISTAKES = {
    "the energies were in kcal/mol": 23.0605,
    "the energies were in kJ/mol": 96.4853,
    "the energies were in Hartree": 1 / 27.2114,
    "the forces were in kcal/mol/Angstrom": 1 / 23.0605,
    "the forces were in kJ/mol/Angstrom": 1 / 96.4853,
    "the forces were in kJ/mol/nm": 1 / 964.853,
    "the forces were in Hartree/Bohr": 51.4221,
    "the forces were in Hartree/Angstrom": 27.2114,
    "the forces were in eV/Bohr (or all in Hartree and Bohr but the positions)": 1.88973,
    "the positions were in Bohr": 0.529177,
    "the energies were in kcal/mol and the forces in Hartree/Bohr": 23.0605 * 51.4221,
    "the energies were in Hartree and the forces in kcal/mol/Angstrom": 1 / 627.509,
}


def force_rms(structures: Dataset) -> np.ndarray:
    """Root mean square of each structure's force components, eV/Angstrom [n]; NaN if unknown."""
    known = np.isfinite(structures["forces"])
    squares = np.where(known, structures["forces"], 0.0) ** 2
    summed, counted = (
        np.add.reduceat(part.sum(1), structures.starts[:-1]) for part in (squares, known)
    )
    return np.sqrt(summed / np.where(counted, counted, np.nan))


def unit_warnings(structures: Dataset) -> list[str]:
    """Warnings about forces of unusual size, and about energies that do not fit the forces.

    Of two near structures a and b of the same atoms the energies differ by -(F_a + F_b) . (x_b -
    x_a) / 2, exactly so for springs. Nothing is said where no structures are near enough.
    """
    known = structures["forces"][np.isfinite(structures["forces"])]
    if not len(known):
        return []
    return _warnings_of_size(structures, known) + _warnings_of_work(structures)


def _warnings_of_size(structures: Dataset, known: np.ndarray) -> list[str]:
    """Warnings about ``known`` forces of unusual size."""
    usual, rms = float(np.nanmedian(force_rms(structures))), float((known**2).mean() ** 0.5)
    found = []
    if usual > _HOT:
        found.append(
            f"forces of {usual:.3g} eV/Angstrom rms are beyond those of molecules and solids, about"
            " 1; convert them if in kcal/mol"
        )
    if rms < _FROZEN:
        found.append(
            f"forces of {rms:.3g} eV/Angstrom rms are nearly zero; convert them if in other units,"
            " or add structures off equilibrium"
        )
    return found


def _warnings_of_work(structures: Dataset) -> list[str]:
    """Warnings about energy differences of near structures that do not fit the work of the
    forces."""
    rise, work = _differences(structures)
    risen, worked = (float(np.median(abs(part))) if len(part) else 0.0 for part in (rise, work))
    if len(work) < FEWEST_PAIRS or max(risen, worked) < LEAST_DIFFERENCE or not worked:
        return []
    if not risen:
        return [
            f"energies of near structures are the same where their forces say {worked:.3g} eV;"
            " give each structure its own energy"
        ]
    correlation, factor = rank_correlation(rise, work), abs(slope(rise, work))
    found = []
    if abs(correlation) < _UNCORRELATED:
        said = f"rank correlation {correlation:.2f} over {len(work)} pairs of near structures"
        found.append(
            f"energies do not follow the forces ({said}); are they of the same structures and of"
            " one method?"
        )
    if correlation < -_CORRELATED:
        found.append("energies rise along the forces; are these gradients rather than forces?")
    if abs(correlation) > _CORRELATED and not 1 / _WRONG_FACTOR < factor < _WRONG_FACTOR:
        found.append(
            f"energies change by {factor:.3g} times the work of the forces;"
            f" {_mistake(factor, structures)}"
        )
    return found


def _mistake(factor: float, structures: Dataset) -> str:
    """What could be the reason of a factor, known to some per cent."""
    known = {**_MISTAKES, "the energies were of one atom": 1 / float(np.median(structures.sizes))}
    likely = [words for words, one in known.items() if abs(np.log(factor / one)) < 0.12]
    return f"it looks as if {', or '.join(likely)}" if likely else "convert both to eV and Angstrom"


def slope(rise: np.ndarray, work: np.ndarray) -> float:
    """The slope of rise = slope x work with the least sum of absolute errors: a few wrong labels do
    not change it."""
    some = work != 0.0
    ratio, weight = rise[some] / work[some], abs(work[some])
    order = ratio.argsort()
    summed = weight[order].cumsum()
    return float(ratio[order][np.searchsorted(summed, summed[-1] / 2)])


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of pairs that could as well be taken the other way round."""
    first, second = (
        np.concatenate([part, -part]).argsort().argsort() - (len(part) - 0.5) for part in (a, b)
    )
    return float(first @ second / (first @ first))


def _differences(structures: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Energy differences of near structures of the same atoms, and what the forces say of them, eV,
    both [n_pairs]."""
    groups = sorted(
        (members for members in alike(structures) if len(members) > 1), key=len, reverse=True
    )[:_N_CENTRES]
    total = sum(map(len, groups))
    found = [
        _compared(structures.take(np.array(members)), -(-_N_CENTRES * len(members) // total))
        for members in groups
    ]
    both = np.concatenate([np.zeros((2, 0)), *found], axis=1)
    return both[0], both[1]


def alike(structures: Dataset, cells: bool = True) -> list[list[int]]:
    """Numbers of structures, in a random order, that have the same atoms in the same order, and the
    same cell where ``cells`` count."""
    order = np.random.Generator(np.random.Philox(0)).permutation(len(structures))[:_MOST_STRUCTURES]
    found: dict[bytes, list[int]] = {}
    for k in order.tolist():
        species, cell = (
            structures.species[structures.starts[k] : structures.starts[k + 1]],
            structures.cells[k].round(6) + 0.0,
        )
        bound = (
            structures.periodic[k].tobytes() + cell.tobytes()
            if cells and structures.periodic[k].any()
            else b""
        )
        found.setdefault(species.tobytes() + bound, []).append(k)
    return list(found.values())


def _compared(same: Dataset, n_centres: int) -> np.ndarray:
    """Energy differences and work [2, n_pairs] from the first structures of the same atoms to the
    nearest of all."""
    n_atoms = int(same.sizes[0])
    some = same.take(slice(0, min(_N_OTHERS, max(20, _N_OTHER_ATOMS // n_atoms))))
    x, f = (part.reshape(len(some), n_atoms, 3) for part in (some.positions, some["forces"]))
    a, held = np.arange(min(n_centres, len(some))), ~np.isfinite(f).all(-1)
    f = np.where(held[..., None], 0.0, f)
    fixed = bool(held.any())  # atoms that are held keep the others from moving or turning together
    placed = fixed or some.periodic[0].any()
    found = (
        _nearest_placed(x, f, some.cells[0], some.periodic[0], len(a), fixed)
        if placed
        else _nearest_free(x, f, len(a))
    )
    b, offset, turned = found
    moved = np.linalg.norm(offset, axis=-1)
    unknown = np.where(held[a] | held[b], moved, 0.0).max(-1)
    # a structure that is there twice says nothing
    near = (moved.max(-1) > 1e-5) & (moved.max(-1) < _NEAR_PAIR) & (unknown < 1e-5)
    return np.stack(
        [some["energy"][b] - some["energy"][a], -0.5 * ((f[a] + turned) * offset).sum((1, 2))]
    )[:, near]


def _nearest_free(
    x: np.ndarray, f: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of the first n molecules the nearest other when both are laid upon one another
    (Kabsch 1976): its number, the atoms' offsets to it and its forces turned alike [n, n_atoms, 3].
    """
    m, n_atoms = x.shape[:2]
    x = x - x.mean(1, keepdims=True)
    covariance = x[:n].transpose(0, 2, 1).reshape(-1, n_atoms) @ x.transpose(1, 0, 2).reshape(
        n_atoms, -1
    )
    covariance = covariance.reshape(n, 3, m, 3).transpose(0, 2, 1, 3)
    singular: np.ndarray = np.linalg.svdvals(covariance)
    singular[..., 2] *= np.sign(np.linalg.det(covariance))
    size = (x**2).sum((1, 2))
    b = _nearest(size[:n, None] + size - 2 * singular.sum(-1), n_atoms)
    u, _, vt = np.linalg.svd(covariance[np.arange(n), b])
    u[..., 2] *= np.linalg.det(u @ vt)[:, None]  # a turn, no reflection
    rotation = u @ vt
    return b, x[b] @ rotation.mT - x[:n], f[b] @ rotation.mT


def _nearest_placed(
    x: np.ndarray, f: np.ndarray, cell: np.ndarray, pbc: np.ndarray, n: int, fixed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for structures of one cell, which are not turned, and shifted only where they are
    not ``fixed``."""
    whole = complete(cell)
    inverse, offsets = np.linalg.inv(whole), []
    b = np.zeros(n, dtype=np.int64)
    for k in range(n):
        # images of near atoms are found so in any cell, those of others need not be
        offset = x - x[k]
        offset -= np.where(pbc, np.rint(offset @ inverse), 0.0) @ whole
        offset -= 0.0 if fixed else offset.mean(1, keepdims=True)
        b[k] = _nearest((offset**2).sum((1, 2))[None], x.shape[1])[0]
        offsets.append(offset[b[k]])
    return b, np.array(offsets), f[b]


def _nearest(squares: np.ndarray, n_atoms: int) -> np.ndarray:
    """The column of each row's least sum of squared offsets [n, m] that is none of the structure
    with itself or with its copy."""
    return np.where(squares < 1e-10 * n_atoms, np.inf, squares).argmin(1)
