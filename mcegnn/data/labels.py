"""Labels of structures that ASE has read: from one source for all of them, in ASE's units and
signs, NaN if unknown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mcegnn.data.label_checks import numbers
from mcegnn.data.label_rules import AS_THEY_ARE, Notes, Reading
from mcegnn.data.stress_labels import StressReader

_REFERENCE = "REF_"
_NAMES = ("energy", "free_energy", "forces", "stress", "virial", "virials")
_SAME_ENERGY = 1e-6  # eV


class Found(NamedTuple):
    """Which frames have labels, and these of each: energy, forces [n_atoms, 3], stress [3, 3], NaN
    where unknown."""

    frames: list[int]
    labels: list[tuple[float, np.ndarray, np.ndarray]]
    notes: Notes


def labels_of(frames: Sequence[Any], path: str, reading: Reading = AS_THEY_ARE) -> Found:
    """Labels of `ase.Atoms`, by the rules of `Reading`, and notes on them.

    Raises ValueError, naming the frame, if a label is missing, not finite or of another shape, or
    if only some frames have a label that others have, so that labels of two methods would be mixed.
    """
    prefix, chosen = _chosen(frames, path, reading)
    given = {k: _named(frames[k], prefix) for k in chosen}
    for k in chosen:
        _check_complete(frames[k], given[k], prefix, f"structure {k} of {path}")
    kind, energy_notes = _energy(given, path, reading)
    stresses = StressReader(reading)
    labels, n_fixed = [], 0
    for k, own in given.items():
        where, n = f"structure {k} of {path}", len(frames[k])
        stress = stresses.stress(frames[k], own, where)
        energy = float(numbers(own[kind], (), f"{where}: its energy"))
        # a lone atom feels nothing, whether its file says so or not
        forces = numbers(own.get("forces", np.zeros((n, 3))), (n, 3), f"{where}: its forces")
        fixed = _fixed(frames[k], forces)
        n_fixed += int(fixed.any(1).sum())
        labels.append((energy, np.where(fixed, np.nan, forces), stress))
    notes = _notes_of_names(frames, prefix, chosen) + energy_notes + stresses.notes()
    if n_fixed:
        said = f"{n_fixed:,} forces are zero since the atoms were held fixed: left out of"
        notes += (("frozen atoms", f"{said} losses and errors"),)
    return Found(chosen, labels, notes)


def _chosen(frames: Sequence[Any], path: str, reading: Reading) -> tuple[str, list[int]]:
    """The prefix of the labels' names, and the frames that have them."""
    if reading.labels is None:
        return _usual_prefix(frames, path), list(range(len(frames)))
    prefix = "" if reading.labels == "plain" else reading.labels
    chosen = [k for k, atoms in enumerate(frames) if _named(atoms, prefix)]
    if not chosen:
        there = ", ".join(_keys(frames[0])) or "none"
        raise ValueError(
            f"no structure of {path} has labels {prefix or 'without a prefix'}; the keys of its"
            f" first are {there}"
        )
    return prefix, chosen


def _usual_prefix(frames: Sequence[Any], path: str) -> str:
    """``REF_`` where there are such labels, which all frames must have then."""
    having = [k for k, atoms in enumerate(frames) if _named(atoms, _REFERENCE)]
    if having and len(having) < len(frames):
        lacking = next(k for k in range(len(frames)) if k not in set(having))
        raise ValueError(
            f"structure {lacking} of {path} has no {_REFERENCE} labels, which {len(having):,}"
            f" of {len(frames):,} structures have: what else it has may be of another method;"
            f" give them to all, or set data.labels={_REFERENCE} (without such structures) or"
            " data.labels=plain"
        )
    return _REFERENCE if having else ""


def _notes_of_names(frames: Sequence[Any], prefix: str, chosen: Sequence[int]) -> Notes:
    """Which labels are read, and which labels and frames are left out."""

    def present(prefix: str) -> list[str]:
        return [name for name in _NAMES if any(name in _named(frames[k], prefix) for k in chosen)]

    others = present("") if prefix else []
    left = f"; {', '.join(others)} of another source are left out" if others else ""
    notes: Notes = (("labels", ", ".join(prefix + name for name in present(prefix)) + left),)
    if lacking := len(frames) - len(chosen):
        which = prefix or "without a prefix"
        notes += (("without labels", f"{lacking:,} structures have none {which}: left out"),)
    return notes


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


def _check_complete(atoms: Any, given: dict[str, Any], prefix: str, where: str) -> None:
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
    """Choose one of two energies for all frames, and return a note on the other."""
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


def _fixed(atoms: Any, forces: np.ndarray) -> np.ndarray:
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
