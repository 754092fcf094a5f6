"""Conversion between `ase.Atoms`, or files that ASE reads, and `System`."""

import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from systems.sources.atoms_files import NOT_TEXT, RefusedFileError, chosen
from systems.sources.file_options import FileOptions, Reading
from systems.system import System, check
from systems.units import METAL

# an ase.Atoms is Any here: importing ASE takes a fifth of a second


def from_atoms(atoms: Any) -> System:
    """Convert an ``ase.Atoms`` to a `System` in metal units, which are ASE's own. The calculator,
    the constraints, info, tags, initial magnetic moments and further arrays are not in the system;
    `to_atoms` restores them, except the calculator, if the atoms are its template.

    So times are in ASE's unit, 10.18 fs: a step of two femtoseconds is 2 * ase.units.fs.

    Charges are the initial charges. Raises ValueError if there are no atoms, or a number is not
    finite.
    """
    if len(atoms) == 0:
        raise ValueError("there are no atoms")
    cell = np.array(atoms.cell, dtype=float)
    pbc = (bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2]))
    given = (atoms.get_momenta(), atoms.get_masses(), atoms.get_initial_charges())
    momenta, masses, charges = (np.asarray(part, dtype=float) for part in given)
    species = atoms.numbers.astype(int)
    return check(
        System(
            atoms.get_positions(),
            momenta,
            masses,
            species,
            charges,
            cell if cell.any() else None,
            pbc,
            METAL,
        )
    )


def to_atoms(system: System, template: Any = None) -> Any:
    """Convert a single system in metal units to ``ase.Atoms``, with info, constraints and further
    arrays of a template, the atoms that it was made of.

    Raises ValueError if it is another system, for which ASE has no place, or the template is of
    other atoms.
    """
    from ase import Atoms

    if system.units is not METAL or system.n_systems is not None:
        kind = (
            "an ensemble"
            if system.n_systems is not None
            else f"a system in {system.units.name} units"
        )
        raise ValueError(f"{kind} has no place in ASE's Atoms; they hold one system in metal units")
    if template is not None:
        return _filled(template, system)
    return Atoms(
        numbers=system.species,
        positions=system.positions,
        momenta=system.momenta,
        masses=system.masses,
        charges=system.charges if system.charges.any() else None,
        cell=system.cell,
        pbc=system.pbc,
    )


def _filled(template: Any, system: System) -> Any:
    """A copy of the template with the system's numbers; what the template says already, such as
    usual masses, is not said again."""
    if not np.array_equal(template.numbers, system.species):
        raise ValueError(
            f"the template's atoms ({template.symbols}) are not the system's; take the atoms that"
            " the system was made of, in their order"
        )
    atoms = template.copy()
    atoms.info = deepcopy(template.info)
    atoms.set_cell(np.zeros((3, 3)) if system.cell is None else system.cell)
    atoms.pbc = system.pbc
    atoms.set_positions(system.positions, apply_constraint=False)
    if atoms.has("momenta") or np.any(system.momenta):
        atoms.set_momenta(system.momenta, apply_constraint=False)
    if not np.array_equal(atoms.get_masses(), system.masses):
        atoms.set_masses(system.masses)
    if not np.array_equal(atoms.get_initial_charges(), system.charges):
        atoms.set_initial_charges(system.charges)
    return atoms


class Structure(NamedTuple):
    """Structure of a file: a system, which of its atoms are frozen [n_atoms], and the
    ``ase.Atoms``, with all that a system has no place for.

    ``assumed`` tells in words what the file does not: "units", "elements", "masses".
    """

    system: System
    frozen: np.ndarray
    atoms: Any
    assumed: dict[str, str]


def read(name: str, options: FileOptions | None = None) -> Structure:
    """Read the structure of a file that ASE opens, its last one or that of ``FILE@INDEX``;
    ``options`` override what the file holds.

    Raises FileNotFoundError if there is no file, and ValueError if ASE cannot read it or the mass
    of an atom is unknown.
    """
    reading = Reading(options or FileOptions())
    found = _structures(name, reading, last=True)
    if len(found) != 1:
        raise ValueError(
            f"{name} holds {len(found)} structures; name one, such as {path_of(name)}@0"
        )
    try:
        return Structure(from_atoms(found[0]), frozen(found[0]), found[0], reading.assumed)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def read_all(name: str, reading: Reading | None = None) -> list[tuple[System, Any]]:
    """Read all structures of a file that ASE opens, or those of ``FILE@INDEX``, with their atoms;
    ``reading`` records what was assumed.

    Raises as `read`.
    """
    found = _structures(name, reading or Reading(), last=False)
    try:
        return [(from_atoms(atoms), atoms) for atoms in found]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def path_of(name: str) -> Path:
    """The file of FILE or of FILE@INDEX."""
    return Path(name) if Path(name).exists() else Path(name.rpartition("@")[0] or name)


def _structures(name: str, reading: Reading, *, last: bool) -> list[Any]:
    """The structures that a name means: of a file without an index the last, or all."""
    path = path_of(name)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file of atoms in it")
    open(path, "rb").close()  # a file that may not be read says so itself
    if "@" in path.name:
        raise ValueError(
            f"ASE takes what follows the @ in {path.name} for the number of a structure; rename the"
            " file"
        )
    if reading.options.reduced:
        raise ValueError(
            f"{name}: units lj have no size in Angstrom and eV; turn the file into units that have"
        )
    try:
        index = name.rpartition("@")[2] if path != Path(name) else "-1" if last else ":"
        with warnings.catch_warnings(action="ignore"):
            found = chosen(path, index, reading)
    except RefusedFileError as error:
        raise ValueError(f"{name}: {error}") from None
    except (StopIteration, IndexError):
        raise ValueError(f"{name}: ASE finds no such structure in {path}") from None
    except UnicodeDecodeError:
        raise ValueError(f"ASE cannot read atoms from {name}: {NOT_TEXT}") from None
    except Exception as error:  # each of ASE's readers fails in its own way
        said = " ".join(str(error).split()) or "it makes nothing of its contents"
        raise ValueError(
            f"ASE cannot read atoms from {name}: {said} ({type(error).__name__})"
        ) from None
    _check_masses(name, reading)
    return found


def _check_masses(name: str, reading: Reading) -> None:
    """Raise ValueError if atoms of the file have no mass, or sites are to have none."""
    if reading.virtual:
        raise ValueError(
            f"{name} has sites without mass ({', '.join(sorted(reading.virtual)[:4])}), which"
            " dynamics here do not move"
        )
    if lacking := reading.massless:
        few = ", ".join(sorted(lacking)[:4])
        raise ValueError(
            f"{name} does not tell the masses of atoms {few}; give them as --masses"
            f' "{sorted(lacking)[0]}=12.011,..."'
        )


def frozen(atoms: Any) -> np.ndarray:
    """Which atoms [n_atoms] of an ``ase.Atoms`` are fixed by FixAtoms. Raises ValueError if there
    is any other constraint, which would not be honoured."""
    from ase.constraints import FixAtoms

    held = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise ValueError(
                f"its constraint {type(constraint).__name__} is not honoured; only FixAtoms is, so"
                " take it off"
            )
        held[constraint.index] = True
    return held
