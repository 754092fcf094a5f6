"""The labels of structures that ASE has read: one source for all of them, in ASE's units and signs,
NaN where nothing is known."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

Notes = tuple[tuple[str, str], ...]  #: rows of a table: what labels are, what was left out

_REFERENCE = "REF_"
_NAMES = ("energy", "free_energy", "forces", "stress", "virial", "virials")
_KBAR = 1602.1766208  # of one eV/Angstrom^3
_UNITS = {"eV/Angstrom^3": 1.0, "kbar": 1.0 / _KBAR, "GPa": 10.0 / _KBAR}
_SAME_ENERGY = 1e-6  # eV
_SAME_POINT = 1e-3  # Angstrom
_MOST_COMPARED = 500  # atoms, of which all pairs are compared


class Reading(NamedTuple):
    """How labels are to be read.

    ``labels`` begin with this prefix, such as ``REF_`` ("plain": with none; None: ``REF_`` where
    there are such). ``energy`` is which of two that differ (None: free_energy, whose derivatives
    the forces are). Stresses are in ``stress_unit``, and of the sign that ASE gives them (tension
    is positive, a virial is - volume x stress), or of the other, -1.
    """

    labels: str | None = None
    energy: Literal["energy", "free_energy"] | None = None
    stress_unit: str = "eV/Angstrom^3"
    stress_sign: Literal[1, -1] = 1


AS_THEY_ARE = Reading()  #: what is right of most files


class Found(NamedTuple):
    """Which frames have labels, and these of each: energy, forces [n_atoms, 3], stress [3, 3], NaN
    where unknown."""

    frames: list[int]
    labels: list[tuple[float, np.ndarray, np.ndarray]]
    notes: Notes


def labels_of(frames: Sequence[Any], path: str, reading: Reading = AS_THEY_ARE) -> Found:
    """The labels of ASE's atoms, by the rules of `Reading`, and what is to be said of them.

    Raises ValueError, naming the frame, where a label is missing, not finite or of another shape,
    and where only some frames have what others have, so that labels of two methods would be mixed.
    """
    prefix, chosen, notes = _source(frames, path, reading)
    given = {k: _named(frames[k], prefix) for k in chosen}
    for k in chosen:
        _refuse_incomplete(frames[k], given[k], prefix, f"structure {k} of {path}")
    kind, said = _energy(given, path, reading)
    notes += said
    stresses, said = _stresses(frames, given, path, reading)
    notes += said
    found, n_held = [], 0
    for k, own in given.items():
        where, n = f"structure {k} of {path}", len(frames[k])
        energy = float(numbers(own[kind], (), f"{where}: its energy"))
        # a lone atom feels nothing, whether its file says so or not
        forces = (
            numbers(own["forces"], (n, 3), f"{where}: its forces")
            if "forces" in own
            else np.zeros((n, 3))
        )
        held = _held(frames[k], forces)
        n_held += int(held.any(1).sum())
        found.append((energy, np.where(held, np.nan, forces), stresses[k]))
    if n_held:
        notes += (
            (
                "frozen atoms",
                (
                    f"{n_held:,} forces are zero since the atoms were held fixed: left out of"
                    " losses and errors"
                ),
            ),
        )
    return Found(chosen, found, notes)


def _source(frames: Sequence[Any], path: str, reading: Reading) -> tuple[str, list[int], Notes]:
    """The prefix of the labels' names, the frames that have them, and what is said of others."""
    if reading.labels is None:
        having = [k for k, atoms in enumerate(frames) if _named(atoms, _REFERENCE)]
        prefix = _REFERENCE if having else ""
        if having and len(having) < len(frames):
            lacking = next(k for k in range(len(frames)) if k not in set(having))
            raise ValueError(
                f"structure {lacking} of {path} has no {_REFERENCE} labels, which {len(having):,}"
                f" of {len(frames):,} structures have: what else it has may be of another method;"
                f" give them to all, or set data.labels={_REFERENCE} (without such structures) or"
                " data.labels=plain"
            )
        chosen = list(range(len(frames)))
    else:
        prefix = "" if reading.labels == "plain" else reading.labels
        chosen = [k for k, atoms in enumerate(frames) if _named(atoms, prefix)]
        if not chosen:
            there = ", ".join(_keys(frames[0])) or "none"
            raise ValueError(
                f"no structure of {path} has labels {prefix or 'without a prefix'}; the keys of its"
                f" first are {there}"
            )
    names = [
        prefix + name for name in _NAMES if any(name in _named(frames[k], prefix) for k in chosen)
    ]
    others = (
        [name for name in _NAMES if any(name in _named(frames[k], "") for k in chosen)]
        if prefix
        else []
    )
    said = ", ".join(names) + (
        f"; {', '.join(others)} of another source are left out" if others else ""
    )
    notes: Notes = (("labels", said),)
    if len(chosen) < len(frames):
        notes += (
            (
                "without labels",
                (
                    f"{len(frames) - len(chosen):,} structures have none"
                    f" {prefix or 'without a prefix'}: left out"
                ),
            ),
        )
    return prefix, chosen, notes


def _named(atoms: Any, prefix: str) -> dict[str, Any]:
    """What is known under names with this prefix; without one, what a calculator said comes
    first."""
    own = {**atoms.info, **atoms.arrays}
    results = {} if prefix else getattr(atoms.calc, "results", {})
    every = {name: results.get(name, own.get(prefix + name)) for name in _NAMES}
    return {name: value for name, value in every.items() if value is not None}


def _keys(atoms: Any) -> list[str]:
    there = {*atoms.info, *atoms.arrays, *getattr(atoms.calc, "results", ())}
    return sorted(there - {"numbers", "positions"})


