"""H5MD 1.1 files of rollouts: `H5MDWriter` keeps frames, `H5MDReader` gives them back in float64, `universe` opens them in MDAnalysis.

Layout: one particle group, ``particles/trajectory``, whose particle axis runs over systems, then particles; observables are
[frames] or [frames, n_systems]. Reduced and astronomical runs carry no unit attributes, which MDAnalysis would refuse: their units
stand under ``parameters/units``. Every element shares one ``step`` and one ``time`` dataset by hard links.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from integrators.state import State
from systems.observables import kinetic_energy
from systems.system import Evaluation, System
from systems.units import BY_NAME, METAL, Units

GROUP = "particles/trajectory"
OBSERVABLES = "observables/trajectory"
_CHUNK_BYTES = 2**16
_BUFFER_BYTES = 2**25
_TEXT = h5py.string_dtype()


class H5MDWriter:
    """Writes states as frames. Frames wait in memory until `flush`; only what has been flushed is called written.

    ``names`` are the particles' names, ``provenance`` whatever should be known of the run later, ``n_frames`` a hint for the chunks.
    Raises FileExistsError where ``path`` exists, unless ``overwrite``.
    """

    def __init__(
        self, path: str | Path, system: System, *, names: Sequence[str] = (), provenance: Mapping[str, str] | None = None,
        n_frames: int = 1000, overwrite: bool = False,
    ) -> None:  # fmt: skip
        self._file = h5py.File(path, "w" if overwrite else "x")
        self._n_hint = max(1, n_frames)
        self._begin()
        _create(self._file, system, names, dict(provenance or {}))

    @classmethod
    def append(cls, path: str | Path, n_frames: int) -> Self:
        """Go on with a file of ours, cut to its first ``n_frames`` frames."""
        self = cls.__new__(cls)
        self._file = h5py.File(path, "r+")
        self._n_hint = n_frames
        self._begin()
        for dataset in _series(self._file):
            dataset.resize(n_frames, axis=0)
        self.n_written = n_frames
        return self

    def _begin(self) -> None:
        self._pending: list[State] = []
        self._pending_bytes = 0
        self.n_written = 0
        self._last_flush = time.monotonic()

    def write(self, state: State) -> None:
        """Keep a frame; it is on disk after the next `flush`."""
        self._pending.append(state)
        self._pending_bytes += 3 * state.system.positions.nbytes

    @property
    def due(self) -> bool:
        """Whether frames have waited for a second, or fill their buffer."""
        return self._pending_bytes > _BUFFER_BYTES or time.monotonic() - self._last_flush > 1.0

    def flush(self) -> int:
        """Write the waiting frames to disk; returns how many frames the file holds."""
        if self._pending:
            first = self.n_written
            for name, values in _columns(self._pending).items():
                _extend(self._file, name, first, values, self._n_hint)
            _link_times(self._file)
            self.n_written = first + len(self._pending)
        self._file.flush()
        self._pending, self._pending_bytes, self._last_flush = [], 0, time.monotonic()
        return self.n_written

    def close(self) -> None:
        """Flush and close."""
        if self._file:
            self.flush()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _create(file: h5py.File, system: System, names: Sequence[str], provenance: dict[str, str]) -> None:
    """Everything but the frames."""
    head = file.create_group("h5md")
    head.attrs["version"] = [1, 1]
    head.create_group("author").attrs["name"] = provenance.get("author", "N/A")
    creator = head.create_group("creator")
    creator.attrs["name"], creator.attrs["version"] = "mcegnn", provenance.get("version", "")
    parameters = file.create_group("parameters")
    units = parameters.create_group("units")
    for field in ("name", "length", "time", "mass", "energy"):
        units.attrs[field] = getattr(system.units, field)
    if system.n_systems is not None:
        parameters.create_dataset("n_systems", data=system.n_systems)
    if names:
        parameters.create_dataset("names", data=list(names), dtype=_TEXT)
    recorded = parameters.create_group("provenance")
    for key, value in provenance.items():
        recorded.create_dataset(key, data=value, dtype=_TEXT)
    box = file.create_group(f"{GROUP}/box")
    box.attrs["dimension"] = 3
    box.attrs.create("boundary", ["periodic" if p else "none" for p in system.pbc], dtype=_TEXT)


def _columns(states: Sequence[State]) -> dict[str, np.ndarray]:
    """Every time-dependent dataset's rows for these states."""
    first = states[0].system
    flat = (first.n_systems or 1) * first.n_particles
    n = len(states)

    def stack(values: Sequence[Any]) -> np.ndarray:
        return np.stack([np.asarray(v, dtype=float).reshape(flat, 3) for v in values])

    def constant(values: Any) -> np.ndarray:
        copies = np.broadcast_to(values, first.positions.shape[:-1]).reshape(flat)
        return np.broadcast_to(copies, (n, flat))

    cell = np.zeros((3, 3)) if first.cell is None else np.asarray(first.cell)
    columns = {
        f"{GROUP}/position/step": np.array([s.step for s in states]),
        f"{GROUP}/position/time": np.array([s.time for s in states]),
        f"{GROUP}/position/value": stack([s.system.positions for s in states]),
        f"{GROUP}/velocity/value": stack([s.system.velocities for s in states]),
        f"{GROUP}/species/value": constant(np.asarray(first.species, dtype=np.int32)),
        f"{GROUP}/mass/value": constant(np.asarray(first.masses)),
        f"{GROUP}/charge/value": constant(np.asarray(first.charges)),
        f"{GROUP}/box/edges/value": np.broadcast_to(cell, (n, 3, 3)),
        f"{GROUP}/box/pbc/value": np.broadcast_to(np.array(first.pbc), (n, 3)),
        f"{OBSERVABLES}/kinetic_energy/value": np.stack([np.asarray(kinetic_energy(s.system)) for s in states]),
    }
    evaluations = [s.evaluation for s in states]
    if all(e is not None for e in evaluations):
        columns[f"{GROUP}/force/value"] = stack([e.forces for e in evaluations if e is not None])
        energies = [e.energy for e in evaluations if e is not None]
        if all(energy is not None for energy in energies):
            columns[f"{OBSERVABLES}/potential_energy/value"] = np.stack([np.asarray(energy) for energy in energies])
    return columns


