"""H5MD 1.1 files of rollouts: `H5MDReader` gives their frames back in float64, `universe` opens
them in MDAnalysis.

Layout: one particle group, ``particles/trajectory``, whose particle axis runs over systems, then
particles; observables are [frames] or [frames, n_systems]. Reduced and astronomical runs carry no
unit attributes, which MDAnalysis would refuse: their units stand under ``parameters/units``.
Molecular runs are kept in Angstrom, ps and kJ/mol. Every element shares one ``step`` and one
``time`` dataset by hard links.
"""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from integrators.state import State
from systems.system import Evaluation, System
from systems.units import BY_NAME, METAL
from trajectories.storage.journal import recover
from trajectories.storage.layout import (
    CELLS,
    GROUP,
    OBSERVABLES,
    STRESS,
    file_units,
    sealed,
    whole_frames,
)
from trajectories.storage.locks import OPEN_ELSEWHERE, FileInUseError


class DamagedRunError(ValueError):
    """Frames of a run's file are not what was written."""


class H5MDReader:
    """The frames of a file of ours, in float64 and in the run's units; a sequence of `State`.

    `frames` gives a slice of positions, velocities or forces with the ensemble's leading axis.
    Raises FileNotFoundError, or ValueError where the file is not an H5MD file of ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        self._file = _opened(path)
        try:
            self._n_frames = whole_frames(self._file)
            self.units = BY_NAME[self._file["parameters/units"].attrs["name"]]
            whole = sealed(self._file)
        except EOFError:
            self._file.close()
            raise ValueError(f"{path} holds no frames yet") from None
        except Exception as error:  # HDF5 has many kinds for a damaged file
            foreign = isinstance(error, KeyError) and _is_foreign(self._file)
            self._file.close()
            what = (
                "not a trajectory written by mcegnn, or a damaged one"
                if isinstance(error, KeyError)
                else "damaged"
            )
            if foreign:
                raise ValueError(
                    f"{path} is an H5MD file of another program, which tells no names of atoms;"
                    " name its topology with --topology FILE (PDB, GRO, PSF, ...)"
                ) from None
            raise ValueError(
                f"{path} is {what}"
                f" ({' '.join(str(error.args[0] if error.args else error).split())})"
            ) from None
        if not whole:
            self._file.close()
            raise ValueError(
                f"{path} is damaged: its texts and tables are not those that were written; take a"
                " copy of it, if there is one"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._n_frames

    def __getitem__(self, k: int) -> State:
        if not -len(self) <= k < len(self):
            raise IndexError(f"frame {k} of {len(self)}")
        k %= len(self)
        v = (
            self._frames("velocity", k)
            if self.has_velocities
            else np.zeros_like(self.frames("position", k))
        )
        moved = {"positions": self.frames("position", k), "momenta": v * self.masses[:, None]}
        system = replace(self._system, **moved, cell=self._cell(k))
        forces, energy = (
            (self.frames("force", k) if "force" in self._file[GROUP] else None),
            self.observable("potential_energy", k),
        )
        evaluation = (
            None if forces is None else Evaluation(energy, forces, self.observable(STRESS, k))
        )
        time, step = (
            self._read(f"{GROUP}/position/time", k) / self._scale("time"),
            self._read(f"{GROUP}/position/step", k),
        )
        return State(system, float(time), int(step), evaluation)

    def _scale(self, element: str) -> float:
        return file_units(self.units).get(element, (1.0, ""))[0]

    def end_at(self, n_frames: int) -> None:
        """Give no frames beyond the first ``n_frames`` any more."""
        self._n_frames = min(n_frames, self._n_frames)

    @cached_property
    def n_systems(self) -> int | None:
        """Systems of the ensemble; None where the run was of a single system."""
        return (
            int(self._file["parameters/n_systems"][()])
            if "parameters/n_systems" in self._file
            else None
        )

    @cached_property
    def n_particles(self) -> int:
        """Particles of one system."""
        return int(self._file[f"{GROUP}/position/value"].shape[1]) // (self.n_systems or 1)

    @property
    def names(self) -> list[str]:
        """The particles' names, empty where they have none."""
        return (
            [name.decode() for name in self._file["parameters/names"][()]]
            if "parameters/names" in self._file
            else []
        )

    @property
    def provenance(self) -> dict[str, str]:
        """What was recorded of the run."""
        return {
            key: value[()].decode() for key, value in self._file["parameters/provenance"].items()
        }

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """What made the run, as the command line recorded it; empty for a file written from
        Python."""
        recorded = json.loads(self.provenance.get("configuration", "{}"))
        return recorded if isinstance(recorded, dict) else {}

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """What a trajectory of another program had not: "velocities", "masses", "times"."""
        return tuple(filter(None, self.provenance.get("missing", "").split(", ")))

    @property
    def notes(self) -> list[str]:
        """What else is to be known of a trajectory of another program."""
        return self.provenance.get("notes", "").splitlines()

    @property
    def assumed(self) -> dict[str, str]:
        """What was decided, in words, where another program's files do not tell, or tell wrongly:
        "units", "times", ..."""
        return dict(json.loads(self.provenance.get("assumed", "{}")))

    @property
    def cannot_follow(self) -> str:
        """Why atoms of another program's wrapped trajectory could not be followed across the cell;
        "" if they could."""
        return self.provenance.get("cannot_follow", "")

    @property
    def name(self) -> str:
        """What users know the run by: the path, or the files it was imported from."""
        return self.provenance.get("imported", str(self.path))

    @property
    def has_velocities(self) -> bool:
        """False of trajectories of other programs that had none."""
        return "velocities" not in self.missing

    @cached_property
    def moving(self) -> np.ndarray:
        """Which frames hold velocities, [frames]: of trajectories of other programs not all may."""
        if not self.has_velocities or "imported" not in self.provenance:
            return np.full(len(self), self.has_velocities)
        return np.isfinite(self._read(f"{OBSERVABLES}/kinetic_energy/value", slice(len(self))))

    @cached_property
    def masses(self) -> np.ndarray:
        """[n_particles]."""
        return np.asarray(self._read(f"{GROUP}/mass/value", 0)[: self.n_particles])

    @cached_property
    def species(self) -> np.ndarray:
        """[n_particles]; 0 where there are none."""
        return np.asarray(self._read(f"{GROUP}/species/value", 0)[: self.n_particles])

    @cached_property
    def charges(self) -> np.ndarray:
        """[(n_systems,) n_particles]."""
        flat = self._read(f"{GROUP}/charge/value", 0)
        return flat if self.n_systems is None else flat.reshape(self.n_systems, self.n_particles)

    @cached_property
    def frozen(self) -> list[int]:
        """The particles that were held, as the command line recorded them."""
        return list(self.configuration.get("frozen", ()))

    @property
    def template(self) -> str:
        """What the atoms had beside a system, info and further arrays, as
        `systems.sources.template` writes it; empty where that was nothing."""
        return self.provenance.get("template", "") or str(self.configuration.get("template", ""))

    @cached_property
    def pbc(self) -> tuple[bool, bool, bool]:
        """The periodic directions."""
        first, second, third = self._read(f"{GROUP}/box/pbc/value", 0)
        return bool(first), bool(second), bool(third)

    @property
    def cells(self) -> np.ndarray:
        """[frames, (n_systems,) 3, 3]; zero where there is no cell."""
        own = self.observable(CELLS)
        return self._read(f"{GROUP}/box/edges/value", slice(len(self))) if own is None else own

    @property
    def steps(self) -> np.ndarray:
        """[frames]."""
        return self._read(f"{GROUP}/position/step", slice(len(self)))

    @property
    def times(self) -> np.ndarray:
        """[frames]."""
        return self._read(f"{GROUP}/position/time", slice(len(self))) / self._scale("time")

    def frames(self, element: str, which: int | slice = slice(None)) -> np.ndarray:
        """Some frames of "position", "velocity" or "force", [(frames,) (n_systems,) n_particles,
        3]."""
        if element == "velocity" and not self.has_velocities:
            raise ValueError(
                f"{self.path} holds no velocities: the files it was imported from have none"
            )
        if element not in ("position", "velocity", "force") or element not in self._file[GROUP]:
            raise ValueError(
                f"the run has no element {element!r}; take position, velocity or force"
            )
        return self._frames(element, which)

    def _frames(self, element: str, which: int | slice) -> np.ndarray:
        values = self._read(f"{GROUP}/{element}/value", self._whole(which)) / self._scale(element)
        return (
            values
            if self.n_systems is None
            else values.reshape(*values.shape[:-2], self.n_systems, self.n_particles, 3)
        )

    def observable(self, name: str, which: int | slice = slice(None)) -> np.ndarray | None:
        """Some frames of an observable, [(frames,)] or [(frames,) n_systems]; None where the run
        has none of that name."""
        path = f"{OBSERVABLES}/{name}/value"
        if name == "kinetic_energy" and not self.has_velocities:
            return None
        return self._read(path, self._whole(which))[()] if path in self._file else None

    def universe(self) -> Any:
        """The run in MDAnalysis: `universe`."""
        return universe(self.path)

    def _whole(self, which: int | slice) -> int | slice:
        """The choice within the frames that are whole."""
        return (
            slice(*which.indices(len(self)))
            if isinstance(which, slice)
            else range(len(self))[which]
        )

    def _read(self, name: str, which: int | slice) -> np.ndarray:
        """Rows of a dataset. Raises DamagedRunError, naming the frames, if their checksum does not
        fit."""
        try:
            return np.asarray(self._file[name][which])
        except (OSError, RuntimeError, KeyError):
            raise DamagedRunError(f"{self.path} is damaged: {self._damage(name)}") from None

    def _damage(self, name: str) -> str:
        """Which frames of a dataset cannot be read."""
        data, bad = self._file[name], []
        for first in range(0, len(self), data.chunks[0]):
            try:
                data[first : first + data.chunks[0]]
            except (OSError, RuntimeError):
                bad += [(first, min(first + data.chunks[0], len(self)) - 1)]
        frames = ", ".join(f"{first} to {last}" for first, last in bad[:3]) + (
            " and others" if len(bad) > 3 else ""
        )
        return (
            f"{name.split('/')[2]} of frames {frames} is not what was written; the other frames can"
            " be read, one by one, by H5MDReader"
        )

    @cached_property
    def _system(self) -> System:
        x = np.zeros((*self.charges.shape, 3))
        return System(
            x, x, self.masses, self.species, self.charges, self._cell(0), self.pbc, self.units
        )

    def _cell(self, k: int) -> np.ndarray | None:
        """Of frame k: [3, 3], or [n_systems, 3, 3] where systems have their own."""
        own = self.observable(CELLS, k)
        cell = self._read(f"{GROUP}/box/edges/value", k) if own is None else own
        return cell if cell.any() else None


