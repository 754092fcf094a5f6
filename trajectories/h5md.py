"""H5MD 1.1 files of rollouts: `H5MDReader` gives their frames back in float64, `universe` opens them in MDAnalysis.

Layout: one particle group, ``particles/trajectory``, whose particle axis runs over systems, then particles; observables are
[frames] or [frames, n_systems]. Reduced and astronomical runs carry no unit attributes, which MDAnalysis would refuse: their units
stand under ``parameters/units``. Molecular runs are kept in Angstrom, ps and kJ/mol. Every element shares one ``step`` and one
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
from trajectories._layout import CELLS, GROUP, OBSERVABLES, file_units, refuse_locked, whole_frames


class H5MDReader:
    """The frames of a file of ours, in float64 and in the run's units; a sequence of `State`.

    `frames` gives a slice of positions, velocities or forces with the ensemble's leading axis. Raises FileNotFoundError, or ValueError
    where the file is not an H5MD file of ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            refuse_locked(path, error)
            raise ValueError(f"{path} is not an HDF5 file, or a damaged one ({error})") from None
        try:
            self._n_frames = whole_frames(self._file)
            self.units = BY_NAME[self._file["parameters/units"].attrs["name"]]
        except KeyError as error:
            self._file.close()
            raise ValueError(f"{path} is not a trajectory written by mcegnn, or a damaged one ({error.args[0]})") from None

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
        moved = {"positions": self.frames("position", k), "momenta": self.frames("velocity", k) * self.masses[:, None]}
        system = replace(self._system, **moved, cell=self._cell(k))
        forces, energy = self.frames("force", k) if "force" in self._file[GROUP] else None, self.observable("potential_energy", k)
        evaluation = None if forces is None else Evaluation(energy, forces)
        time, step = self._file[f"{GROUP}/position/time"][k] / self._scale("time"), self._file[f"{GROUP}/position/step"][k]
        return State(system, float(time), int(step), evaluation)

    def _scale(self, element: str) -> float:
        return file_units(self.units).get(element, (1.0, ""))[0]

    @cached_property
    def n_systems(self) -> int | None:
        """Systems of the ensemble; None where the run was of a single system."""
        return int(self._file["parameters/n_systems"][()]) if "parameters/n_systems" in self._file else None

    @cached_property
    def n_particles(self) -> int:
        """Particles of one system."""
        return int(self._file[f"{GROUP}/position/value"].shape[1]) // (self.n_systems or 1)

    @property
    def names(self) -> list[str]:
        """The particles' names, empty where they have none."""
        return [name.decode() for name in self._file["parameters/names"][()]] if "parameters/names" in self._file else []

    @property
    def provenance(self) -> dict[str, str]:
        """What was recorded of the run."""
        return {key: value[()].decode() for key, value in self._file["parameters/provenance"].items()}

    @cached_property
    def masses(self) -> np.ndarray:
        """[n_particles]."""
        return np.asarray(self._file[f"{GROUP}/mass/value"][0, : self.n_particles])

    @cached_property
    def species(self) -> np.ndarray:
        """[n_particles]; 0 where there are none."""
        return np.asarray(self._file[f"{GROUP}/species/value"][0, : self.n_particles])

    @cached_property
    def frozen(self) -> list[int]:
        """The particles that were held, as the command line recorded them."""
        recorded = json.loads(self.provenance.get("configuration", "{}"))
        return list(recorded.get("frozen", ())) if isinstance(recorded, dict) else []

    @cached_property
    def pbc(self) -> tuple[bool, bool, bool]:
        """The periodic directions."""
        first, second, third = self._file[f"{GROUP}/box/pbc/value"][0]
        return bool(first), bool(second), bool(third)

    @property
    def cells(self) -> np.ndarray:
        """[frames, (n_systems,) 3, 3]; zero where there is no cell."""
        own = self.observable(CELLS)
        return np.asarray(self._file[f"{GROUP}/box/edges/value"][: len(self)]) if own is None else own

    @property
    def steps(self) -> np.ndarray:
        """[frames]."""
        return np.asarray(self._file[f"{GROUP}/position/step"][: len(self)])

    @property
    def times(self) -> np.ndarray:
        """[frames]."""
        return np.asarray(self._file[f"{GROUP}/position/time"][: len(self)]) / self._scale("time")

    def frames(self, element: str, which: int | slice = slice(None)) -> np.ndarray:
        """Some frames of "position", "velocity" or "force", [(frames,) (n_systems,) n_particles, 3]."""
        if element not in ("position", "velocity", "force") or element not in self._file[GROUP]:
            raise ValueError(f"the run has no element {element!r}; take position, velocity or force")
        values = np.asarray(self._file[f"{GROUP}/{element}/value"][self._whole(which)]) / self._scale(element)
        return values if self.n_systems is None else values.reshape(*values.shape[:-2], self.n_systems, self.n_particles, 3)

    def observable(self, name: str, which: int | slice = slice(None)) -> np.ndarray | None:
        """Some frames of an observable, [(frames,)] or [(frames,) n_systems]; None where the run has none of that name."""
        path = f"{OBSERVABLES}/{name}/value"
        return np.asarray(self._file[path][self._whole(which)])[()] if path in self._file else None

    def _whole(self, which: int | slice) -> int | slice:
        """The choice within the frames that are whole."""
        return slice(*which.indices(len(self))) if isinstance(which, slice) else range(len(self))[which]

    @cached_property
    def _system(self) -> System:
        flat = self._file[f"{GROUP}/charge/value"][0]
        charges = flat if self.n_systems is None else flat.reshape(self.n_systems, self.n_particles)
        x = np.zeros((*charges.shape, 3))
        return System(x, x, self.masses, self.species, charges, self._cell(0), self.pbc, self.units)

    def _cell(self, k: int) -> np.ndarray | None:
        """Of frame k: [3, 3], or [n_systems, 3, 3] where systems have their own."""
        own = self.observable(CELLS, k)
        cell = np.asarray(self._file[f"{GROUP}/box/edges/value"][k]) if own is None else own
        return cell if cell.any() else None


def universe(path: str | Path) -> Any:
    """The run as an MDAnalysis Universe (float32): particles' names, elements, masses and charges; an ensemble's systems are its residues.

    Molecular runs have MDAnalysis' units; reduced and astronomical ones keep their own.
    """
    import MDAnalysis

    with H5MDReader(path) as reader:
        n_systems, n, names, species = reader.n_systems or 1, reader.n_particles, reader.names, reader.species
        charges, masses = np.ravel(reader._system.charges), np.tile(reader.masses, n_systems)
        convert, times = reader.units is METAL, reader.times
        spacing = float(times[1] - times[0]) * reader._scale("time") if len(times) > 1 else 1.0
    residues = np.repeat(np.arange(n_systems), n)
    u = MDAnalysis.Universe.empty(n_systems * n, n_systems, atom_resindex=residues, trajectory=False)
    u.add_TopologyAttr("masses", masses)
    u.add_TopologyAttr("charges", charges)
    if species.any():
        from ase.data import chemical_symbols

        u.add_TopologyAttr("elements", [chemical_symbols[k] for k in species] * n_systems)
        names = names or [chemical_symbols[k] for k in species]
    u.add_TopologyAttr("names", (names or [str(k) for k in range(n)]) * n_systems)
    u.add_TopologyAttr("resids", np.arange(1, n_systems + 1))
    u.load_new(str(path), format="H5MD", convert_units=convert, dt=spacing)
    return u
