"""Statistics of labelled structures that are shown before training: a table, and outliers."""

from collections.abc import Mapping

import numpy as np

from mcegnn.data.consistency import force_rms
from mcegnn.data.dataset import Dataset
from systems.neighbors.lists import NeighborList

_MOST_TOLD = 10
_MOST_COMPARED = 500  # atoms in free space, of which all pairs are compared
_TOO_NEAR = 0.5  # Angstrom; the bond of H2 is 0.74
# eV an atom: of published data 0.009 to 0.27; without it the start of each relaxation stood out
_LEAST_SPREAD = 0.02
# times the usual, so that kcal/mol among eV are found; of published data 4.3 is the most
_OTHER_FORCES = 15.0
_FEW_ZERO = 0.05  # of the atoms: a site of high symmetry has no force
_LEAST_USUAL = 0.2  # eV/Angstrom: relaxed structures have none at all


def reference_energies(
    structures: Dataset, species: np.ndarray, isolated: Mapping[int, float] | None = None
) -> np.ndarray:
    """Reference energies of atoms, eV [n_species], whose sums fit the structures' energies best:
    least squares, with the smallest norm if underdetermined; those of ``isolated`` atoms, by atomic
    number, are kept.

    Raises ValueError if the structures have atoms of other species.
    """
    counts, fixed = structures.composition(species).astype(float), isolated or {}
    found = np.array([fixed.get(int(z), 0.0) for z in species])
    free = np.array([int(z) not in fixed for z in species], dtype=bool)
    found[free] = np.linalg.lstsq(
        counts[:, free], structures["energy"] - counts @ found, rcond=None
    )[0]
    return found


def summary(structures: Dataset) -> list[tuple[str, str]]:
    """Rows of a table that describe the structures. Raises ValueError if neighbours cannot be found
    in a structure's cell."""
    from ase.data import chemical_symbols

    sizes, elements = structures.sizes, structures.elements
    least, most, n = sizes.min(), sizes.max(), len(structures)
    counts = {chemical_symbols[z]: int((structures.species == z).sum()) for z in elements}
    n_periodic = int(structures.periodic.any(-1).sum())
    n_stressed = int(np.isfinite(structures["stress"]).all((1, 2)).sum())
    nearest = nearest_distances(structures).min()
    bound = f"{nearest:.3f} Angstrom" if np.isfinite(nearest) else "single atoms only"
    return [
        ("structures", f"{n:,}"),
        ("atoms per structure", f"{least}" if least == most else f"{least} to {most}"),
        ("atoms of elements", ", ".join(f"{symbol} {m:,}" for symbol, m in counts.items())),
        ("periodic", _how_many(n_periodic, n)),
        ("energy less that of its atoms", _energies_in_words(structures)),
        ("forces", _forces_in_words(structures)),
        ("nearest atoms", bound),
        ("stress", _how_many(n_stressed, n)),
    ]


def _energies_in_words(structures: Dataset) -> str:
    """Of energies less those of the atoms, eV/atom, the mean size and the range."""
    elements = structures.elements
    atoms = structures.composition(elements) @ reference_energies(structures, elements)
    bound = (structures["energy"] - atoms) / structures.sizes
    return f"{abs(bound).mean():.4g} eV/atom mean, {bound.min():.4g} to {bound.max():.4g}"


def _forces_in_words(structures: Dataset) -> str:
    """Of the forces that are known, the usual one and the largest."""
    known = structures["forces"][np.isfinite(structures["forces"]).all(1)]
    if not len(known):
        return "none are known"
    rms, largest = (known**2).mean() ** 0.5, np.linalg.norm(known, axis=-1).max()
    return f"{rms:.4g} eV/Angstrom rms, {largest:.4g} the largest"


