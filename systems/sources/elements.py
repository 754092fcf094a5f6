"""Elements of atoms that files tell only names, types or masses of: guessed, and what was guessed
said in words."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from systems.sources.residues import (
    IN_WATER,
    ION_RESIDUES,
    IONS,
    LIPIDS,
    NUCLEIC,
    PROTEIN,
    VIRTUAL,
    WATER,
)

ISOTOPES = {"D": 2.01410177811, "T": 3.01604928}  # u, of hydrogen that has a name of its own
_ORGANIC = "HCNOSPFIBK"
# of the two-letter elements that begin as an element of one letter does, those that names of atoms
# mean
_TWO = {"CL", "BR", "SI", "SE", "FE", "CU", "CR", "NI", "KR", "PT", "PD", "SR", "SN"}
_UNITED = 4.6  # u: four hydrogens that a united atom carries, or that mass repartitioning gave away
_NEAR = 0.15  # u between an element and a mass that is its own


class Guess(NamedTuple):
    """Atomic numbers [n] (0: none), masses [n] in u (0: none known, or none at all), which are
    virtual sites [n], and what was guessed."""

    numbers: np.ndarray
    masses: np.ndarray
    virtual: np.ndarray
    words: str


def guess(
    names: Sequence[str],
    residues: Sequence[str] | None = None,
    masses: Sequence[float] | np.ndarray | None = None,
    indices: Sequence[int] | None = None,
) -> Guess:
    """Guess elements from names of atoms [n] and, where they are known, names and ``indices`` of
    their residues and masses (u).

    A mass decides between letters that fit (CA of 12 u is carbon, of 40 u calcium); else a name
    that is its residue's, or stands alone in a residue, is an ion or a noble gas, and within
    proteins, nucleic acids and water the first letter counts. Guessed masses are those of the
    elements, of D and T those of the isotopes.
    """
    from ase.data import atomic_masses

    n = len(names)
    groups = [""] * n if residues is None else [str(one) for one in residues]
    own = (
        [] if residues is None else list(range(n)) if indices is None else [int(k) for k in indices]
    )
    sizes = Counter(own)
    known = np.zeros(n) if masses is None else np.nan_to_num(np.asarray(masses, dtype=float))
    plain = residues is None and all(
        _head(str(name)).capitalize() in _numbers() for name in set(names)
    )
    living = any(group.strip().upper() in PROTEIN | NUCLEIC for group in set(groups))
    single = [
        bool(own)
        and sizes[own[k]] == 1
        and (not living or groups[k].strip().upper() in ION_RESIDUES)
        for k in range(n)
    ]
    keys = [(str(names[k]), groups[k], single[k], float(known[k])) for k in range(n)]
    found = {key: _one(*key, plain) for key in set(keys)}
    numbers = np.array([found[key][0] for key in keys], dtype=np.int64)
    virtual = np.array([found[key][1] for key in keys], dtype=bool)
    isotopes = np.array([ISOTOPES.get(key[0], 0.0) for key in keys])
    standard = np.where(numbers > 0, np.where(isotopes > 0, isotopes, atomic_masses[numbers]), 0.0)
    return Guess(numbers, np.where(known > 0, known, standard), virtual, _words(found))


def by_mass(mass: float) -> int:
    """The element whose mass is nearest, as atomic number; 0 where none is within 0.15 u."""
    from ase.data import atomic_masses

    if any(abs(mass - isotope) < _NEAR for isotope in ISOTOPES.values()):
        return 1
    if abs(mass - 1.0) < 1e-6:  # of reduced units
        return 0
    differences = abs(atomic_masses[1:104] - mass)
    nearest = int(differences.argmin())
    return nearest + 1 if differences[nearest] < _NEAR else 0


@cache
def _numbers() -> dict[str, int]:
    from ase.data import atomic_names, atomic_numbers

    spelled = {name: number for number, name in enumerate(atomic_names) if number}
    return {**spelled, **{symbol: number for symbol, number in atomic_numbers.items() if number}}


def _head(name: str) -> str:
    """The first run of letters: OW of OW1, H of 1H, Na of Na+."""
    match = re.search(r"[A-Za-z]+", name)
    return match[0] if match else ""


def _one(name: str, residue: str, alone: bool, mass: float, plain: bool) -> tuple[int, bool]:
    """The atomic number of an atom (0 where none), and whether it is a virtual site."""
    head, residue = _head(name), residue.strip().upper()
    if not mass and (head.upper() in VIRTUAL or (residue in WATER and head.upper() in IN_WATER)):
        return 0, True
    if name in ISOTOPES and (not mass or abs(mass - ISOTOPES[name]) < _NEAR):
        return 1, False
    one, two = _numbers().get(head[:1].upper(), 0), _numbers().get(head[:2].capitalize(), 0)
    if len(head) > 3 and head.capitalize() in _numbers():  # spelled out
        return _numbers()[head.capitalize()], False
    if mass:
        return _with_mass(one, two if len(head) > 1 else 0, mass), False
    if not head or len(head) > 4:
        return 0, False
    if head.upper() in IONS and (alone or head.upper() == _head(residue)):
        return _numbers()[IONS[head.upper()]], False
    return _by_letters(head, residue, alone, one, two, plain), False


def _by_letters(head: str, residue: str, alone: bool, one: int, two: int, plain: bool) -> int:
    biological = residue in WATER | PROTEIN | NUCLEIC | LIPIDS and head.upper() != _head(residue)
    if not two or len(head) == 1:
        return one
    if biological:
        selenium = head.upper() == "SE" and residue in ("MSE", "SEC")
        return two if selenium or head[0].upper() not in _ORGANIC else one
    whole = len(head) == 2 and ((head[1].islower() and head[0].isupper()) or plain)
    if whole or alone or head.upper() == _head(residue) or head[:2].upper() in _TWO or not one:
        return two
    return one


def _with_mass(one: int, two: int, mass: float) -> int:
    """Of the elements that a name may mean the one whose mass is nearest, else the one that has
    such a mass."""
    from ase.data import atomic_masses

    def off(number: int) -> float:
        return abs(float(atomic_masses[number]) - mass)

    fitting = [k for k, allowed in ((one, _UNITED), (two, 0.6)) if k and off(k) < allowed]
    return min(fitting, key=off) if fitting else by_mass(mass)


def _words(found: dict[tuple[str, str, bool, float], tuple[int, bool]]) -> str:
    """Which names were taken for which elements, of those that are no symbols of elements; nothing
    where all are."""
    from ase.data import chemical_symbols

    names: dict[str, list[str]] = {}
    unknown: set[str] = set()
    virtual: set[str] = set()
    for (name, residue, _, mass), (number, is_virtual) in sorted(found.items()):
        if is_virtual:
            virtual.add(name)
        elif not number:
            unknown.add(name)
        elif name != chemical_symbols[number] or (residue and len(name) > 1):
            said = (
                f"{name} in {residue}"
                if residue and len(_head(name)) > 1
                else f"{name} of {mass:.5g} u"
                if mass
                else name
            )
            there = names.setdefault(chemical_symbols[number], [])
            there += [said] if said not in there else []
    parts = [f"{symbol} from {_few(list(those))}" for symbol, those in names.items()]
    parts += [f"no element for {_few(sorted(unknown - {''}))}"] if unknown - {""} else []
    parts += [f"virtual sites without mass {_few(sorted(virtual))}"] if virtual else []
    by_mass_too = any(mass for _, _, _, mass in found)
    return f"guessed from names{' and masses' * by_mass_too}: " + "; ".join(parts) if parts else ""


def _few(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
