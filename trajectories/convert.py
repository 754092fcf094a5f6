"""Runs as files of other formats: extended XYZ, ASE's .traj, DCD by MDAnalysis."""

import errno
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from systems.system import Evaluation, System
from systems.units import METAL
from trajectories.extxyz import ExtendedXYZ
from trajectories.storage.atomic_write import replacing
from trajectories.storage.h5md import H5MDReader


def check_separable(reader: H5MDReader, system: int | None) -> None:
    """Raise ValueError if a system does not exist, or none of several that are structures
    of their own."""
    n = reader.n_systems
    if system is not None and not (n is not None and 0 <= system < n):
        there = "a single system" if n is None else f"systems 0 to {n - 1}"
        raise ValueError(f"there is no system {system}: {reader.path} holds {there}")
    if system is None and n is not None and reader.units is METAL:
        raise ValueError(
            f"{reader.path} holds {n} systems, each a structure of its own; name one with --system"
            f" K (0 to {n - 1})"
        )


def atoms_of(
    reader: H5MDReader, which: int | None, frames: Iterable[int] | None = None
) -> Iterator[Any]:
    """Every frame, or those of these numbers, as ase.Atoms, one system or all one after the other,
    with all that the run keeps and, in metal units, all results.

    Velocities, masses or times that the files of another program lack are left out.
    """
    from systems.sources.template import from_text, without_results

    template = from_text(reader.template) if which is not None or reader.n_systems is None else None
    if template is not None:
        template, _ = without_results(template)
    for k in range(len(reader)) if frames is None else frames:
        state = reader[k]
        system = state.system if which is None else state.system.copy_of(which)
        atoms = _structure(reader, k, system, template)
        atoms.info |= _moment(reader, state.time, state.step)
        _add_results(reader, k, which, atoms, state.evaluation)
        yield atoms


def _structure(reader: H5MDReader, k: int, system: System, template: Any) -> Any:
    """The atoms of frame k, all systems of an ensemble one after the other."""
    from ase import Atoms
    from ase.constraints import FixAtoms

    copies = system.n_systems or 1
    numbers = np.tile(system.species, copies)
    atoms = (
        template.copy()
        if template is not None and np.array_equal(template.numbers, numbers)
        else Atoms(numbers)
    )
    atoms.set_positions(system.positions.reshape(-1, 3))
    atoms.set_cell(np.zeros((3, 3)) if system.cell is None else system.cell)
    atoms.pbc = system.pbc
    if "masses" not in reader.missing:
        atoms.set_masses(np.tile(system.masses, copies))
    if reader.moving[k]:
        atoms.set_momenta(system.momenta.reshape(-1, 3))
    if np.any(system.charges):
        atoms.set_initial_charges(np.ravel(system.charges))
    if reader.names:
        atoms.set_array("names", np.array(reader.names * copies))
    if reader.frozen:
        atoms.set_constraint(FixAtoms(reader.frozen))
    return atoms


def _moment(reader: H5MDReader, time: float, step: int) -> dict[str, Any]:
    """Time and step of a frame, in the form that `trajectories.foreign` reads."""
    if "times" in reader.missing:
        return {"step": step, "units": reader.units.name}
    twice = {"time_fs": time / METAL.convert(1.0, "fs")} if reader.units is METAL else {}
    return {"time": time, "step": step, "units": reader.units.name, **twice}


def _add_results(
    reader: H5MDReader, k: int, which: int | None, atoms: Any, known: Evaluation | None
) -> None:
    """Energy, forces and stress as a calculator's, and the spread of a committee."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import full_3x3_to_voigt_6_stress

    if known is None or reader.units is not METAL:
        return
    results = {
        "energy": known.energy,
        "forces": known.forces,
        "stress": known.stress,
        "uncertainty": reader.observable("uncertainty", k),
    }
    there = {
        name: value if which is None else value[which]
        for name, value in results.items()
        if value is not None
    }
    if "uncertainty" in there:
        atoms.info["uncertainty"] = float(there.pop("uncertainty"))
    if "energy" in there:
        there["energy"] = float(there["energy"])
    if "stress" in there:
        there["stress"] = full_3x3_to_voigt_6_stress(there["stress"])
    atoms.calc = SinglePointCalculator(atoms, **there)


def _write_xyz(reader: H5MDReader, path: Path, which: int | None) -> set[str]:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        xyz = ExtendedXYZ(file)
        for atoms in atoms_of(reader, which):
            xyz.write(atoms)
    return xyz.left_out


def _write_traj(reader: H5MDReader, path: Path, which: int | None) -> set[str]:
    """The format has place for ASE's own arrays."""
    from ase.io.trajectory import Trajectory

    left_out: set[str] = set()
    with Trajectory(path, "w") as trajectory:
        for atoms in atoms_of(reader, which):
            others = atoms.arrays.keys() - {
                "numbers",
                "positions",
                "momenta",
                "masses",
                "initial_charges",
                "initial_magmoms",
                "tags",
            }
            for name in others:
                del atoms.arrays[name]
            left_out |= others
            trajectory.write(atoms)
    return left_out


def _write_dcd(reader: H5MDReader, path: Path, which: int | None) -> None:
    """Positions in standard orientation, since the format holds a cell's lengths and angles; none
    of an ensemble as a whole."""
    import MDAnalysis

    from trajectories.mdanalysis import Boxes

    times, picosecond = reader.times, METAL.convert(1.0, "ps") if reader.units is METAL else 1.0
    n = reader.n_particles * (1 if which is not None else reader.n_systems or 1)
    dt = float(times[1] - times[0]) / picosecond if len(times) > 1 else 1.0
    u, boxes = MDAnalysis.Universe.empty(n, trajectory=True), Boxes()
    with (
        warnings.catch_warnings(),
        MDAnalysis.Writer(str(path), n, convert_units=False, dt=dt) as writer,
    ):
        warnings.filterwarnings("ignore", "No dimensions set")  # as it should be: there is no box
        for k in range(len(reader)):
            system = reader[k].system
            system = system if which is None else system.copy_of(which)
            x, cell = system.positions.reshape(-1, 3), system.cell
            if (
                cell is not None and cell.ndim > 2
            ):  # systems of an ensemble have cells of their own, and the format holds one
                cell = None
            box, orientation = boxes(cell, system.pbc, x)
            u.dimensions = box
            u.atoms.positions = x if orientation is None else orientation.turn(x)
            writer.write(u.atoms)
    with MDAnalysis.lib.formats.libdcd.DCDFile(
        str(path)
    ) as written:  # its writer does not hear of a full disk
        if len(written) != len(reader):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


#: Who writes a file, by its ending.
FORMATS: dict[str, Callable[[H5MDReader, Path, int | None], set[str] | None]] = {
    ".xyz": _write_xyz,
    ".traj": _write_traj,
    ".dcd": _write_dcd,
}


def convert_run(reader: H5MDReader, path: Path, system: int | None = None) -> list[str]:
    """Convert a run, one system of it or all, to the format of the path's ending; an existing file
    stays until the new one is complete.

    Returns the names of what the format has no place for.

    Raises KeyError if the ending is not in `FORMATS`, and OSError if the disk does not take the
    file: nothing of it is left then.
    """
    temporary = path.with_name(f"{path.stem}.tmp{path.suffix}")
    with replacing(path, temporary):
        left_out = FORMATS[path.suffix](reader, temporary, system)
    return sorted(left_out or ())
