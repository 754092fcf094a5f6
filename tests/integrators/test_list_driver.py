"""The compiled driver of potentials with neighbour lists, and thermostats in both drivers: the
numbers of the Python interpreter."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from integrators.barostats import Piston
from integrators.compiled.table import compile_flow
from integrators.ensembles import langevin_baoab, nose_hoover, npt, velocity_verlet, yoshida_4
from integrators.flows import Drift
from integrators.random import Random
from integrators.span import Span
from integrators.state import Flow, State
from integrators.thermostats import Ramp
from integrators.velocities import maxwell_boltzmann
from systems.neighbors.cells import PARALLEL
from systems.potentials.coulomb import Coulomb
from systems.potentials.fixed import Fixed
from systems.potentials.lennard_jones import LennardJones
from systems.potentials.springs import Springs
from systems.sources.charged import charged_systems
from systems.system import System
from trajectories.rollout import advance, rollout

DT = 0.004
RAMP = Ramp(0.5, 1.5, 50 * DT, 10 * DT)


def fluid(
    repeat: int = 3, copies: int = 0, pbc: tuple[bool, bool, bool] = (True, True, True)
) -> State:
    """A crystal of reduced density 0.85 that is warm enough to melt; ``copies`` of it with their
    own velocities."""
    atoms = bulk("Ar", "fcc", 1.68, cubic=True).repeat(repeat)
    shape = (copies,) if copies else ()
    x = np.broadcast_to(atoms.positions, (*shape, *atoms.positions.shape)) + np.random.default_rng(
        0
    ).normal(0, 0.02, atoms.positions.shape)
    cell = np.broadcast_to(np.array(atoms.cell), (*shape, 3, 3)).copy()
    return State(
        maxwell_boltzmann(replace(System.create(x), cell=cell, pbc=pbc), 1.2, Random(4)),
        random=Random(7),
    )


def piston(**more: Any) -> Piston:
    return Piston(1.0, 0.5, 1.0, **more)


FLOWS: dict[str, Callable[[Any], Flow]] = {
    "velocity-verlet": velocity_verlet,
    "yoshida-4": yoshida_4,
    "BAOAB": lambda p: langevin_baoab(p, 1.0, 0.5),
    "BAOAB, ramp": lambda p: langevin_baoab(p, RAMP, 0.5),
    "BAOAB, frozen": lambda p: langevin_baoab(p, 1.0, 0.5, np.arange(108) % 5 == 0),
    "frozen": lambda p: velocity_verlet(Fixed(p, np.arange(108) % 7 == 0)),
    "Nose-Hoover": lambda p: nose_hoover(p, 1.0, 0.5),
    "Nose-Hoover, ramp": lambda p: nose_hoover(p, RAMP, 0.5),
    "NPT": lambda p: npt(p, piston(), 0.5),
    "NPT, ramps": lambda p: npt(p, Piston(RAMP, Ramp(0.0, 2.0, 50 * DT), 1.0, friction=0.3), 0.5),
    "NPT, flexible": lambda p: npt(p, piston(flexible=True), 0.5),
}


def interpreted(flow: Flow, state: State, n_steps: int) -> State:
    state = state.started(DT)
    for _ in range(n_steps):
        state = flow(state, DT).at(state.step + 1, DT)
    return state


def last(flow: Flow, state: State, n_steps: int, **more: Any) -> State:
    *_, end = rollout(flow, state, DT, n_steps, n_steps, **more)
    return end


def assert_close(found: State, wanted: State, tolerance: float) -> None:
    """Everything a state remembers, relative to its largest number."""
    pairs = [(getattr(found, name), getattr(wanted, name)) for name in ("thermostat", "barostat")]
    pairs += [
        (getattr(found.system, name), getattr(wanted.system, name))
        for name in ("positions", "momenta", "cell")
    ]
    for a, b in pairs:
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            assert abs(a - b).max() < tolerance * max(abs(b).max(), 1e-3)
    assert found.random == wanted.random
    assert (found.step, found.time) == (wanted.step, wanted.time)


def same_bits(a: State, b: State) -> bool:
    arrays = [
        (x.system.positions, x.system.momenta, x.system.cell, x.thermostat, x.barostat)
        for x in (a, b)
    ]
    return (
        all((p is None and q is None) or np.array_equal(p, q) for p, q in zip(*arrays, strict=True))
        and a.random == b.random
    )


@pytest.mark.parametrize("name", FLOWS)
def test_both_interpreters_give_the_same_numbers(name: str) -> None:
    """Over a hundred steps; the crystal melts, so that rounding grows by some powers of ten
    afterwards."""
    start = fluid()
    assert compile_flow(FLOWS[name](LennardJones())) is not None
    slow, fast = (
        interpreted(FLOWS[name](LennardJones()), start, 100),
        last(FLOWS[name](LennardJones()), start, 100),
    )
    assert_close(fast, slow, 1e-11)
    assert not np.allclose(fast.system.positions, start.system.positions, atol=0.05)


@pytest.mark.parametrize(
    "name", ["velocity-verlet", "BAOAB", "Nose-Hoover", "NPT", "NPT, flexible"]
)
def test_ensembles(name: str) -> None:
    """Systems of an ensemble, shared out among threads, and each its own random numbers."""
    start = fluid(copies=3)
    slow, fast = (
        interpreted(FLOWS[name](LennardJones()), start, 60),
        last(FLOWS[name](LennardJones()), start, 60, threads=2),
    )
    assert_close(fast, slow, 1e-11)
    assert same_bits(fast, last(FLOWS[name](LennardJones()), start, 60, threads=1))


@pytest.mark.parametrize("name", FLOWS)
def test_bits_depend_on_nothing_else(name: str) -> None:
    """Neither on the skin, nor on frames, nor on a stop half way, after which the list is
    another."""
    start = fluid()
    whole = last(FLOWS[name](LennardJones()), start, 60)
    for skin in (0.05, 0.7):
        assert same_bits(whole, last(FLOWS[name](LennardJones(skin=skin)), start, 60))
    *_, often = rollout(FLOWS[name](LennardJones()), start, DT, 60, 4)
    assert same_bits(whole, often)
    half = last(FLOWS[name](LennardJones()), start, 30)
    assert same_bits(whole, last(FLOWS[name](LennardJones()), replace(half, evaluation=None), 30))


@pytest.mark.parametrize("name", ["velocity-verlet", "NPT, flexible"])
def test_bits_do_not_depend_on_threads(name: str) -> None:
    start = fluid(repeat=10)
    assert start.system.n_particles > PARALLEL
    one, two, five = (
        last(FLOWS[name](LennardJones(skin=0.1)), start, 12, threads=threads)
        for threads in (1, 2, 5)
    )
    assert same_bits(one, two)
    assert same_bits(one, five)


def test_frames_carry_evaluations_and_slices_do_not() -> None:
    flow, start = FLOWS["NPT"](LennardJones()), fluid()
    states = list(advance(flow, start, DT, Span(40, 10)))
    frames = [state for state in states if state.step % 10 == 0]
    assert [state.step for state in frames] == [0, 10, 20, 30, 40]
    for state in frames:
        assert state.evaluation is not None
        again = LennardJones()(state.system)
        np.testing.assert_array_equal(state.evaluation.forces, again.forces)
        np.testing.assert_array_equal(state.evaluation.stress, again.stress)
    for state in states:  # frames own their arrays
        assert np.isfinite(state.system.positions).all()
    assert len({id(state.system.positions) for state in states}) == len(states)


def test_no_cell_and_slabs() -> None:
    for pbc in ((False, False, False), (True, True, False)):
        start = fluid(pbc=pbc)
        start = replace(start, system=replace(start.system, cell=None)) if not any(pbc) else start
        for name in ("velocity-verlet", "BAOAB"):
            slow, fast = (
                interpreted(FLOWS[name](LennardJones()), start, 60),
                last(FLOWS[name](LennardJones()), start, 60),
            )
            assert_close(fast, slow, 1e-11)


@pytest.mark.parametrize("name", ["BAOAB", "BAOAB, ramp", "Nose-Hoover", "Nose-Hoover, ramp"])
@pytest.mark.parametrize(
    "potential",
    [Coulomb(), Springs(np.array([(i, j) for i in range(5) for j in range(i)]), 2.0, 1.0)],
)
def test_thermostats_of_the_other_driver(name: str, potential: Any) -> None:
    """Kernels of all pairs, ensembles of small systems."""
    start = replace(State(charged_systems(4, 0, 5)), random=Random(9))
    flow = FLOWS[name](potential)
    assert compile_flow(flow) is not None
    slow, fast = interpreted(flow, start, 50), last(flow, start, 50, threads=3)
    assert_close(fast, slow, 1e-10)
    half = last(flow, start, 25)
    assert same_bits(fast, last(flow, replace(half, evaluation=None), 25, threads=1))
    frames = list(rollout(flow, start, DT, 50, 5))
    assert same_bits(fast, frames[-1])
    assert same_bits(
        half, frames[5]
    )  # a frame on the way remembers what a run that ends there does


def test_frozen_particles_of_the_other_driver() -> None:
    start = replace(State(charged_systems(4, 0, 5)), random=Random(9))
    held = np.array([True, False, False, True, False])
    flow = langevin_baoab(Coulomb(), 1.0, 0.5, held)
    slow, fast = interpreted(flow, start, 50), last(flow, start, 50)
    assert_close(fast, slow, 1e-10)


def test_what_it_does_not_compile() -> None:
    """A user's flow, or a moving cell under a potential without a list, is left to the Python
    interpreter."""

    class Own(Drift):
        pass

    from integrators.composition import Strang
    from integrators.flows import Kick

    assert compile_flow(Strang(Kick(LennardJones()), Own())) is None
    assert compile_flow(npt(Coulomb(), piston(), 0.5)) is None
    assert compile_flow(Strang(Kick(LennardJones()), Kick(LennardJones()), Drift())) is None


@pytest.mark.parametrize(
    ("flow", "state", "told"),
    [
        (
            FLOWS["NPT"],
            replace(fluid(), system=replace(fluid().system, pbc=(True, True, False))),
            "periodic in all directions",
        ),
        (FLOWS["BAOAB"], replace(fluid(), random=None), "needs random numbers"),
        (FLOWS["NPT"], replace(fluid(), random=None), "needs random numbers"),
        (
            FLOWS["Nose-Hoover"],
            replace(fluid(), thermostat=np.zeros((2, 4))),
            "remembers a chain of 4, not of 3",
        ),
    ],
)
def test_refusals(flow: Callable[[Any], Flow], state: State, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        list(rollout(flow(LennardJones()), state, DT, 10))


@pytest.mark.parametrize("name", ["BAOAB", "NPT"])
def test_noise_does_not_run_backwards(name: str) -> None:
    start = fluid() if name == "NPT" else replace(State(charged_systems(2, 0, 5)), random=Random(9))
    with pytest.raises(ValueError, match="cannot run backwards in time"):
        list(rollout(FLOWS[name](LennardJones() if name == "NPT" else Coulomb()), start, -DT, 10))