_CONSTANT = ("species", "mass", "charge", "box")


def _extend(file: h5py.File, name: str, first: int, values: np.ndarray, n_hint: int) -> None:
    """Rows ``first`` and on of a dataset, made where it is not there yet, in chunks of whole frames."""
    if name not in file:
        row = max(1, int(np.prod(values.shape[1:]))) * values.dtype.itemsize
        # a frame's worth of what never changes takes no room once compressed
        packed = {"compression": "gzip", "shuffle": True} if name.split("/")[2] in _CONSTANT else {}
        length = max(1, min(_CHUNK_BYTES // row, max(n_hint, 4096 // row)))
        file.create_dataset(
            name, shape=(0, *values.shape[1:]), maxshape=(None, *values.shape[1:]), dtype=values.dtype,
            chunks=(length, *values.shape[1:]), **packed,
        )  # fmt: skip
    dataset = file[name]
    dataset.resize(first + len(values), axis=0)
    dataset[first:] = values


def _link_times(file: h5py.File) -> None:
    """One step and one time dataset for all elements."""
    source = file[f"{GROUP}/position"]
    for group in _elements(file):
        for name in ("step", "time"):
            if name not in group:
                group[name] = source[name]


def _elements(file: h5py.File) -> Iterator[h5py.Group]:
    for name, group in file[GROUP].items():
        if name != "box":
            yield group
    yield from file[f"{GROUP}/box"].values()
    yield from file[OBSERVABLES].values()


def _series(file: h5py.File) -> Iterator[h5py.Dataset]:
    """Every dataset with a frame axis, once."""
    for name in ("step", "time"):
        yield file[f"{GROUP}/position/{name}"]
    for group in _elements(file):
        yield group["value"]


class H5MDReader:
    """The frames of a file of ours, in float64; a sequence of `State`.

    ``positions``, ``velocities`` and ``forces`` are arrays on disk, [frames, ...], to be sliced; `frames` gives a slice of them with the
    ensemble's leading axis. Raises ValueError where the file is not an H5MD file of ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise ValueError(f"{path} is not an HDF5 file, or a damaged one ({error})") from None
        if f"{GROUP}/position/value" not in self._file or "parameters/units" not in self._file:
            self._file.close()
            raise ValueError(f"{path} is not a trajectory written by mcegnn: it has no {GROUP} and parameters/units")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self._file[f"{GROUP}/position/value"].shape[0])

    def __getitem__(self, k: int) -> State:
        if not -len(self) <= k < len(self):
            raise IndexError(f"frame {k} of {len(self)}")
        k %= len(self)
        system = replace(self._system, positions=self.frames("position", k), momenta=self.frames("velocity", k) * self.masses[:, None])
        energy, forces = self.observable("potential_energy"), self.frames("force", k) if "force" in self._file[GROUP] else None
        evaluation = None if forces is None else Evaluation(None if energy is None else energy[k], forces)
        return State(system, float(self.times[k]), int(self.steps[k]), evaluation)

    @property
    def n_systems(self) -> int | None:
        """Systems of the ensemble; None where the run was of a single system."""
        return int(self._file["parameters/n_systems"][()]) if "parameters/n_systems" in self._file else None

    @property
    def n_particles(self) -> int:
        """Particles of one system."""
        return int(self._file[f"{GROUP}/position/value"].shape[1]) // (self.n_systems or 1)

    @property
    def units(self) -> Units:
        """The units of every number in the file."""
        return BY_NAME[self._file["parameters/units"].attrs["name"]]

    @property
    def names(self) -> list[str]:
        """The particles' names, empty where they have none."""
        return [name.decode() for name in self._file["parameters/names"][()]] if "parameters/names" in self._file else []

    @property
    def provenance(self) -> dict[str, str]:
        """What was recorded of the run."""
        return {key: value[()].decode() for key, value in self._file["parameters/provenance"].items()}

    @property
    def masses(self) -> np.ndarray:
        """[n_particles]."""
        return np.asarray(self._file[f"{GROUP}/mass/value"][0, : self.n_particles])

    @property
    def steps(self) -> np.ndarray:
        """[frames]."""
        return np.asarray(self._file[f"{GROUP}/position/step"][()])

    @property
    def times(self) -> np.ndarray:
        """[frames]."""
        return np.asarray(self._file[f"{GROUP}/position/time"][()])

    def frames(self, element: str, which: int | slice = slice(None)) -> np.ndarray:
        """Some frames of "position", "velocity" or "force", [(frames,) (n_systems,) n_particles, 3]."""
        values = self._file[f"{GROUP}/{element}/value"][which]
        if self.n_systems is None:
            return np.asarray(values)
        return np.asarray(values).reshape(*values.shape[:-2], self.n_systems, self.n_particles, 3)

    def observable(self, name: str) -> np.ndarray | None:
        """An observable, [frames] or [frames, n_systems]; None where the run has none of that name."""
        path = f"{OBSERVABLES}/{name}/value"
        return np.asarray(self._file[path][()]) if path in self._file else None

    @property
    def _system(self) -> System:
        flat = self._file[f"{GROUP}/charge/value"][0]
        charges = flat if self.n_systems is None else flat.reshape(self.n_systems, self.n_particles)
        species = self._file[f"{GROUP}/species/value"][0, : self.n_particles]
        x = np.zeros((*charges.shape, 3))
        return System(x, x, self.masses, species, charges, units=self.units)


def universe(path: str | Path) -> Any:
    """The run as an MDAnalysis Universe (float32): particles' names, masses and charges; systems of an ensemble are its residues.

    Molecular runs are converted to MDAnalysis' units; reduced and astronomical ones keep their own.
    """
    import MDAnalysis

    with H5MDReader(path) as reader:
        n_systems, n, names = reader.n_systems or 1, reader.n_particles, reader.names
        charges, masses = np.ravel(reader._system.charges), np.tile(reader.masses, n_systems)
        convert = reader.units is METAL
    residues = np.repeat(np.arange(n_systems), n)
    u = MDAnalysis.Universe.empty(n_systems * n, n_systems, atom_resindex=residues, trajectory=False)
    u.add_TopologyAttr("masses", masses)
    u.add_TopologyAttr("charges", charges)
    u.add_TopologyAttr("names", (names or [str(k) for k in range(n)]) * n_systems)
    u.add_TopologyAttr("resids", np.arange(1, n_systems + 1))
    u.load_new(str(path), convert_units=convert)
    return u
