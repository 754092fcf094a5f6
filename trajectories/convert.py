"""Runs as files of other formats: extended XYZ, ASE's .traj, DCD by MDAnalysis."""

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from systems.units import METAL
from trajectories.h5md import H5MDReader
from trajectories.whole import replacing


def refuse_together(reader: H5MDReader, system: int | None) -> None:
    """ValueError where a system is named that is not there, or none of several that are structures of their own."""
    n = reader.n_systems
    if system is not None and not (n is not None and 0 <= system < n):
        there = "a single system" if n is None else f"systems 0 to {n - 1}"
        raise ValueError(f"there is no system {system}: {reader.path} holds {there}")
    if system is None and n is not None and reader.units is METAL:
        raise ValueError(f"{reader.path} holds {n} systems, each a structure of its own; name one with --system K (0 to {n - 1})")


def _atoms(reader: H5MDReader, which: int | None) -> Iterator[Any]:
    """Every frame as ase.Atoms, one system or all one after the other; names, time, and in metal units energy and forces go along."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.constraints import FixAtoms

    names, frozen = reader.names, reader.frozen
    for k in range(len(reader)):
        state = reader[k]
        system = state.system if which is None else state.system.copy_of(which)
        copies = system.n_systems or 1
        info = {"time": state.time, "step": state.step, "units": reader.units.name}
        if reader.units is METAL:
            info["time_fs"] = state.time / METAL.convert(1.0, "fs")
        atoms = Atoms(
            numbers=np.tile(system.species, copies), positions=system.positions.reshape(-1, 3), masses=np.tile(system.masses, copies),
            cell=system.cell, pbc=system.pbc, info=info,
        )  # fmt: skip
        atoms.set_momenta(system.momenta.reshape(-1, 3))
        atoms.set_initial_charges(np.ravel(system.charges))
        if names:
            atoms.arrays["names"] = np.array(names * copies)
        if frozen:
            atoms.set_constraint(FixAtoms(frozen))
        known = state.evaluation
        if known is not None and known.energy is not None and reader.units is METAL:
            energy, forces = (known.energy, known.forces) if which is None else (known.energy[which], known.forces[which])
            atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=forces)
        yield atoms


def _write_xyz(reader: H5MDReader, path: Path, which: int | None) -> None:
    """Extended XYZ with every digit: ASE's own writer keeps eight decimals, which are none of a planet's momentum."""
    with open(path, "w", encoding="utf-8") as file:
        for atoms in _atoms(reader, which):
            columns = "species:S:1:pos:R:3:momenta:R:3:masses:R:1:initial_charges:R:1"
            numbers = [atoms.positions, atoms.get_momenta(), atoms.get_masses(), atoms.get_initial_charges()]
            said = {key: value if isinstance(value, str) else repr(value) for key, value in atoms.info.items()}
            if atoms.calc is not None:
                columns += ":forces:R:3"
                numbers.append(atoms.calc.results["forces"])
                said["energy"] = repr(float(atoms.calc.results["energy"]))
            texts = [np.array(["_".join(str(name).split()) for name in atoms.arrays["names"]])] if "names" in atoms.arrays else []
            columns += ":names:S:1" if texts else ""
            if atoms.constraints:
                columns += ":move_mask:L:1"
                texts.append(np.where(np.isin(np.arange(len(atoms)), atoms.constraints[0].index), "F", "T"))
            lattice = "" if atoms.cell.rank < 3 else f'Lattice="{" ".join(repr(float(v)) for v in atoms.cell[:].ravel())}" '
            pbc = " ".join("T" if p else "F" for p in atoms.pbc)
            pairs = " ".join(f"{key}={value}" for key, value in said.items())
            file.write(f'{len(atoms)}\n{lattice}Properties={columns} {pairs} pbc="{pbc}"\n')
            rows = np.column_stack(numbers).tolist()
            for k, (symbol, row) in enumerate(zip(atoms.get_chemical_symbols(), rows, strict=True)):
                file.write(" ".join([symbol, *map(repr, row), *(str(text[k]) for text in texts)]) + "\n")


def _write_traj(reader: H5MDReader, path: Path, which: int | None) -> None:
    from ase.io.trajectory import Trajectory

    with Trajectory(path, "w") as trajectory:
        for atoms in _atoms(reader, which):
            atoms.arrays.pop("names", None)  # the format holds numbers only
            trajectory.write(atoms)


def _write_dcd(reader: H5MDReader, path: Path, which: int | None) -> None:
    """Positions in standard orientation, since the format holds a cell's lengths and angles; none of an ensemble as a whole."""
    import MDAnalysis

    from trajectories._universe import Boxes

    times, picosecond = reader.times, METAL.convert(1.0, "ps") if reader.units is METAL else 1.0
    n = reader.n_particles * (1 if which is not None else reader.n_systems or 1)
    dt = float(times[1] - times[0]) / picosecond if len(times) > 1 else 1.0
    u, boxes = MDAnalysis.Universe.empty(n, trajectory=True), Boxes()
    with warnings.catch_warnings(), MDAnalysis.Writer(str(path), n, convert_units=False, dt=dt) as writer:
        warnings.filterwarnings("ignore", "No dimensions set")  # as it should be: there is no box
        for k in range(len(reader)):
            system = reader[k].system
            system = system if which is None else system.copy_of(which)
            x, cell = system.positions.reshape(-1, 3), system.cell
            if cell is not None and cell.ndim > 2:  # systems of an ensemble have cells of their own, and the format holds one
                cell = None
            box, orientation = boxes(cell, system.pbc, x)
            u.dimensions = box
            u.atoms.positions = x if orientation is None else orientation.turn(x)
            writer.write(u.atoms)
    with MDAnalysis.lib.formats.libdcd.DCDFile(str(path)) as written:  # its writer does not hear of a full disk
        if len(written) != len(reader):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


#: Who writes a file, by its ending.
FORMATS: dict[str, Callable[[H5MDReader, Path, int | None], None]] = {".xyz": _write_xyz, ".traj": _write_traj, ".dcd": _write_dcd}


def convert_run(reader: H5MDReader, path: Path, system: int | None = None) -> None:
    """Write a run in the format of the path's ending, one system of it or all; what is there stays until the new file is whole.

    Raises KeyError for an ending that is not in `FORMATS`, OSError where the disk does not take the file: nothing of it is left then.
    """
    temporary = path.with_name(f"{path.stem}.tmp{path.suffix}")
    with replacing(path, temporary):
        FORMATS[path.suffix](reader, temporary, system)
