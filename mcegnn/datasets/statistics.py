"""What a user is shown of labelled structures before training: a table, structures that stand out, and labels that do not fit together."""

import numpy as np

from mcegnn.datasets.structures import Structures
from systems.cell import complete
from systems.neighbors import NeighborList

_MOST_TOLD = 10
_MOST_COMPARED = 500  # atoms in free space, of which all pairs are compared
_TOO_NEAR = 0.5  # Angstrom; the bond of H2 is 0.74
_LEAST_SPREAD = 0.02  # eV an atom: of published data 0.009 to 0.27; without it the start of each relaxation stood out
_OTHER_FORCES = 15.0  # times the usual, so that kcal/mol among eV are found; of published data 4.3 is the most
_LEAST_USUAL = 0.2  # eV/Angstrom: relaxed structures have none at all
_HOT, _FROZEN = 15.0, 1e-4  # eV/Angstrom; molecules at 500 K have 1.2
_MOST_STRUCTURES, _N_CENTRES, _N_OTHERS, _N_OTHER_ATOMS = 20_000, 200, 1000, 20_000  # a second's work
_NEAR_PAIR = 0.4  # Angstrom, of the atom that is displaced most
_FEWEST_PAIRS = 12
_CORRELATED, _UNCORRELATED, _WRONG_FACTOR = 0.7, 0.5, 1.5  # of published data: 0.88 or more, and 0.78 to 1.11
_LEAST_DIFFERENCE = 1e-3  # eV: smaller ones are the noise of labels

# energy differences over the work of the forces, where one of them is in other units
_MISTAKES = {
    "the energies were in kcal/mol": 23.0605, "the energies were in kJ/mol": 96.4853, "the energies were in Hartree": 1 / 27.2114,
    "the forces were in kcal/mol/Angstrom": 1 / 23.0605, "the forces were in kJ/mol/Angstrom": 1 / 96.4853,
    "the forces were in kJ/mol/nm": 1 / 964.853, "the forces were in Hartree/Bohr": 51.4221, "the forces were in Hartree/Angstrom": 27.2114,
    "the forces were in eV/Bohr (or all in Hartree and Bohr but the positions)": 1.88973, "the positions were in Bohr": 0.529177,
    "the energies were in kcal/mol and the forces in Hartree/Bohr": 23.0605 * 51.4221,
    "the energies were in Hartree and the forces in kcal/mol/Angstrom": 1 / 627.509,
}  # fmt: skip


def reference_energies(structures: Structures, species: np.ndarray) -> np.ndarray:
    """Energies of atoms, eV [n_species], whose sums come nearest to the structures' energies: least squares, the shortest where many do.

    ValueError where the structures have atoms of other species.
    """
    return np.linalg.lstsq(structures.composition(species).astype(float), structures.energies, rcond=None)[0]


