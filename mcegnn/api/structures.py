"""Structures from Python: files, `ase.Atoms` or systems; those in memory are written to a file for
the run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from systems.system import System
from systems.units import METAL

if TYPE_CHECKING:
    from mcegnn.prediction import Named

StructureLike = Any  # a file's name, ase.Atoms or a System


def is_name(structure: StructureLike) -> bool:
    """Whether a structure is given by a name, such as that of a file."""
    return isinstance(structure, str | Path)


def atoms_of(structure: StructureLike) -> Any:
    """Convert a structure in memory to `ase.Atoms`. Raises TypeError if it is another object, and
    ValueError if it is a system that is not of atoms."""
    from ase import Atoms

    from systems.sources.atoms import to_atoms

    if isinstance(structure, Atoms):
        return structure
    if not isinstance(structure, System):
        raise TypeError(
            "a structure is a file's name, an ase.Atoms or a System, not a"
            f" {type(structure).__name__}"
        )
    if structure.units is not METAL or structure.n_systems is not None:
        what = (
            "an ensemble"
            if structure.n_systems is not None
            else f"a system in {structure.units.name} units"
        )
        raise ValueError(
            f"{what} is not a structure of atoms; move it by mcegnn.rollout(flow, State(system),"
            " dt, n_steps)"
        )
    return to_atoms(structure)


def systems_of(structures: StructureLike | Sequence[StructureLike]) -> "list[Named]":
    """Systems of one structure or several, each with its name: its file, with @INDEX if that holds
    several, or its number among those in memory."""
    from mcegnn.prediction import Named, read_structures
    from systems.sources.atoms import from_atoms

    several = list(structures) if isinstance(structures, list | tuple) else [structures]
    found: list[Named] = []
    for one in several:
        if is_name(one):
            found += read_structures([str(one)])
        elif isinstance(one, System):
            found.append(Named(f"structure {len(found)}", one))
        else:
            found.append(Named(f"structure {len(found)}", from_atoms(atoms_of(one))))
    if not found:
        raise ValueError("there are no structures")
    return found


class StartFile:
    """The file, ``name``, that holds the initial structure of a run whose output is ``output``.

    A structure in memory is written beside it, as OUTPUT.start.xyz, with every digit and all that
    the run takes from it: so the run can be repeated from there, also on the command line.

    Raises FileExistsError if that file exists and must not be overwritten, and as `atoms_of`.
    """

    def __init__(self, structure: StructureLike, output: Path, *, overwrite: bool = False) -> None:
        self._made: Path | None = None
        self._before: bytes | None = None
        if is_name(structure):
            self.name = str(structure)
            return
        atoms = atoms_of(structure)
        path = _path_for(atoms, output)
        for file in (output, path):
            if file.exists() and not overwrite:
                raise FileExistsError(17, "File exists", str(file))
        self.name, self._made = str(path), path
        self._before = path.read_bytes() if path.exists() else None
        try:
            _write(atoms, path)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Restore what was there before, since the run has not begun."""
        if self._made is not None:
            self._made.unlink(missing_ok=True)
            if self._before is not None:
                self._made.write_bytes(self._before)


def _path_for(atoms: Any, output: Path) -> Path:
    """Extended XYZ, which everybody reads, has no place for a cell of one or two vectors."""
    if not output.parent.is_dir():
        raise ValueError(
            f"there is no folder {output.parent}; make it first or name another file as output"
        )
    return output.with_suffix(".start.xyz" if atoms.cell.rank in (0, 3) else ".start.traj")


def _write(atoms: Any, path: Path) -> None:
    """Write a structure. Raises ValueError if the file would not give back the same system."""
    from systems.sources.atoms import from_atoms, read
    from trajectories.extxyz import ExtendedXYZ

    plain = atoms.copy()  # without its calculator
    if path.suffix == ".traj":
        from ase.io import write

        write(path, plain)
    else:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            ExtendedXYZ(file).write(plain)
    kept, wanted = read(str(path)).system, from_atoms(atoms)
    for name in ("positions", "momenta", "masses", "species", "charges", "cell", "pbc"):
        if not np.array_equal(getattr(kept, name), getattr(wanted, name)):
            raise ValueError(
                f"the {name} of these atoms cannot be kept in a file {path.name}; write them into"
                " a file yourself and name it"
            )
