"""Which element and which mass each atom of a file has: what the file tells, what the user says
better, and what is guessed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from systems.sources.elements import by_mass, guess
from systems.sources.file_options import FileOptions, Reading

_LIGHTEST = 0.5  # u, below which no atom is
VIRTUAL_MASS = (
    1e-10  # u, of sites that have none: it counts in no sum, and momenta still tell velocities
)


def identify(
    atoms: Any,
    reading: Reading,
    names: Sequence[str] | None = None,
    told: np.ndarray | None = None,
    types: Sequence[str] = (),
    *,
    residues: Sequence[str] | None = None,
    indices: Sequence[int] | None = None,
    chosen: Sequence[str] | None = None,
    reduced: bool = False,
) -> None:
    """Set elements and masses of an ``ase.Atoms`` whose atoms are called ``names`` [n]; without
    names its elements are known.

    Masses are those that the user gave, by name, type or element, else those the file ``told`` [n]
    (u, 0 where it does not), else those of the elements. ``residues`` and ``indices`` are theirs as
    of `systems.sources.elements.guess`; masses of the user go by the names ``chosen`` [n] where
    these are others. Atoms of no element get the one that has their mass, but not in ``reduced``
    units, where masses are bare numbers. Positions and momenta stay. What is guessed, unknown or
    given goes into ``reading``; names that are no elements are kept.
    """
    told = None if told is None else np.asarray(told, dtype=float)
    key = (
        None if names is None else list(names),
        list(types),
        b"" if told is None else told.tobytes(),
        atoms.numbers.tobytes() if names is None else b"",
        reduced,
    )
    if (
        reading.identified is None or reading.identified[0] != key
    ):  # frames of a trajectory are of the same atoms
        found = _identities(atoms, reading, names, told, types, residues, indices, chosen, reduced)
        reading.identified = key, *found
    _, numbers, masses = reading.identified
    atoms.numbers[:] = numbers
    if names is not None and "names" not in atoms.arrays and key[0] != atoms.get_chemical_symbols():
        atoms.new_array("names", np.array(names))
    if not np.array_equal(masses, atoms.get_masses()):
        atoms.set_masses(masses)


def _identities(
    atoms: Any,
    reading: Reading,
    names: Sequence[str] | None,
    told: np.ndarray | None,
    types: Sequence[str],
    residues: Sequence[str] | None,
    indices: Sequence[int] | None,
    chosen: Sequence[str] | None,
    reduced: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and masses as of `identify`, which leaves ``atoms`` as it is."""
    from ase.data import chemical_symbols

    n = len(atoms)
    masses = np.zeros(n) if told is None else told.copy()
    numbers, virtual, own = atoms.numbers.copy(), np.zeros(n, dtype=bool), masses > 0
    if names is not None:
        guessed = guess(names, residues, None if told is None or reduced else masses, indices)
        numbers = guessed.numbers
        virtual = guessed.virtual | (~own & own.any())  # the file tells that they have none
        masses = np.where(own, masses, np.where(virtual, 0.0, guessed.masses))
        reading.assumed |= {"elements": guessed.words} if guessed.words else {}
    else:
        masses = np.where(own, masses, np.where(numbers > 0, atoms.get_masses(), 0.0))
    symbols = [chemical_symbols[k] for k in numbers]
    labels = list(chosen if chosen is not None else symbols if names is None else names)
    given = _chosen(labels, types or labels, symbols, reading)
    masses = np.where(given > 0, given, masses)
    if not reduced:
        _name_by_mass(numbers, masses, reading)
        _say_light(masses, reading)
    virtual &= masses <= 0
    lacking = (masses <= 0) & ~virtual
    reading.virtual |= {name for name, is_so in zip(labels, virtual, strict=True) if is_so}
    reading.massless |= {
        name for name, is_so in zip(types or labels, lacking, strict=True) if is_so and not reduced
    }
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