def outliers(structures: Dataset) -> list[str]:
    """Warnings that name structures with outlying labels or distances, the first ten of them and
    how many more there are."""
    off, nearest, force = (
        _energies_off(structures),
        nearest_distances(structures),
        force_rms(structures),
    )
    sigma, usual = _spread(off), float(np.nanmedian(force)) if np.isfinite(force).any() else 0.0
    found = [
        f"structure {k}: its energy is {off[k]:.3g} eV/atom off, {abs(off[k]) / sigma:.0f} times"
        " the usual spread"
        for k in np.flatnonzero(abs(off) > 10 * sigma)
    ]
    found += [
        f"structure {k}: its forces are {force[k]:.3g} eV/Angstrom rms where {usual:.3g} is usual;"
        " in other units?"
        for k in np.flatnonzero(force > _OTHER_FORCES * max(usual, _LEAST_USUAL))
    ]
    found += _unmarked(structures)
    found += [
        f"structure {k}: two atoms are {nearest[k]:.3f} Angstrom apart"
        for k in np.flatnonzero(nearest < _TOO_NEAR)
    ]
    return (
        found
        if len(found) <= _MOST_TOLD
        else [*found[:_MOST_TOLD], f"and {len(found) - _MOST_TOLD} more"]
    )


def _unmarked(structures: Dataset) -> list[str]:
    """A sentence on forces that are zero to the last digit beside others that are not, where they
    are many."""
    zero = (structures["forces"] == 0.0).all(1)
    mixed = np.repeat(~np.logical_and.reduceat(zero, structures.starts[:-1]), structures.sizes)
    n = int((zero & mixed).sum())
    if n <= _FEW_ZERO * mixed.sum():
        return []
    return [
        f"{n:,} forces are exactly zero beside others that are not; if atoms were held fixed, mark"
        " them (move_mask, or constraints)"
    ]


def _energies_off(structures: Dataset) -> np.ndarray:
    """Energies less those of their atoms and less the usual, eV an atom [n], where the sum of their
    absolute values is least: so the worst do not pull the others' towards them. Zero for atoms
    alone in free space, which no bond holds.
    """
    some = np.flatnonzero((structures.sizes > 1) | structures.periodic.any(-1))
    counts = (structures.composition(structures.elements) / structures.sizes[:, None])[some]
    energies, weight, off = (
        (structures["energy"] / structures.sizes)[some],
        np.ones(len(some)),
        np.zeros(len(structures)),
    )
    for _ in range(50 if len(some) else 0):  # squares over what they were the last time
        residual = (
            energies
            - counts @ np.linalg.lstsq(counts * weight[:, None], energies * weight, rcond=None)[0]
        )
        weight = np.maximum(abs(residual), 1e-3) ** -0.5
        off[some] = residual - np.median(residual)
    return off


def _spread(off: np.ndarray) -> float:
    """The standard deviation of normal numbers about zero, by their median."""
    return max(1.4826 * float(np.median(abs(off))), _LEAST_SPREAD)


def _how_many(some: int, n: int) -> str:
    return {0: "no", n: "yes"}.get(some, f"{some:,} of {n:,}")


def nearest_distances(structures: Dataset) -> np.ndarray:
    """The distance of each structure's nearest two atoms or images, Angstrom [n], infinite for a
    single atom in free space.

    Raises ValueError if neighbours cannot be found in a structure's cell.
    """
    found = np.full(len(structures), np.inf)
    for k in np.flatnonzero((structures.sizes > 1) | structures.periodic.any(-1)):
        x = structures.positions[structures.starts[k] : structures.starts[k + 1]]
        if structures.periodic[k].any() or len(x) > _MOST_COMPARED:
            found[k] = _nearest_listed(structures, int(k))
        else:
            apart = np.linalg.norm(x[:, None] - x, axis=-1)
            np.fill_diagonal(apart, np.inf)
            found[k] = apart.min()
    return found


def _nearest_listed(structures: Dataset, k: int) -> float:
    system, cutoff = structures.system(k), 1.5
    try:
        while not len(pairs := NeighborList(cutoff)(*system.geometry)):
            cutoff *= 2.0
    except ValueError as error:
        raise ValueError(f"structure {k}: {error}") from None
    return float(np.linalg.norm(pairs.offsets(system.positions, system.cell), axis=-1).min())