def summary(structures: Structures) -> list[tuple[str, str]]:
    """Rows of a table: what is there, in words. ValueError where neighbours cannot be found in a structure's cell."""
    from ase.data import chemical_symbols

    sizes, elements = structures.sizes, structures.elements
    residual = (structures.energies - structures.composition(elements) @ reference_energies(structures, elements)) / sizes
    counts = [int((structures.species == z).sum()) for z in elements]
    n_periodic, n_stressed = int(structures.pbc.any(-1).sum()), int(np.isfinite(structures.stresses).all((1, 2)).sum())
    nearest, length = nearest_distances(structures).min(), np.linalg.norm(structures.forces, axis=-1)
    return [
        ("structures", f"{len(structures):,}"),
        ("atoms per structure", f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"),
        ("atoms of elements", ", ".join(f"{chemical_symbols[z]} {n:,}" for z, n in zip(elements, counts, strict=True))),
        ("periodic", _how_many(n_periodic, len(structures))),
        ("energy less that of its atoms", f"{abs(residual).mean():.4g} eV/atom mean, {residual.min():.4g} to {residual.max():.4g}"),
        ("forces", f"{(structures.forces**2).mean() ** 0.5:.4g} eV/Angstrom rms, {length.max():.4g} the largest"),
        ("nearest atoms", f"{nearest:.3f} Angstrom" if np.isfinite(nearest) else "single atoms only"),
        ("stress", _how_many(n_stressed, len(structures))),
    ]


def outliers(structures: Structures) -> list[str]:
    """Sentences that name structures whose numbers stand out, the first ten of them and how many more there are."""
    off, nearest, force = _energies_off(structures), nearest_distances(structures), _force_rms(structures)
    sigma, usual = _spread(off), float(np.median(force))
    found = [
        f"structure {k}: its energy is {off[k]:.3g} eV/atom off, {abs(off[k]) / sigma:.0f} times the usual spread"
        for k in np.flatnonzero(abs(off) > 10 * sigma)
    ]
    found += [
        f"structure {k}: its forces are {force[k]:.3g} eV/Angstrom rms where {usual:.3g} is usual; in other units?"
        for k in np.flatnonzero(force > _OTHER_FORCES * max(usual, _LEAST_USUAL))
    ]
    found += [f"structure {k}: two atoms are {nearest[k]:.3f} Angstrom apart" for k in np.flatnonzero(nearest < _TOO_NEAR)]
    return found if len(found) <= _MOST_TOLD else [*found[:_MOST_TOLD], f"and {len(found) - _MOST_TOLD} more"]


def _energies_off(structures: Structures) -> np.ndarray:
    """Energies less those of their atoms and less the usual, eV an atom [n], where the sum of their absolute values is least: so the worst
    do not pull the others' towards them. Zero for atoms alone in free space, which no bond holds.
    """
    some = np.flatnonzero((structures.sizes > 1) | structures.pbc.any(-1))
    counts = (structures.composition(structures.elements) / structures.sizes[:, None])[some]
    energies, weight, off = (structures.energies / structures.sizes)[some], np.ones(len(some)), np.zeros(len(structures))
    for _ in range(50 if len(some) else 0):  # squares over what they were the last time
        residual = energies - counts @ np.linalg.lstsq(counts * weight[:, None], energies * weight, rcond=None)[0]
        weight = np.maximum(abs(residual), 1e-3) ** -0.5
        off[some] = residual - np.median(residual)
    return off


def _spread(off: np.ndarray) -> float:
    """The standard deviation of normal numbers about zero, by their median."""
    return max(1.4826 * float(np.median(abs(off))), _LEAST_SPREAD)


def _force_rms(structures: Structures) -> np.ndarray:
    """Root mean square of each structure's force components, eV/Angstrom [n]."""
    return np.sqrt(np.add.reduceat((structures.forces**2).mean(-1), structures.starts[:-1]) / structures.sizes)


def _how_many(some: int, n: int) -> str:
    return {0: "no", n: "yes"}.get(some, f"{some:,} of {n:,}")


def nearest_distances(structures: Structures) -> np.ndarray:
    """The distance of each structure's nearest two atoms or images, Angstrom [n], infinite for a single atom in free space.

    ValueError where neighbours cannot be found in a structure's cell.
    """
    found = np.full(len(structures), np.inf)
    for k in np.flatnonzero((structures.sizes > 1) | structures.pbc.any(-1)):
        x = structures.positions[structures.starts[k] : structures.starts[k + 1]]
        if structures.pbc[k].any() or len(x) > _MOST_COMPARED:
            found[k] = _nearest_listed(structures, int(k))
        else:
            apart = np.linalg.norm(x[:, None] - x, axis=-1)
            np.fill_diagonal(apart, np.inf)
            found[k] = apart.min()
    return found


def _nearest_listed(structures: Structures, k: int) -> float:
    system, cutoff = structures.system(k), 1.5
    try:
        while not len(pairs := NeighborList(cutoff)(system)):
            cutoff *= 2.0
    except ValueError as error:
        raise ValueError(f"structure {k}: {error}") from None
    return float(np.linalg.norm(pairs.offsets(system.positions, system.cell), axis=-1).min())


def unit_warnings(structures: Structures) -> list[str]:
    """Sentences on forces of no usual size, and on energies that do not fit the forces.

    Of two near structures a and b of the same atoms the energies differ by -(F_a + F_b) . (x_b - x_a) / 2, exactly so for springs.
    Nothing is said where no structures are near enough.
    """
    found, usual, rms = [], float(np.median(_force_rms(structures))), float((structures.forces**2).mean() ** 0.5)
    if usual > _HOT:
        found.append(
            f"forces of {usual:.3g} eV/Angstrom rms are beyond those of molecules and solids, about 1; convert them if in kcal/mol"
        )
    if rms < _FROZEN:
        found.append(
            f"forces of {rms:.3g} eV/Angstrom rms are nearly zero; convert them if in other units, or add structures off equilibrium"
        )
    rise, work = _differences(structures)
    risen, worked = (float(np.median(abs(part))) if len(part) else 0.0 for part in (rise, work))
    if len(work) < _FEWEST_PAIRS or max(risen, worked) < _LEAST_DIFFERENCE or not worked:
        return found
    if not risen:
        return [
            *found,
            f"energies of near structures are the same where their forces say {worked:.3g} eV; give each structure its own energy",
        ]
    correlation, factor = _rank_correlation(rise, work), abs(_slope(rise, work))
    if abs(correlation) < _UNCORRELATED:
        said = f"rank correlation {correlation:.2f} over {len(work)} pairs of near structures"
        found.append(f"energies do not follow the forces ({said}); are they of the same structures and of one method?")
    if correlation < -_CORRELATED:
        found.append("energies rise along the forces; are these gradients rather than forces?")
    if abs(correlation) > _CORRELATED and not 1 / _WRONG_FACTOR < factor < _WRONG_FACTOR:
        found.append(f"energies change by {factor:.3g} times the work of the forces; {_mistake(factor, structures)}")
    return found


def _mistake(factor: float, structures: Structures) -> str:
    """What could be the reason of a factor, known to some per cent."""
    known = {**_MISTAKES, "the energies were of one atom": 1 / float(np.median(structures.sizes))}
    likely = [words for words, one in known.items() if abs(np.log(factor / one)) < 0.12]
    return f"it looks as if {', or '.join(likely)}" if likely else "convert both to eV and Angstrom"


def _slope(rise: np.ndarray, work: np.ndarray) -> float:
    """The slope of rise = slope x work with the least sum of absolute errors: a few wrong labels do not change it."""
    some = work != 0.0
    ratio, weight = rise[some] / work[some], abs(work[some])
    order = ratio.argsort()
    summed = weight[order].cumsum()
    return float(ratio[order][np.searchsorted(summed, summed[-1] / 2)])


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of pairs that could as well be taken the other way round."""
    first, second = (np.concatenate([part, -part]).argsort().argsort() - (len(part) - 0.5) for part in (a, b))
    return float(first @ second / (first @ first))


def _differences(structures: Structures) -> tuple[np.ndarray, np.ndarray]:
    """Energy differences of near structures of the same atoms, and what the forces say of them, eV, both [n_pairs]."""
    order = np.random.Generator(np.random.Philox(0)).permutation(len(structures))[:_MOST_STRUCTURES]
    alike: dict[bytes, list[int]] = {}
    for k in order.tolist():
        species, cell = structures.species[structures.starts[k] : structures.starts[k + 1]], structures.cells[k].round(6) + 0.0
        bound = structures.pbc[k].tobytes() + cell.tobytes() if structures.pbc[k].any() else b""
        alike.setdefault(species.tobytes() + bound, []).append(k)
    groups = sorted((members for members in alike.values() if len(members) > 1), key=len, reverse=True)[:_N_CENTRES]
    total = sum(map(len, groups))
    found = [_compared(structures.take(np.array(members)), -(-_N_CENTRES * len(members) // total)) for members in groups]
    both = np.concatenate([np.zeros((2, 0)), *found], axis=1)
    return both[0], both[1]


def _compared(same: Structures, n_centres: int) -> np.ndarray:
    """Energy differences and work [2, n_pairs] from the first structures of the same atoms to the nearest of all."""
    n_atoms = int(same.sizes[0])
    some = same.take(slice(0, min(_N_OTHERS, max(20, _N_OTHER_ATOMS // n_atoms))))
    x, f = (part.reshape(len(some), n_atoms, 3) for part in (some.positions, some.forces))
    a = np.arange(min(n_centres, len(some)))
    b, offset, turned = _nearest_periodic(x, f, some.cells[0], some.pbc[0], len(a)) if some.pbc[0].any() else _nearest_free(x, f, len(a))
    moved = np.linalg.norm(offset, axis=-1).max(-1)
    # a structure that is there twice says nothing
    near = (moved > 1e-5) & (moved < _NEAR_PAIR)
    return np.stack([some.energies[b] - some.energies[a], -0.5 * ((f[a] + turned) * offset).sum((1, 2))])[:, near]


def _nearest_free(x: np.ndarray, f: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of the first n molecules the nearest other when both are laid upon one another (Kabsch 1976): its number, the atoms' offsets
    to it and its forces turned alike [n, n_atoms, 3].
    """
    m, n_atoms = x.shape[:2]
    x = x - x.mean(1, keepdims=True)
    covariance = x[:n].transpose(0, 2, 1).reshape(-1, n_atoms) @ x.transpose(1, 0, 2).reshape(n_atoms, -1)
    covariance = covariance.reshape(n, 3, m, 3).transpose(0, 2, 1, 3)
    singular: np.ndarray = np.linalg.svdvals(covariance)
    singular[..., 2] *= np.sign(np.linalg.det(covariance))
    size = (x**2).sum((1, 2))
    b = _nearest(size[:n, None] + size - 2 * singular.sum(-1), n_atoms)
    u, _, vt = np.linalg.svd(covariance[np.arange(n), b])
    u[..., 2] *= np.linalg.det(u @ vt)[:, None]  # a turn, no reflection
    rotation = u @ vt
    return b, x[b] @ rotation.mT - x[:n], f[b] @ rotation.mT


def _nearest_periodic(x: np.ndarray, f: np.ndarray, cell: np.ndarray, pbc: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for structures of one cell, which are shifted but not turned."""
    whole = complete(cell)
    inverse, offsets = np.linalg.inv(whole), []
    b = np.zeros(n, dtype=np.int64)
    for k in range(n):
        # images of near atoms are found so in any cell, those of others need not be
        offset = x - x[k]
        offset -= np.where(pbc, np.rint(offset @ inverse), 0.0) @ whole
        offset -= offset.mean(1, keepdims=True)
        b[k] = _nearest((offset**2).sum((1, 2))[None], x.shape[1])[0]
        offsets.append(offset[b[k]])
    return b, np.array(offsets), f[b]


def _nearest(squares: np.ndarray, n_atoms: int) -> np.ndarray:
    """The column of each row's least sum of squared offsets [n, m] that is none of the structure with itself or with its copy."""
    return np.where(squares < 1e-10 * n_atoms, np.inf, squares).argmin(1)
