"""Elements and masses of a file's atoms: from the file, given by the user, or guessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from systems.sources.elements import by_mass, guess
from systems.sources.file_options import FileOptions, Reading

_LIGHTEST = 0.5  # u, below which no atom is
# u, of sites that have none: it counts in no sum, and momenta still tell velocities
VIRTUAL_MASS = 1e-10


@dataclass(frozen=True, eq=False)
class AtomLabels:
    """Labels of a file's atoms, [n] each: their ``names``, None where elements are known,
    ``masses`` (u, 0 where it does not), ``types``, and residues with their numbers as of
    `systems.sources.elements.guess`.

    Masses that the user gives go by the names ``chosen`` where these are others. In ``reduced``
    units masses are bare numbers, which tell no elements.
    """

    names: Sequence[str] | None = None
    masses: np.ndarray | None = None
    types: Sequence[str] = ()
    residues: Sequence[str] | None = None
    residue_numbers: Sequence[int] | None = None
    chosen: Sequence[str] | None = None
    reduced: bool = False


def identify(atoms: Any, reading: Reading, labels: AtomLabels) -> None:
    """Set elements and masses of an ``ase.Atoms``; positions and momenta stay.

    Masses are those that the user gave, by name, type or element, else those the file tells, else
    those of the elements. Atoms of no element get the one that has their mass. What is guessed,
    unknown or given goes into ``reading``; names that are no elements are kept.
    """
    names, told = labels.names, labels.masses
    key = (
        None if names is None else list(names),
        list(labels.types),
        b"" if told is None else np.asarray(told, dtype=float).tobytes(),
        atoms.numbers.tobytes() if names is None else b"",
        labels.reduced,
    )
    # frames of a trajectory are of the same atoms
    if reading.identified is None or reading.identified[0] != key:
        reading.identified = key, *_identities(atoms, reading, labels)
    _, numbers, masses = reading.identified
    atoms.numbers[:] = numbers
    if names is not None and "names" not in atoms.arrays and key[0] != atoms.get_chemical_symbols():
        atoms.new_array("names", np.array(names))
    if not np.array_equal(masses, atoms.get_masses()):
        atoms.set_masses(masses)


def _identities(atoms: Any, reading: Reading, labels: AtomLabels) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and masses as of `identify`, which leaves ``atoms`` as it is."""
    from ase.data import chemical_symbols

    n, names = len(atoms), labels.names
    told = None if labels.masses is None else np.asarray(labels.masses, dtype=float)
    masses = np.zeros(n) if told is None else told.copy()
    numbers, virtual, own = atoms.numbers.copy(), np.zeros(n, dtype=bool), masses > 0
    if names is not None:
        known = None if told is None or labels.reduced else masses
        guessed = guess(names, labels.residues, known, labels.residue_numbers)
        numbers = guessed.numbers
        virtual = guessed.virtual | (~own & own.any())  # the file tells that they have none
        masses = np.where(own, masses, np.where(virtual, 0.0, guessed.masses))
        reading.assumed |= {"elements": guessed.words} if guessed.words else {}
    else:
        masses = np.where(own, masses, np.where(numbers > 0, atoms.get_masses(), 0.0))
    symbols = [chemical_symbols[k] for k in numbers]
    called = list(next(one for one in (labels.chosen, names, symbols) if one is not None))
    types = labels.types or called
    given = _chosen(called, types, symbols, reading)
    masses = np.where(given > 0, given, masses)
    if not labels.reduced:
        _name_by_mass(numbers, masses, reading)
        _say_light(masses, reading)
    virtual &= masses <= 0
    lacking = (masses <= 0) & ~virtual & (not labels.reduced)
    reading.virtual |= {name for name, is_so in zip(called, virtual, strict=True) if is_so}
    reading.massless |= {name for name, is_so in zip(types, lacking, strict=True) if is_so}
    return numbers, np.where(masses > 0, masses, np.where(virtual, VIRTUAL_MASS, 1.0))


def _say_light(masses: np.ndarray, reading: Reading) -> None:
    there = masses[masses > 0]
    if len(there) and there.max() < _LIGHTEST:
        reading.assumed["masses"] = (
            f"as the file tells them, {there.min():g} to {there.max():g} u, which are no atoms':"
            " --masses tells others"
        )


def chosen_masses(names: Sequence[str], symbols: Sequence[str], options: FileOptions) -> np.ndarray:
    """Masses that the user gave, by name first, then by element; zero of all other atoms."""
    given = options.masses
    return np.array(
        [
            given.get(name, given.get(symbol, 0.0))
            for name, symbol in zip(names, symbols, strict=True)
        ],
        dtype=float,
    )


def _chosen(
    labels: Sequence[str], types: Sequence[str], symbols: Sequence[str], reading: Reading
) -> np.ndarray:
    if not reading.options.masses:
        return np.zeros(len(labels))
    by_name = chosen_masses(labels, symbols, reading.options)
    found = np.where(by_name > 0, by_name, chosen_masses(types, types, reading.options))
    named = {*labels, *types, *({*symbols} - {"X"})}
    if missing := [name for name in reading.options.masses if name not in named]:
        there = ", ".join(sorted(named)[:8]) or "atoms without names"
        raise ValueError(
            f"no atom is called {' or '.join(missing)}, of which --masses tells a mass; the file"
            f" has {there}"
        )
    if found.any():
        reading.assumed["masses"] = f"as the user gave them, of {int((found > 0).sum()):,} atoms"
    return found


def _name_by_mass(numbers: np.ndarray, masses: np.ndarray, reading: Reading) -> None:
    """Give atoms of no element the one that has their mass, where one has."""
    from ase.data import chemical_symbols

    which = (numbers == 0) & (masses > 0)
    found = {mass: by_mass(mass) for mass in set(masses[which].tolist())}
    for k in np.flatnonzero(which):
        numbers[k] = found[masses[k]]
    if any(found.values()):
        said = ", ".join(
            f"{chemical_symbols[z]} of {mass:.5g} u" for mass, z in sorted(found.items()) if z
        )
        before = reading.assumed.get("elements", "").partition("; no element for ")[0]
        before = "" if ": no element" in before else before
        reading.assumed["elements"] = "; ".join(
            filter(None, (before, f"guessed from masses: {said}"))
        )