def _refuse_incomplete(atoms: Any, given: dict[str, Any], prefix: str, where: str) -> None:
    alone = len(atoms) == 1 and not atoms.pbc.any()
    for label in ("energy", *(() if alone else ("forces",))):
        if label not in given and not (label == "energy" and "free_energy" in given):
            there = ", ".join(_keys(atoms)) or "none"
            if prefix and label in _named(atoms, ""):
                mine = ", ".join(prefix + name for name in given)
                raise ValueError(
                    f"{where} has {mine} but no {prefix}{label}, and its {label} may be of another"
                    f" method: rename that to {prefix}{label}, or set data.labels=plain to use the"
                    " labels without a prefix"
                )
            raise ValueError(
                f"{where} has no {label}; call it REF_{label} or {label} (its keys are {there})"
            )


def _energy(given: dict[int, dict[str, Any]], path: str, reading: Reading) -> tuple[str, Notes]:
    """Which of two energies is taken of all frames, and what is said of the other."""
    lacking = {
        name: [k for k, own in given.items() if name not in own]
        for name in ("energy", "free_energy")
    }
    pairs = [
        [
            float(numbers(own[name], (), f"structure {k} of {path}: its {name}"))
            for name in ("energy", "free_energy")
        ]
        for k, own in given.items()
        if "energy" in own and "free_energy" in own
    ]
    apart = max((abs(energy - free) for energy, free in pairs), default=0.0)
    kind = reading.energy or (
        "free_energy" if apart > _SAME_ENERGY or lacking["energy"] else "energy"
    )
    other = "free_energy" if kind == "energy" else "energy"
    if lacking[kind]:
        raise ValueError(
            f"structure {lacking[kind][0]} of {path} has no {kind}, which other structures"
            f" have{', and it differs' if apart else ''}; give it to all, or set"
            f" data.energy={other}"
        )
    if apart <= _SAME_ENERGY:
        return kind, ()
    why = ", whose derivatives forces are" if kind == "free_energy" else ", as was asked"
    return kind, (
        ("energy", f"{kind}{why}; {other} differs from it by up to {apart:.4g} eV and is left out"),
    )


def _stresses(
    frames: Sequence[Any], given: dict[int, dict[str, Any]], path: str, reading: Reading
) -> tuple[dict[int, np.ndarray], Notes]:
    """Stresses as ASE has them, NaN where unknown or meaningless, and what is said of them."""
    unknown, found = np.full((3, 3), np.nan), {}
    n_open, n_zero, n_virials, apart = 0, 0, 0, 0.0
    for k, own in given.items():
        where, atoms = f"structure {k} of {path}", frames[k]
        found[k] = unknown
        virial = own.get("virial", own.get("virials"))
        if "stress" not in own and virial is None:
            continue
        if not atoms.pbc.all() or not atoms.cell.volume:
            n_open += 1
            continue
        sign = reading.stress_sign
        of_virial = (
            None
            if virial is None
            else -sign * matrix(virial, f"{where}: its virial") / atoms.cell.volume
        )
        if "stress" in own:
            stress = (
                sign * _UNITS[reading.stress_unit] * matrix(own["stress"], f"{where}: its stress")
            )
            if of_virial is not None and abs(stress).any():
                apart = max(apart, float(abs(of_virial - stress).max() / abs(stress).max()))
        else:
            assert of_virial is not None
            stress, n_virials = of_virial, n_virials + 1
        if not stress.any() and np.any(own.get("forces", 0.0)):
            n_zero += 1  # a place that was never filled in
            continue
        found[k] = stress
    notes: Notes = ()
    if n_virials:
        sign_said = "-" if reading.stress_sign == 1 else ""
        notes += (
            (
                "virials",
                f"read as stress = {sign_said}virial / volume, in {n_virials:,} structures",
            ),
        )
    if (reading.stress_unit, reading.stress_sign) != ("eV/Angstrom^3", 1):
        turned = "" if reading.stress_sign == 1 else ", the sign turned"
        notes += (("units of stress", f"{reading.stress_unit}{turned}, as was asked"),)
    if n_open:
        notes += (
            (
                "stress left out",
                f"of {n_open:,} structures that are not periodic in all directions",
            ),
        )
    if n_zero:
        notes += (("zero stress left out", f"of {n_zero:,} structures whose forces are not zero"),)
    if apart > 0.01:
        notes += (
            (
                "two stresses",
                f"virial and stress differ by up to {100 * apart:.3g} per cent; stress is taken",
            ),
        )
    return found, notes


def _held(atoms: Any, forces: np.ndarray) -> np.ndarray:
    """Which components of forces [n, 3] are zero since the atom was held there, bool."""
    held = np.zeros(forces.shape, dtype=bool)
    for constraint in atoms.constraints:
        kind = type(constraint).__name__
        if kind in ("FixAtoms", "FixScaled") and np.all(getattr(constraint, "mask", True)):
            whole = np.zeros(len(held), dtype=bool)
            whole[constraint.get_indices()] = True
            held[whole & (forces == 0.0).all(1)] = True
        elif kind == "FixCartesian":
            held[constraint.get_indices()] |= np.asarray(constraint.mask, dtype=bool)
    return held & (forces == 0.0)


def numbers(given: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Finite numbers of a shape; ValueError, which begins with ``what``, where they are none."""
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


def refuse_one_point(x: np.ndarray, cell: np.ndarray, pbc: np.ndarray, where: str) -> None:
    """ValueError where two atoms are at one point, or one and an image of the other: between them a
    force has no direction."""
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
