"""Checkpoints: all that a bit-exact resume needs, beside the run's file as ``run.h5md.checkpoint``
(safetensors with a JSON header)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from integrators.kepler import DemocraticHeliocentric
from integrators.random import Random
from integrators.state import Coordinates, State
from systems.system import System
from systems.units import BY_NAME
from trajectories.storage.tensor_file import read_tensors, write_tensors

_FORMAT = 2  # 1 had no lost systems
_MEMORIES = ("thermostat", "barostat")
_ARRAYS = ("positions", "momenta", "masses", "species", "charges", "cell")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A state, the number of frames in the file at that moment, the run's configuration, and frozen
    systems with the steps since which they are.

    ``frame`` is the last frame's system where the state is beyond it.
    """

    state: State
    n_frames: int
    configuration: Mapping[str, Any]
    lost: Mapping[int, int] = field(default_factory=dict)
    frame: System | None = None


def path_of(run: str | Path) -> Path:
    """Path of the checkpoint of a run's file."""
    return Path(f"{run}.checkpoint")


def save(run: str | Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of ``run`` atomically."""
    state = checkpoint.state
    header = {
        "format": _FORMAT,
        "time": state.time,
        "step": state.step,
        "origin": state.origin,
        "star": None if state.coordinates is None else state.coordinates.chart.star,
        "random": (
            None if state.random is None else [int(state.random.seed), int(state.random.count)]
        ),
        "units": state.system.units.name,
        "pbc": list(state.system.pbc),
        "n_frames": checkpoint.n_frames,
        "configuration": checkpoint.configuration,
        "lost": {str(system): step for system, step in checkpoint.lost.items()},
    }
    tensors = _arrays("system", state.system) | (
        {} if state.coordinates is None else _arrays("coordinates", state.coordinates.system)
    )
    tensors |= {} if checkpoint.frame is None else _arrays("frame", checkpoint.frame)
    memories = {name: getattr(state, name) for name in _MEMORIES}
    tensors |= {
        name: np.ascontiguousarray(array) for name, array in memories.items() if array is not None
    }
    write_tensors(path_of(run), header, tensors)


def load(run: str | Path) -> Checkpoint:
    """Read the checkpoint of ``run``. Raises FileNotFoundError if there is none, and ValueError if
    it is damaged."""
    target = path_of(run)
    if not target.is_file():
        raise FileNotFoundError(
            f"{run} has no checkpoint ({target} is missing), so it cannot be resumed"
        )
    try:
        header, tensors = read_tensors(target)
        _check_entries(header)
        system = _system("system", tensors, header)
        coordinates = _coordinates(system, tensors, header)
        random = None if header["random"] is None else Random(*header["random"])
        memories: dict[str, Any] = {name: tensors.get(name) for name in _MEMORIES}
        state = State(
            system,
            float(header["time"]),
            header["step"],
            coordinates=coordinates,
            origin=header["origin"],
            random=random,
            **memories,
        )
        lost = {int(system): int(step) for system, step in header.get("lost", {}).items()}
        frame = _system("frame", tensors, header) if "frame.positions" in tensors else None
        return Checkpoint(state, header["n_frames"], header["configuration"], lost, frame)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{target} is not a checkpoint of ours, or a damaged one ({error})"
        ) from None


def _coordinates(
    inertial: System, tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]
) -> Coordinates | None:
    if header["star"] is None:
        return None
    return Coordinates(
        DemocraticHeliocentric(header["star"]), _system("coordinates", tensors, header), inertial
    )


def _check_entries(header: Mapping[str, Any]) -> None:
    """Raise ValueError if an entry of the header is not of its kind."""
    kinds = {
        "format": int,
        "time": (int, float),
        "step": int,
        "n_frames": int,
        "configuration": dict,
        "units": str,
        "pbc": list,
    }
    kinds |= {"origin": (int, float, NoneType), "star": (int, NoneType), "random": (list, NoneType)}
    for name, kind in kinds.items():
        if not isinstance(header[name], kind):  # type: ignore[arg-type]
            raise ValueError(f"{name} is {header[name]!r}")
    if (
        not 1 <= header["format"] <= _FORMAT
        or min(header["step"], header["n_frames"]) < 0
        or len(header["pbc"]) != 3
    ):
        raise ValueError(
            f"format {header['format']}, step {header['step']}, {header['n_frames']} frames"
        )


def _arrays(prefix: str, system: System) -> dict[str, np.ndarray]:
    arrays = {name: getattr(system, name) for name in _ARRAYS}
    return {
        f"{prefix}.{name}": np.ascontiguousarray(array)
        for name, array in arrays.items()
        if array is not None
    }


def _system(prefix: str, tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> System:
    arrays = {name: tensors.get(f"{prefix}.{name}") for name in _ARRAYS}
    x = tensors[f"{prefix}.positions"]
    shapes = {
        "positions": x.shape,
        "momenta": x.shape,
        "masses": x.shape[-2:-1],
        "species": x.shape[-2:-1],
        "charges": x.shape[:-1],
    }
    for name, shape in shapes.items():
        array = tensors[f"{prefix}.{name}"]
        if (
            array.shape != shape
            or x.shape[-1] != 3
            or (name != "species" and array.dtype != np.float64)
        ):
            raise ValueError(f"{name} are {array.dtype} {array.shape}")
    return System(**arrays, pbc=tuple(header["pbc"]), units=BY_NAME[header["units"]])
