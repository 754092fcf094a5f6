"""Runs in MDAnalysis, and DCD files read by it: distances with its boxes are those of our cells,
whatever their orientation."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import MDAnalysis
import numpy as np
import pytest
from MDAnalysis.lib.distances import distance_array

from integrators.state import State
from systems.cell import minimum_image
from systems.system import Evaluation, System
from systems.units import METAL
from trajectories.convert import FORMATS
from trajectories.storage.h5md import H5MDReader

PBC = [
    (True, True, True),
    (True, True, False),
    (False, True, True),
    (True, False, True),
    (False, True, False),
    (False, False, False),
]
WARNINGS = (
    "ignore:No dimensions set for current frame:UserWarning",
    "ignore:DCDReader currently makes:DeprecationWarning",
)


def tumbling(
    stream: np.random.Generator, pbc: tuple[bool, bool, bool], n_frames: int = 3
) -> list[State]:
    """Frames whose cells are turned, of either hand, each in its own way; with velocities, forces
    and particles out of the cell."""
    states = []
    for k in range(n_frames):
        cell = (8.0 * np.eye(3) + stream.uniform(-2.0, 2.0, (3, 3)))[stream.permutation(3)]
        cell = cell @ np.linalg.qr(stream.normal(size=(3, 3)))[0]
        x, v, f = stream.uniform(-1.0, 2.0, (9, 3)) @ cell, *stream.normal(size=(2, 9, 3))
        system = System.create(
            x, velocities=v, masses=stream.uniform(1.0, 9.0, 9), species=8, units=METAL
        )
        states.append(
            State(
                replace(system, cell=cell, pbc=pbc),
                METAL.convert(float(k), "ps"),
                k,
                Evaluation(np.float64(0), f),
            )
        )
    return [replace(s, system=replace(s.system, masses=states[0].system.masses)) for s in states]


def assert_same_distances(ts: Any, state: State) -> None:
    """MDAnalysis' own shortest images, in float32."""
    system = state.system
    offsets = system.positions[None] - system.positions[:, None]
    expected = np.linalg.norm(minimum_image(offsets, system.cell, system.pbc), axis=-1)
    found = distance_array(ts.positions, ts.positions, box=ts.dimensions)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("pbc", PBC)
@pytest.mark.filterwarnings(*WARNINGS)
def test_distances_in_any_cell(record: Callable[..., Path], pbc: tuple[bool, bool, bool]) -> None:
    states = tumbling(np.random.default_rng(sum(p << k for k, p in enumerate(pbc))), pbc)
    path = record(states)
    with H5MDReader(path) as run:
        u = run.universe()
        FORMATS[".dcd"](run, path.with_suffix(".dcd"), None)
    dcd = MDAnalysis.Universe.empty(9, trajectory=False)
    dcd.load_new(str(path.with_suffix(".dcd")), convert_units=False)
    assert len(dcd.trajectory) == len(u.trajectory) == len(states)
    for one in (u, dcd):
        for ts, state in zip(one.trajectory, states, strict=True):
            assert (ts.dimensions is None) == (not any(pbc))
            assert_same_distances(ts, state)


def test_all_vectors_are_turned_alike(record: Callable[..., Path]) -> None:
    """Power and virial are those of the run; so is the cell's volume; handedness is kept; a copy
    and a pickled reader do the same."""
    states = tumbling(np.random.default_rng(7), (True, True, True))
    with H5MDReader(record(states)) as run:
        u = run.universe()
        for again in (u, u.copy(), pickle.loads(pickle.dumps(u))):
            for k in (2, 0, 1):
                ts, system, forces = (
                    again.trajectory[k],
                    states[k].system,
                    states[k].evaluation.forces,
                )
                velocities = system.velocities * METAL.convert(1.0, "ps")
                kilojoules = 96.48533 * forces
                np.testing.assert_allclose(
                    (ts.velocities * ts.forces).sum(-1),
                    (velocities * kilojoules).sum(-1),
                    rtol=1e-3,
                    atol=0.05,
                )
                np.testing.assert_allclose(
                    (ts.positions * ts.forces).sum(-1),
                    (system.positions * kilojoules).sum(-1),
                    atol=0.02,
                )
                assert ts.volume == pytest.approx(abs(np.linalg.det(system.cell)), rel=1e-4)
                assert np.linalg.det(ts.positions[:3]) == pytest.approx(
                    np.linalg.det(system.positions[:3]), abs=1e-2
                )


@pytest.mark.filterwarnings(*WARNINGS)
def test_a_system_of_an_ensemble_has_its_own_box(record: Callable[..., Path]) -> None:
    states = [tumbling(np.random.default_rng(s), (True, True, True)) for s in range(2)]
    together = []
    for a, b in zip(*states, strict=True):
        stacked = {
            name: np.stack([getattr(a.system, name), getattr(b.system, name)])
            for name in ("positions", "momenta", "charges", "cell")
        }
        together.append(replace(a, system=replace(a.system, **stacked), evaluation=None))
    path = record(together)
    with H5MDReader(path) as run:
        for s in range(2):
            FORMATS[".dcd"](run, path.with_suffix(".dcd"), s)
            dcd = MDAnalysis.Universe.empty(9, trajectory=False)
            dcd.load_new(str(path.with_suffix(".dcd")), convert_units=False)
            for ts, state in zip(dcd.trajectory, states[s], strict=True):
                assert_same_distances(ts, state)


def test_what_lies_in_standard_orientation_is_left_as_it_is(record: Callable[..., Path]) -> None:
    state = tumbling(np.random.default_rng(0), (True, True, True), 1)[0]
    system = replace(
        state.system, cell=np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-1.0, 1.5, 10.0]])
    )
    with H5MDReader(record([replace(state, system=system)])) as run:
        np.testing.assert_array_equal(
            run.universe().atoms.positions, system.positions.astype(np.float32)
        )