def _is_foreign(file: h5py.File) -> bool:
    """Whether it is an H5MD file that another program wrote; False for one that is too damaged to
    tell."""
    try:
        return "particles" in file and (GROUP not in file or "parameters/units" not in file)
    except (OSError, RuntimeError, KeyError):
        return False


def _opened(path: str | Path) -> h5py.File:
    """The file, brought to its last commit where its writer was stopped; ValueError where it is no
    HDF5 file or is being written."""
    try:
        recover(path)
        return h5py.File(path, "r")
    except (FileInUseError, PermissionError) as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (OSError, RuntimeError) as error:
        if "unable to lock file" in str(error):  # HDF5's own words for it
            raise ValueError(f"{path} cannot be read: {OPEN_ELSEWHERE}") from None
        raise ValueError(
            f"{path} is not an HDF5 file, or a damaged one ({' '.join(str(error).split())})"
        ) from None


def universe(path: str | Path) -> Any:
    """The run as an MDAnalysis Universe (float32): particles' names, elements, masses and charges;
    an ensemble's systems are its residues.

    Molecular runs have MDAnalysis' units; reduced and astronomical ones keep their own. MDAnalysis
    knows cells by lengths and angles, so positions, velocities and forces are turned into the
    standard orientation together with the cell, frame by frame, where it lies otherwise
    (`systems.orientation`). Where the cell is not periodic in some direction, the box is so long
    there that no image is met; where it leans so much that MDAnalysis would miss shortest images,
    the box is another one of the same lattice.
    """
    import MDAnalysis

    from trajectories._universe import RunReader

    with H5MDReader(path) as reader:
        n_systems, n, names, species = (
            reader.n_systems or 1,
            reader.n_particles,
            reader.names,
            reader.species,
        )
        charges, masses = np.ravel(reader.charges), np.tile(reader.masses, n_systems)
        convert, times = reader.units is METAL, reader.times
        spacing = float(times[1] - times[0]) * reader._scale("time") if len(times) > 1 else 1.0
    residues = np.repeat(np.arange(n_systems), n)
    u = MDAnalysis.Universe.empty(
        n_systems * n, n_systems, atom_resindex=residues, trajectory=False
    )
    u.add_TopologyAttr("masses", masses)
    u.add_TopologyAttr("charges", charges)
    if species.any():
        from ase.data import chemical_symbols

        symbols = [chemical_symbols[k] for k in species]
        for attribute in ("elements", "types"):
            u.add_TopologyAttr(attribute, symbols * n_systems)
        names = names or symbols
    u.add_TopologyAttr("names", (names or [str(k) for k in range(n)]) * n_systems)
    u.add_TopologyAttr("resids", np.arange(1, n_systems + 1))
    u.load_new(str(path), format=RunReader, convert_units=convert, dt=spacing)
    return u
