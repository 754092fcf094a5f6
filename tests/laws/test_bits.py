"""A run that is stopped and resumed from its last state is the same run, bit for bit, in both
interpreters."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.compiled.table import compile_flow
from integrators.ensembles import INTEGRATORS
from integrators.kepler import InCoordinates
from integrators.relativity import PostNewtonian
from integrators.span import Span
from integrators.state import State
from systems.potentials.gravity import Gravity
from systems.sources.charged import benchmark_coulomb, charged_systems
from systems.sources.solar import j2000
from systems.system import Evaluation, System
from systems.units import ASTRONOMICAL
from trajectories.rollout import advance, rollout

RELATIVITY = PostNewtonian(0, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)


class Bare:
    """A potential whose kernel is hidden, so that the Python interpreter runs it."""

    def __init__(self, potential: Any) -> None:
        self.inner = potential

    def __call__(self, system: System) -> Evaluation:
        return self.inner(system)


def gravity(name: str, interpreter: str) -> Any:
    """The solar system's flow by that integrator; relativity in every second one."""
    relativity = RELATIVITY if name in ("velocity-verlet", "yoshida-4", "wisdom-holman") else None
    potential = Gravity(ASTRONOMICAL.gravitation)
    if interpreter == "compiled" or name != "wisdom-holman":
        return INTEGRATORS[name](
            potential if interpreter == "compiled" else Bare(potential), relativity=relativity
        )
    flow = INTEGRATORS[name](potential, relativity=relativity)
    return InCoordinates(flow.chart, flow.flow, Bare(potential))


def assert_same_bits(found: State, expected: State) -> None:
    assert (found.step, found.time) == (expected.step, expected.time)
    assert (found.coordinates is None) == (expected.coordinates is None)
    for name in ("positions", "momenta"):
        np.testing.assert_array_equal(getattr(found.system, name), getattr(expected.system, name))
        if found.coordinates is not None:
            np.testing.assert_array_equal(
                getattr(found.coordinates.system, name), getattr(expected.coordinates.system, name)
            )
    np.testing.assert_array_equal(found.evaluation.forces, expected.evaluation.forces)


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
@pytest.mark.parametrize("name", INTEGRATORS)
def test_five_hundred_and_five_hundred_steps_are_a_thousand(name: str, interpreter: str) -> None:
    flow, start = gravity(name, interpreter), State(j2000().system)
    assert (compile_flow(flow) is not None) == (interpreter == "compiled")
    _, half, whole = rollout(flow, start, 0.5, 1000, 500)
    _, resumed = rollout(flow, half, 0.5, 500, 500)
    assert_same_bits(resumed, whole)
    assert abs(whole.system.positions - half.system.positions).max() > 0.1


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
def test_charges_are_resumed_at_any_step(interpreter: str) -> None:
    """Chaotic, so that one bit would show: three thousand steps in pieces of 1, 1,499 and 1,500."""
    potential = benchmark_coulomb()
    flow = INTEGRATORS["symplectic-euler"](
        potential if interpreter == "compiled" else Bare(potential)
    )
    start = State(charged_systems(20, 5))
    *_, whole = rollout(flow, start, 0.001, 3000, 3000)
    state = start
    for n in (1, 1499, 1500):
        *_, state = rollout(flow, state, 0.001, n, n)
    assert_same_bits(state, whole)


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
@pytest.mark.parametrize("name", ["yoshida-4", "wisdom-holman"])
def test_what_a_checkpoint_drops_is_made_again(name: str, interpreter: str) -> None:
    """A checkpoint holds system, time, step and coordinates, and no evaluation."""
    flow, start = gravity(name, interpreter), State(j2000().system)
    _, half, whole = rollout(flow, start, 0.5, 200, 100)
    kept = State(half.system, half.time, half.step, coordinates=half.coordinates)
    *_, resumed = rollout(flow, kept, 0.5, 100, 100)
    assert_same_bits(resumed, whole)


@pytest.mark.parametrize("interpreter", ["compiled", "Python"])
@pytest.mark.parametrize("name", ["yoshida-4", "wisdom-holman"])
def test_a_run_resumed_between_two_frames_keeps_their_rhythm(name: str, interpreter: str) -> None:
    """Stopped 7 steps after a frame: with ``phase`` 7 the next frames are those of the whole
    run."""
    flow, start = gravity(name, interpreter), State(j2000().system)
    frames = {state.step: state for state in rollout(flow, start, 0.5, 60, 20)}
    *_, stopped = rollout(flow, start, 0.5, 27, 27)
    resumed = {state.step: state for state in advance(flow, stopped, 0.5, Span(33, 20, phase=7))}
    assert {40, 60} <= set(resumed)
    for step in (40, 60):
        assert_same_bits(resumed[step], frames[step])


@settings(deadline=None, max_examples=50)
@given(time=st.floats(-1e6, 1e6), dt=st.floats(1e-3, 10.0), first=st.integers(1, 50))
def test_times_are_resumed_to_the_bit(time: float, dt: float, first: int) -> None:
    """time = t0 + step * dt of a run that began at any time."""
    flow, start = (
        INTEGRATORS["velocity-verlet"](benchmark_coulomb()),
        State(charged_systems(1), time),
    )
    times = {state.step: state.time for state in rollout(flow, start, dt, 60)}
    *_, half = rollout(flow, start, dt, first, first)
    for state in rollout(flow, half, dt, 60 - first):
        assert state.time == times[state.step]


_CHILD = """
import hashlib
from ase.build import bulk
from integrators.ensembles import langevin_baoab
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from systems.potentials.lennard_jones import LennardJones
from systems.sources.atoms import from_atoms
from systems.units import METAL
from trajectories.rollout import rollout

system = maxwell_boltzmann(from_atoms(bulk("Ar", "fcc", 5.3, cubic=True) * 2), 60.0, Random(1))
found = hashlib.sha256()
flow = langevin_baoab(LennardJones(0.0104, 3.4), 60.0, 0.01)
for state in rollout(flow, State(system, random=Random(2)), 0.05, 40, 1):
    for values in (state.system.positions, state.system.momenta, *state.evaluation[:4]):
        found.update(values.tobytes())
print(found.hexdigest())
"""


@pytest.mark.slow
def test_the_first_run_on_a_machine_has_the_bits_of_the_next(tmp_path: Path) -> None:
    """The one compiles, the other finds what was compiled on disk."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", _CHILD],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        for _ in range(2)
    ]
    assert runs[0].stdout, runs[0].stderr
    assert list(tmp_path.rglob("*.nbc"))
    assert runs[1].stdout == runs[0].stdout
