"""Times, units, names, elements and masses of a file that MDAnalysis reads: its own, given by the
user, or guessed."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from systems.sources.atoms_files import RefusedFileError
from systems.sources.file_options import Reading, unit_size
from systems.sources.identities import AtomLabels, identify
from systems.units import METAL

_INDEXED = (
    ".xtc",
    ".trr",
)  # formats of which MDAnalysis leaves files with offsets of frames beside them
_DCD = ("DCD", "LAMMPS")
_BARE = (*_DCD, "LAMMPSDUMP", "XYZ")  # formats in whatever units their writer had
_AKMA = 0.04888821  # ps, the unit of time of CHARMM's DCD, which MDAnalysis takes for every one's
_COARSE = {"BB", "GL1"}  # beads of Martini's proteins and lipids


@contextmanager
def without_offsets(path: Path) -> Iterator[Path]:
    """A path to open a file by so that nothing is left beside it: in a folder of its own, for what
    MDAnalysis writes offsets of."""
    if path.suffix.lower() not in _INDEXED:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mcegnn-") as folder:
        link = Path(folder) / path.name
        try:
            link.symlink_to(path.resolve())
        except OSError:  # where links are not allowed
            yield path
            return
        known = path.with_name(f".{path.name}_offsets.npz")
        if known.is_file():
            with suppress(OSError):
                shutil.copy2(known, folder)
        yield link


class Clock(NamedTuple):
    """Times of frames: as MDAnalysis has them, or from ``first`` on at the interval ``every``;
    ``told`` is false if they are unknown."""

    told: bool
    first: float = 0.0
    every: float = 0.0

    def at(self, ts: Any, k: int) -> float:
        """Time of frame ``k``, in our unit."""
        return (
            self.first + k * self.every if self.every else float(ts.time) * METAL.convert(1.0, "ps")
        )


def clock_of(u: Any, reading: Reading) -> Clock:
    """The frames' times: the user's, the file's, or 1 ps apart."""
    options, trajectory = reading.options, u.trajectory
    if options.frame_interval is not None:
        return Clock(True, 0.0, options.frame_interval)
    if trajectory.format in _DCD and len(trajectory) > 1:
        return _clock_of_dcd(trajectory, reading)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        told = trajectory.ts.time is not None and trajectory.format != "LAMMPSDUMP"
        told = told and not any("no dt information" in str(one.message) for one in heard)
    return Clock(told) if told else Clock(False, 0.0, METAL.convert(1.0, "ps"))


def _clock_of_dcd(trajectory: Any, reading: Reading) -> Clock:
    """DCD's steps are in the writer's unit of time: CHARMM's, unless LAMMPS wrote it or the user
    names others."""
    header = trajectory._file.header
    step, every = float(header["delta"]), int(header["nsavc"])
    by_lammps = "LAMMPS" in str(header.get("remarks", ""))
    style = reading.options.units
    if not step or not every:
        return Clock(False, 0.0, METAL.convert(1.0, "ps"))
    if style:
        unit = unit_size("time", style)
    elif by_lammps:
        style = (
            "real" if step > 0.05 else "metal"
        )  # a step of 0.05 ps is too long, one of 0.05 fs too short
        unit = unit_size("time", style)
        name = "fs" if style == "real" else "ps"
        reading.assumed["times"] = (
            f"LAMMPS wrote the DCD with a time step of {step:g} in its own unit, taken to be {name}"
            f" (units {style}); --units or --frame-interval tell others"
        )
    else:
        unit = _AKMA * METAL.convert(1.0, "ps")
        reading.assumed["times"] = (
            f"frames are {every * step * _AKMA:.6g} ps apart in CHARMM's unit of time (48.88821"
            " fs), which DCD files are to have; programs write their own: --units or"
            " --frame-interval tell others"
        )
    return Clock(True, int(header["istart"]) * step * unit, every * step * unit)


def sizes_of(u: Any, reading: Reading) -> tuple[float, float]:
    """What lengths and velocities of MDAnalysis are multiplied by: it takes them for Angstrom and
    Angstrom/ps."""
    style, name = reading.options.units, u.trajectory.format
    picosecond = METAL.convert(1.0, "ps")
    if style and name not in _BARE:
        raise RefusedFileError(
            f"the format {name} has its own units; --units goes with LAMMPS' files, extended XYZ"
            " and DCD"
        )
    if not style:
        if name == "LAMMPSDUMP":
            reading.assumed["units"] = (
                "lengths are taken to be in Angstrom, which the file does not tell; --units tells"
                " others"
            )
        return 1.0, 1.0 / picosecond
    if style == "lj":
        raise RefusedFileError(
            "units lj have no size in Angstrom; give the file as a LAMMPS dump or extended XYZ"
        )
    return unit_size("distance", style), unit_size("velocity", style)


def identities_of(u: Any, reading: Reading) -> dict[str, Any]:
    """Atomic numbers, masses and charges: those of the topology, of the user, or guessed from
    names, residues and masses."""
    from ase import Atoms

    atoms = u.atoms
    told = np.asarray(atoms.masses, dtype=float) if hasattr(atoms, "masses") else None
    names = _names(atoms)
    if names is None and told is None:
        raise RefusedFileError(
            "it holds no names of atoms; formats without atoms' names need --topology FILE (PDB,"
            " GRO, PSF, ...)"
        )
    names = [""] * len(atoms) if names is None else names
    elements = _elements(atoms)
    residues = (
        [str(one) for one in atoms.resnames] if hasattr(atoms, "resnames") else [""] * len(atoms)
    )
    types = [str(one) for one in atoms.types] if hasattr(atoms, "types") else names
    if _COARSE & set(names) and "CA" not in names:
        names, elements = [""] * len(atoms), [""] * len(atoms)
        reading.assumed["elements"] = "none: it is a coarse model, whose beads are no atoms"
    made = Atoms(positions=np.zeros((len(atoms), 3)), numbers=np.zeros(len(atoms), dtype=int))
    elements_or_names = [element or name for element, name in zip(elements, names, strict=True)]
    residues = [
        "" if element else residue for element, residue in zip(elements, residues, strict=True)
    ]
    labels = AtomLabels(elements_or_names, told, types, residues, atoms.resindices, names)
    identify(made, reading, labels)
    charges = (
        np.nan_to_num(np.asarray(atoms.charges, dtype=float)) if hasattr(atoms, "charges") else 0.0
    )
    return {
        "masses": made.get_masses(),
        "species": made.numbers.astype(np.int64),
        "charges": charges,
    }


def _names(atoms: Any) -> list[str] | None:
    found = (
        atoms.names if hasattr(atoms, "names") else atoms.types if hasattr(atoms, "types") else None
    )
    return None if found is None else [str(name) for name in found]


def _elements(atoms: Any) -> list[str]:
    """Symbols of the topology; empty where it tells none."""
    from ase.data import atomic_numbers

    if not hasattr(atoms, "elements"):
        return [""] * len(atoms)
    found = [str(symbol).strip().capitalize() for symbol in atoms.elements]
    return [
        symbol if symbol in ("D", "T") or atomic_numbers.get(symbol) else "" for symbol in found
    ]
