"""Files of runs, open for reading: what they hold beside the frames."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import h5py

from systems.units import BY_NAME
from trajectories.storage.journal import recover
from trajectories.storage.layout import GROUP, sealed, whole_frames
from trajectories.storage.locks import OPEN_ELSEWHERE, FileInUseError


class RecordedRun:
    """An open run's file: its units, and the recorded metadata of its run.

    Raises FileNotFoundError, or ValueError if the file is not a run's H5MD file.
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
        except Exception as error:  # HDF5 has many kinds for a damaged file
            words = _why_not_ours(path, self._file, error)
            self._file.close()
            raise ValueError(words) from None
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

    @cached_property
    def n_systems(self) -> int | None:
        """Systems of the ensemble; None where the run was of a single system."""
        return (
            int(self._file["parameters/n_systems"][()])
            if "parameters/n_systems" in self._file
            else None
        )

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
        """Recorded metadata of the run."""
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
        """What is missing in a trajectory of another program: "velocities", "masses", "times"."""
        return tuple(filter(None, self.provenance.get("missing", "").split(", ")))

    @property
    def notes(self) -> list[str]:
        """Further notes on a trajectory of another program."""
        return self.provenance.get("notes", "").splitlines()

    @property
    def assumed(self) -> dict[str, str]:
        """Assumptions, in words, about what another program's files lack or have wrong: "units",
        "times", ..."""
        return dict(json.loads(self.provenance.get("assumed", "{}")))

    @property
    def cannot_follow(self) -> str:
        """Why atoms of another program's wrapped trajectory could not be followed across the cell;
        "" if they could."""
        return self.provenance.get("cannot_follow", "")

    @property
    def name(self) -> str:
        """Name of the run for users: the path, or the files it was imported from."""
        return self.provenance.get("imported", str(self.path))

    @property
    def has_velocities(self) -> bool:
        """False of trajectories of other programs that had none."""
        return "velocities" not in self.missing

    @cached_property
    def frozen(self) -> list[int]:
        """The particles that were fixed, as the command line recorded them."""
        return list(self.configuration.get("frozen", ()))

    @property
    def template(self) -> str:
        """What the atoms had beside a system, info and further arrays, as
        `systems.sources.template` writes it; empty where that was nothing."""
        return self.provenance.get("template", "") or str(self.configuration.get("template", ""))


def _why_not_ours(path: str | Path, file: h5py.File, error: Exception) -> str:
    """Reason why an HDF5 file is no run of mcegnn, in a sentence."""
    if isinstance(error, EOFError):
        return f"{path} holds no frames yet"
    incomplete = isinstance(error, KeyError)
    if incomplete and _is_foreign(file):
        return (
            f"{path} is an H5MD file of another program, which tells no names of atoms; name its"
            " topology with --topology FILE (PDB, GRO, PSF, ...)"
        )
    what = "not a trajectory written by mcegnn, or a damaged one" if incomplete else "damaged"
    words = " ".join(str(error.args[0] if error.args else error).split())
    return f"{path} is {what} ({words})"


def _is_foreign(file: h5py.File) -> bool:
    """Whether it is an H5MD file that another program wrote; False for one that is too damaged to
    tell."""
    try:
        return "particles" in file and (GROUP not in file or "parameters/units" not in file)
    except (OSError, RuntimeError, KeyError):
        return False


def _opened(path: str | Path) -> h5py.File:
    """Open a file, after bringing it to its last commit if its writer was stopped. Raises
    ValueError if it is no HDF5 file or is being written."""
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
