"""Runs as files of other formats: extended XYZ, ASE's .traj, DCD by MDAnalysis."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.h5md import H5MDReader, universe


def _atoms(reader: H5MDReader) -> Iterator[Any]:
    """Every frame as ase.Atoms, systems one after the other; names and the frame's time go along."""
    from ase import Atoms

    names = reader.names
    for k in range(len(reader)):
        state = reader[k]
        system = state.system
        copies = system.n_systems or 1
        atoms = Atoms(
            numbers=np.tile(system.species, copies), positions=system.positions.reshape(-1, 3), masses=np.tile(system.masses, copies),
            cell=system.cell, pbc=system.pbc, info={"time": state.time, "step": state.step},
        )  # fmt: skip
        atoms.set_momenta(system.momenta.reshape(-1, 3))
        atoms.set_initial_charges(np.ravel(system.charges))
        if names:
            atoms.arrays["names"] = np.array(names * copies)
        yield atoms


def _write_xyz(reader: H5MDReader, path: Path) -> None:
    """Extended XYZ with every digit: ASE's own writer keeps eight decimals, which are none of a planet's momentum."""
    columns = "species:S:1:pos:R:3:momenta:R:3:masses:R:1:initial_charges:R:1" + (":names:S:1" if reader.names else "")
    with open(path, "w", encoding="utf-8") as file:
        for atoms in _atoms(reader):
            lattice = "" if atoms.cell.rank < 3 else f'Lattice="{" ".join(repr(float(v)) for v in atoms.cell[:].ravel())}" '
            pbc = " ".join("T" if p else "F" for p in atoms.pbc)
            file.write(f'{len(atoms)}\n{lattice}Properties={columns} time={atoms.info["time"]!r} step={atoms.info["step"]} pbc="{pbc}"\n')
            numbers = np.column_stack([atoms.positions, atoms.get_momenta(), atoms.get_masses(), atoms.get_initial_charges()]).tolist()
            names = atoms.arrays.get("names", [""] * len(atoms))
            for symbol, row, name in zip(atoms.get_chemical_symbols(), numbers, names, strict=True):
                file.write(" ".join([symbol, *map(repr, row), "_".join(str(name).split())]).rstrip() + "\n")


def _write_traj(reader: H5MDReader, path: Path) -> None:
    from ase.io.trajectory import Trajectory

    with Trajectory(path, "w") as trajectory:
        for atoms in _atoms(reader):
            atoms.arrays.pop("names", None)  # the format holds numbers only
            trajectory.write(atoms)


def _write_dcd(reader: H5MDReader, path: Path) -> None:
    import MDAnalysis

    u = universe(reader.path)
    with warnings.catch_warnings(), MDAnalysis.Writer(str(path), u.atoms.n_atoms, convert_units=False, dt=u.trajectory.dt) as writer:
        warnings.filterwarnings("ignore", "No dimensions set")  # as it should be: there is no box
        for _ in u.trajectory:
            writer.write(u.atoms)


FORMATS: dict[str, Callable[[H5MDReader, Path], None]] = {".xyz": _write_xyz, ".traj": _write_traj, ".dcd": _write_dcd}
