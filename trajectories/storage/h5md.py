"""H5MD 1.1 files of rollouts: `H5MDReader` gives their frames back in float64.

Layout: one particle group, ``particles/trajectory``, whose particle axis runs over systems, then
particles; observables are [frames] or [frames, n_systems]. Reduced and astronomical runs carry no
unit attributes, which MDAnalysis would refuse: their units stand under ``parameters/units``.
Molecular runs are kept in Angstrom, ps and kJ/mol. Every element shares one ``step`` and one
``time`` dataset by hard links.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from integrators.state import State
from systems.system import Evaluation, System
from trajectories.storage.layout import CELLS, GROUP, OBSERVABLES, STRESS, file_units
from trajectories.storage.recorded_run import RecordedRun


class DamagedRunError(ValueError):
    """Frames of a run's file are not what was written."""


class H5MDReader(RecordedRun):
    """The frames of a run's H5MD file, in float64 and in the run's units; a sequence of `State`.

    `frames` gives a slice of positions, velocities or forces with the ensemble's leading axis.
    Raises FileNotFoundError, or ValueError if the file is not a run's H5MD file.
    """

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
        """Hide all frames beyond the first ``n_frames``."""
        self._n_frames = min(n_frames, self._n_frames)

    @cached_property
    def n_particles(self) -> int:
        """Number of particles in one system."""
        return int(self._file[f"{GROUP}/position/value"].shape[1]) // (self.n_systems or 1)

    @cached_property
    def moving(self) -> np.ndarray:
        """Which frames hold velocities, [frames]; in trajectories of other programs perhaps not
        all."""
        if not self.has_velocities or "imported" not in self.provenance:
            return np.full(len(self), self.has_velocities)
        return np.isfinite(self._read(f"{OBSERVABLES}/kinetic_energy/value", slice(len(self))))

    @cached_property
    def masses(self) -> np.ndarray:
        """Masses [n_particles]."""
        return np.asarray(self._read(f"{GROUP}/mass/value", 0)[: self.n_particles])

    @cached_property
    def species(self) -> np.ndarray:
        """Atomic numbers [n_particles]; 0 if there are none."""
        return np.asarray(self._read(f"{GROUP}/species/value", 0)[: self.n_particles])

    @cached_property
    def charges(self) -> np.ndarray:
        """Charges [(n_systems,) n_particles]."""
        flat = self._read(f"{GROUP}/charge/value", 0)
        return flat if self.n_systems is None else flat.reshape(self.n_systems, self.n_particles)

    @cached_property
    def pbc(self) -> tuple[bool, bool, bool]:
        """The periodic directions."""
        first, second, third = self._read(f"{GROUP}/box/pbc/value", 0)
        return bool(first), bool(second), bool(third)

    @property
    def cells(self) -> np.ndarray:
        """Cells [frames, (n_systems,) 3, 3]; zero if there is no cell."""
        own = self.observable(CELLS)
        return self._read(f"{GROUP}/box/edges/value", slice(len(self))) if own is None else own

    @property
    def steps(self) -> np.ndarray:
        """Step numbers [frames]."""
        return self._read(f"{GROUP}/position/step", slice(len(self)))

    @property
    def times(self) -> np.ndarray:
        """Times [frames]."""
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
        """The run in MDAnalysis: `trajectories.universe`."""
        from trajectories.mdanalysis import universe

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
