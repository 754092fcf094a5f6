"""`Trajectory`: any run or trajectory, opened lazily, with its analyses and figures."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from mcegnn.api import looks
from mcegnn.api.frames import Frames
from mcegnn.api.results import Result, table
from mcegnn.api.source import Source
from mcegnn.api.words import words_of_python
from systems.system import System

if TYPE_CHECKING:
    from systems.units import Units
    from trajectories.analysis import Analysis
    from trajectories.storage.h5md import H5MDReader


class Trajectory:
    """The frames of a run of `simulate` or `mcegnn rollout`, or of any trajectory that ASE or
    MDAnalysis opens; a sequence of `System` in float64.

    Nothing is kept in memory, and the file is open only while it is read, or within a ``with``
    block. A foreign trajectory is first converted to a run in a temporary folder. ``topology``
    (PDB, GRO, PSF, ...), ``frame_interval`` ("10 fs"), ``units`` ("real"), ``format`` and
    ``masses`` ({"H": 2.014}) complete its file. Analyses give the numbers of `mcegnn analyse`: they
    omit frames with atoms nearer to each other than any in the model's training data, unless
    ``all_frames``.

    Raises FileNotFoundError or ValueError if the file cannot be read or holds no frames.

    >>> with Trajectory("run.h5md") as run:
    ...     run.times, run.positions[-1], run.temperature, run.rdf().plot("rdf.png")
    """

    def __init__(
        self,
        path: str | Path,
        *,
        topology: str | Path | None = None,
        frame_interval: str | None = None,
        units: str | None = None,
        format: str | None = None,
        masses: str | Mapping[str, float] | None = None,
        all_frames: bool = False,
    ) -> None:
        self.path, self.all_frames = Path(path), all_frames
        if isinstance(masses, Mapping):
            masses = ",".join(f"{name}={mass!r}" for name, mass in masses.items())
        said = {
            "frame_interval": frame_interval,
            "units": units,
            "format": format,
            "masses": masses,
        }
        with words_of_python():
            self._source = Source(self.path, None if topology is None else Path(topology), said)
        self._opened = self._source.opened

    def __enter__(self) -> Self:
        self._source.keep_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; delete the temporary one of a converted foreign trajectory."""
        self._source.close()

    def __len__(self) -> int:
        with self._opened() as reader:
            return len(reader)

    @overload
    def __getitem__(self, which: int) -> System: ...
    @overload
    def __getitem__(self, which: slice) -> list[System]: ...
    def __getitem__(self, which: int | slice) -> System | list[System]:
        with self._opened() as reader:
            if isinstance(which, slice):
                return [reader[k].system for k in range(len(reader))[which]]
            return reader[which].system

    def __iter__(self) -> Iterator[System]:
        with self._opened() as reader:
            for k in range(len(reader)):
                yield reader[k].system

    @property
    def times(self) -> np.ndarray:
        """Times [frames] in ``time_unit``; the frames' numbers if the file holds no times."""
        from trajectories.analysis.time_series import time_axis

        with self._opened() as reader:
            return time_axis(reader)[1]

    @property
    def time_unit(self) -> str:
        """Unit of ``times``: "ps" for atoms, "years" for planets, "" in reduced units or without
        times."""
        from trajectories.analysis.time_series import time_axis

        with self._opened() as reader:
            return time_axis(reader)[0].unit

    @property
    def steps(self) -> np.ndarray:
        """The step of each frame, int [frames]."""
        with self._opened() as reader:
            return reader.steps

    @property
    def units(self) -> "Units":
        """The units of positions, velocities and forces."""
        with self._opened() as reader:
            return reader.units

    @property
    def positions(self) -> Frames:
        """Unwrapped positions [frames, (n_systems,) n_particles, 3], read when they are indexed."""
        return Frames(self._opened, "position")

    @property
    def velocities(self) -> Frames:
        """Velocities, as `positions`, per unit of time of `units` (for atoms ASE's, 10.18 fs)."""
        return Frames(self._opened, "velocity")

    @property
    def forces(self) -> Frames:
        """Forces, shaped as `positions`, in `units`."""
        return Frames(self._opened, "force")

    @contextmanager
    def _looked_at(self) -> "Iterator[H5MDReader]":
        """Reader for analyses, without frames left out; errors name options as in Python."""
        from mcegnn.api.following import warn
        from mcegnn.runs.reading import leave_out_marked

        # a reader of its own, which may end before the last frame
        with words_of_python(), self._source.anew() as reader:
            for warning in leave_out_marked(reader, self.all_frames):
                warn(warning)
            yield reader

    @property
    def temperature(self) -> Result:
        """Temperature of each frame in K, with the mean of the second half. Raises ValueError
        without velocities or masses, or for particles that are no atoms."""
        with self._looked_at() as reader:
            return looks.temperature(reader)

    @property
    def energy(self) -> Result:
        """Total, kinetic and potential energy of each frame, with how well the total is conserved.
        Raises ValueError if the run holds none."""
        with self._looked_at() as reader:
            return looks.energy(reader)

    def rdf(self, select: str | None = None) -> Result:
        """The radial distribution function g(r) of each pair of elements over the second half, with
        coordination numbers; of molecules without a box the distribution of distances.

        ``select`` are atoms in MDAnalysis' language, "element O".
        """
        with self._looked_at() as reader:
            return looks.curves(reader, "rdf", select)

    def msd(self, select: str | None = None) -> Result:
        """The mean squared displacement over time lags, with diffusion coefficients."""
        with self._looked_at() as reader:
            return looks.curves(reader, "msd", select)

    def vacf(self, select: str | None = None) -> Result:
        """The velocity autocorrelation function over time lags."""
        with self._looked_at() as reader:
            return looks.curves(reader, "vacf", select)

    def spectrum(self, select: str | None = None) -> Result:
        """The vibrational density of states over wavenumbers."""
        with self._looked_at() as reader:
            return looks.curves(reader, "spectrum", select)

    def analyse(
        self,
        *,
        reference: "Trajectory | str | Path | None" = None,
        tolerance: float = 0.1,
        select: str | None = None,
    ) -> "Analysis":
        """All numbers, curves, warnings and notes of `mcegnn analyse`.

        ``reference`` is another run of the same systems: its distance is analysed too, with the
        time it stays below ``tolerance`` (in the run's unit of length).
        """
        other = reference
        if other is not None and not isinstance(other, Trajectory):
            other = Trajectory(other)
        with self._looked_at() as reader:
            if other is None:
                return looks.everything(reader, None, tolerance, select)
            with other._opened() as beside:
                return looks.everything(reader, beside, tolerance, select)

    def plot(self, what: str, path: str | Path | None = None) -> Any:
        """The matplotlib figure of a curve by its key ("rdf", "msd", "vacf", "spectrum",
        "temperature", "energy", "conserved", ...), or of the "trajectory"; written to ``path`` too
        if one is named.

        Raises ValueError, with the nearest key, if the run has no such curve.
        """
        with self._looked_at() as reader:
            figure = looks.figure(reader, what)
            if path is not None:
                figure.savefig(path, dpi=150)
        return figure

    def to_ase(self, frames: int | slice = slice(None), system: int | None = None) -> Any:
        """The `ase.Atoms` of a frame, or a list of those of several, with all that the run keeps
        and its energies, forces and stress; ``system`` is one of an ensemble's. Raises IndexError
        if there is no such frame."""
        from trajectories.convert import atoms_of, check_separable

        with words_of_python(), self._opened() as reader:
            check_separable(reader, system)
            chosen = looks.chosen(reader, frames)
            if isinstance(chosen, int):
                return next(atoms_of(reader, system, [chosen]))
            return list(atoms_of(reader, system, chosen))

    def universe(self) -> Any:
        """The run in MDAnalysis, in float32 and its units: a Universe."""
        from trajectories.mdanalysis import universe

        with words_of_python():
            return universe(self._source.file)

    def __repr__(self) -> str:
        with self._opened() as reader:
            rows = looks.rows(reader)
        return f"Trajectory({str(self.path)!r}: {', '.join(text for _, text in rows)})"

    def _repr_html_(self) -> str:
        with self._opened() as reader:
            return table(f"Trajectory {self.path}", looks.rows(reader))
