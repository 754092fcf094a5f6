"""Runs as files of other formats, by the libraries that own the formats: ASE for XYZ and .traj, MDAnalysis for DCD."""

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
    from ase.io import write

    path.unlink(missing_ok=True)
    for atoms in _atoms(reader):
        write(path, atoms, format="extxyz", append=True)


def _write_traj(reader: H5MDReader, path: Path) -> None:
    from ase.io.trajectory import Trajectory

    with Trajectory(path, "w") as trajectory:
        for atoms in _atoms(reader):
            atoms.arrays.pop("names", None)  # the format holds numbers only
            trajectory.write(atoms)


def _write_dcd(reader: H5MDReader, path: Path) -> None:
    import MDAnalysis

    u = universe(reader.path)
    with MDAnalysis.Writer(str(path), u.atoms.n_atoms, convert_units=False) as writer:
        for _ in u.trajectory:
            writer.write(u.atoms)


FORMATS: dict[str, Callable[[H5MDReader, Path], None]] = {".xyz": _write_xyz, ".traj": _write_traj, ".dcd": _write_dcd}
