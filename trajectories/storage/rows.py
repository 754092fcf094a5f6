"""The states of a run as rows of the datasets of its file (`trajectories.storage.layout`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from integrators.state import State
from systems.observables import kinetic_energy, pressure
from trajectories.storage.layout import CELLS, GROUP, OBSERVABLES, STRESS, file_units


def rows_of(states: Sequence[State]) -> dict[str, np.ndarray]:
    """Every time-dependent dataset's rows for these states. Raises ValueError if only some of them
    have forces, an energy, an uncertainty or a stress."""
    return _motion(states) | _constants(states) | _observables(states)


def _motion(states: Sequence[State]) -> dict[str, np.ndarray]:
    """Steps and times, positions and velocities."""
    return {
        f"{GROUP}/position/step": np.array([s.step for s in states]),
        f"{GROUP}/position/time": np.array([s.time for s in states]) * _scale(states, "time"),
        f"{GROUP}/position/value": _flat([s.system.positions for s in states]),
        f"{GROUP}/velocity/value": (
            _flat([s.system.velocities for s in states]) * _scale(states, "velocity")
        ),
    }


def _constants(states: Sequence[State]) -> dict[str, np.ndarray]:
    """Constant properties of particles, and the box, which H5MD has one of a frame."""
    n, first, cells = len(states), states[0].system, _cells(states)

    def constant(values: Any) -> np.ndarray:
        copies = np.broadcast_to(values, first.positions.shape[:-1]).reshape(-1)
        return np.broadcast_to(copies, (n, len(copies)))

    return {
        f"{GROUP}/species/value": constant(np.asarray(first.species, dtype=np.int32)),
        f"{GROUP}/mass/value": constant(np.asarray(first.masses)),
        f"{GROUP}/charge/value": constant(np.asarray(first.charges)),
        f"{GROUP}/box/edges/value": cells if cells.ndim == 3 else np.zeros((n, 3, 3)),
        f"{GROUP}/box/pbc/value": np.broadcast_to(np.array(first.pbc), (n, 3)),
    }


def _observables(states: Sequence[State]) -> dict[str, np.ndarray]:
    """Energies, forces, stresses and pressures, and the cells of an ensemble whose systems have
    their own, as far as they are known."""
    first, cells = states[0].system, _cells(states)
    rows = {_path("kinetic_energy"): _stacked([kinetic_energy(s.system) for s in states])}
    if cells.ndim == 4:
        rows[_path(CELLS)] = cells
    if forces := _of_all(states, "forces", "forces"):
        rows[f"{GROUP}/force/value"] = _flat(forces) * _scale(states, "force")
    if energies := _of_all(states, "energy", "a potential energy"):
        rows[_path("potential_energy")] = _stacked(energies)
    if uncertain := _of_all(states, "uncertainty", "an uncertainty"):
        rows[_path("uncertainty")] = _stacked(uncertain)
    stresses = _of_all(states, "stress", "a stress")
    # else there is no volume, whatever the potential says
    if stresses and first.cell is not None and all(first.pbc):
        pressures = [pressure(s.system, stress) for s, stress in zip(states, stresses, strict=True)]
        rows[_path("pressure")] = _stacked(pressures)
        rows[_path(STRESS)] = np.stack([np.asarray(stress, dtype=float) for stress in stresses])
    return rows


def _path(observable: str) -> str:
    return f"{OBSERVABLES}/{observable}/value"


def _scale(states: Sequence[State], element: str) -> float:
    """Factor of an element in the file."""
    return file_units(states[0].system.units).get(element, (1.0, ""))[0]


def _cells(states: Sequence[State]) -> np.ndarray:
    """[frames, (n_systems,) 3, 3]; zero where there is no cell."""
    cells = [s.system.cell for s in states]
    return np.stack([np.zeros((3, 3)) if c is None else np.asarray(c, dtype=float) for c in cells])


def _flat(values: Sequence[Any]) -> np.ndarray:
    """Vectors of all particles of all systems, [frames, n, 3]."""
    return np.stack([np.asarray(v, dtype=float).reshape(-1, 3) for v in values])


def _stacked(values: Sequence[Any]) -> np.ndarray:
    return np.stack([np.asarray(value) for value in values])


def _of_all(states: Sequence[State], name: str, what: str) -> list[Any]:
    """A part of the states' evaluations, nothing if no state has it. Raises ValueError if only some
    have."""
    values = [None if s.evaluation is None else getattr(s.evaluation, name) for s in states]
    there = [value for value in values if value is not None]
    if there and len(there) < len(values):
        raise ValueError(
            f"some frames have {what} and others have not; write all of them with it or none"
        )
    return there
