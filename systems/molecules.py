"""Anything ASE can read or build as a `System`, and back; nothing more."""

from typing import Any

import numpy as np

from systems.system import System, check
from systems.units import METAL

# an ase.Atoms is Any here: importing ASE takes a fifth of a second


def from_atoms(atoms: Any) -> System:
    """The system of an ``ase.Atoms``, in metal units, which are ASE's own; its calculator and its constraints are left behind.

    So times are in ASE's unit, 10.18 fs: a step of two femtoseconds is 2 * ase.units.fs.

    Charges are the initial charges. Raises ValueError where there are no atoms, or a number is not finite.
    """
    if len(atoms) == 0:
        raise ValueError("there are no atoms")
    cell = np.array(atoms.cell, dtype=float)
    pbc = (bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2]))
    given = (atoms.get_momenta(), atoms.get_masses(), atoms.get_initial_charges())
    momenta, masses, charges = (np.asarray(part, dtype=float) for part in given)
    species = atoms.numbers.astype(int)
    return check(System(atoms.get_positions(), momenta, masses, species, charges, cell if cell.any() else None, pbc, METAL))


def to_atoms(system: System) -> Any:
    """The ``ase.Atoms`` of a single system in metal units. ValueError for others: ASE has no place for them."""
    from ase import Atoms

    if system.units is not METAL or system.n_systems is not None:
        kind = "an ensemble" if system.n_systems is not None else f"a system in {system.units.name} units"
        raise ValueError(f"{kind} has no place in ASE's Atoms; they hold one system in metal units")
    return Atoms(
        numbers=system.species, positions=system.positions, momenta=system.momenta, masses=system.masses,
        charges=system.charges if system.charges.any() else None, cell=system.cell, pbc=system.pbc,
    )  # fmt: skip
