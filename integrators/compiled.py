"""The compiled path: a scheme whose every piece has a kernel becomes a `Program` that the numba driver runs in slices."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from integrators.composition import Scheme, kick_potentials
from integrators.flows import Drift, Kick
from integrators.kepler import DemocraticHeliocentric, InCoordinates, Jump, KeplerDrift
from integrators.relativity import SWEEPS, PostNewtonian
from integrators.state import Coordinates, Flow, State
from systems.system import KernelPotential, System

SLICE_SECONDS = 0.1  # so that progress, Ctrl-C and checkpoints stay alive
SLICE_BYTES = 8 * 2**20  # of kept frames


@dataclass(frozen=True, eq=False)
class Program:
    """A scheme table as arrays: operation codes, fractions of the time step, and the constants the operations need."""

    operations: np.ndarray
    fractions: np.ndarray
    constants: np.ndarray  # star, G of the conics, G and squared speed of light of relativity, sweeps
    kick: KernelPotential
    full: KernelPotential
    chart: DemocraticHeliocentric | None


def compile_flow(flow: Flow) -> Program | None:
    """The flow as a program, or None where some piece of it, or its potential, has no compiled form."""
    chart = flow.chart if isinstance(flow, InCoordinates) else None
    scheme = flow.flow if isinstance(flow, InCoordinates) else flow
    if not isinstance(scheme, Scheme):
        return None
    potentials = kick_potentials(scheme)
    codes = [_code(piece) for piece, _ in scheme.table]
    full = flow.potential
    if None in codes or len(potentials) != 1 or not (_has_kernel(potentials[0]) and _has_kernel(full)):
        return None
    assert isinstance(full, KernelPotential)
    assert isinstance(potentials[0], KernelPotential)
    # the driver has room for one star and one relativity
    stars = {p.star for p, _ in scheme.table if isinstance(p, Jump | KeplerDrift | PostNewtonian)} or {-1}
    conics = {p.constant for p, _ in scheme.table if isinstance(p, KeplerDrift)} or {0.0}
    relativity = {(p.constant, p.speed_of_light) for p, _ in scheme.table if isinstance(p, PostNewtonian)} or {(0.0, 1.0)}
    if max(len(stars), len(conics), len(relativity)) > 1:
        return None
    star, kepler, (constant, c) = stars.pop(), conics.pop(), relativity.pop()
    fractions = np.array([fraction for _, fraction in scheme.table])
    return Program(np.array(codes), fractions, np.array([star, kepler, constant, c**2, SWEEPS]), potentials[0], full, chart)


def _has_kernel(potential: Any) -> bool:
    return isinstance(potential, KernelPotential) and potential.kernel is not None


def _code(piece: Flow) -> int | None:
    from integrators import _driver as d

    if isinstance(piece, PostNewtonian):
        return d.POST_NEWTONIAN_HELIOCENTRIC if piece.heliocentric else d.POST_NEWTONIAN
    codes: dict[type, int] = {Drift: d.DRIFT, Kick: d.KICK, Jump: d.JUMP, KeplerDrift: d.KEPLER}
    return codes.get(type(piece))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def advance(
    program: Program, state: State, dt: float, n_steps: int, every: int, threads: int | None = None, phase: int = 0
) -> Iterator[State]:
    """States at the end of each slice of about 0.1 s, and at every ``every``-th step, which carry an evaluation as well.

    ``phase`` is how many steps the last frame lies behind the state. Systems of an ensemble are shared out among threads; each is
    advanced by one thread alone, so its bits depend on neither threads nor slices.
    """
    inside = _inside(program, state)
    shape = inside.positions.shape
    x, p = (np.array(a, dtype=float, order="C").reshape(-1, *shape[-2:]) for a in (inside.positions, inside.momenta))
    pool = _Pool(program, inside, dt, min(threads or available_cores(), len(x)))
    start, done, rate = state.step, 0, 0.0
    per_frame = 2 * x.nbytes
    # what other flows remember stays with the state
    kept: dict[str, Any] = {name: getattr(state, name) for name in ("origin", "random", "thermostat", "barostat")}
    while done < n_steps:
        slice_steps = max(1, int(rate * SLICE_SECONDS)) if rate else max(1, 20_000 // x.size)
        slice_steps = min(slice_steps, n_steps - done, max(1, SLICE_BYTES // per_frame) * every)
        until = every - (phase + done) % every
        n_frames = max(0, (slice_steps - until) // every + 1)
        frames = np.empty((2, n_frames, *x.shape))
        began = time.perf_counter()
        pool.run(x, p, slice_steps, until, every, frames)
        rate = slice_steps / max(time.perf_counter() - began, 1e-9)
        for frame, evaluated in enumerate(_frames(program, inside, frames.reshape(2, n_frames, *shape))):
            step = start + done + until + frame * every
            yield replace(evaluated, **kept).at(step, dt)
        done += slice_steps
        if (phase + done) % every:
            here = _outside(program, replace(inside, positions=x.copy().reshape(shape), momenta=p.copy().reshape(shape)))
            yield replace(here, **kept).at(start + done, dt)


class _Pool:
    """The driver bound to a program and shared out among threads; it holds no lock, so plain threads run it in parallel."""

    def __init__(self, program: Program, inside: System, dt: float, threads: int) -> None:
        from integrators import _driver
        from systems.kernel import compile_kernel, plain, settle

        self._run = settle(_driver.run, _driver.RUN)
        n = inside.n_particles
        charges = np.broadcast_to(inside.charges, inside.positions.shape[:-1]).reshape(-1, n)
        constants = program.constants.copy()
        constants[1:3] *= inside.masses[int(constants[0])]  # GM of the star
        self._arguments = (
            plain(inside.masses), plain(charges), compile_kernel(program.kick.kernel), plain(program.kick.parameters(inside)),
            program.operations, program.fractions * dt, constants,
        )  # fmt: skip
        self._bounds = np.linspace(0, len(charges), threads + 1).astype(int)
        self._workers = ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, x: np.ndarray, p: np.ndarray, *counts: Any) -> None:
        def share(k: int) -> None:
            self._run(self._bounds[k], self._bounds[k + 1], x, p, *self._arguments, *counts)

        if self._workers is None:
            share(0)
        else:
            list(self._workers.map(share, range(len(self._bounds) - 1)))


def _inside(program: Program, state: State) -> System:
    """The system in the variables the program works in."""
    if program.chart is None:
        return state.system
    return InCoordinates(program.chart, Drift(), program.full).inside(state)


def _outside(program: Program, inside: System) -> State:
    """A state, inertial as always, of the program's variables."""
    if program.chart is None:
        return State(inside)
    inertial = program.chart.inverse(inside)
    return State(inertial, coordinates=Coordinates(program.chart, inside, inertial))


def evaluated(program: Program, state: State) -> State:
    """The state with the evaluation of the full potential, by its kernel."""
    from systems.kernel import evaluate

    return replace(state, evaluation=evaluate(program.full, state.system))


def _frames(program: Program, inside: System, frames: np.ndarray) -> Iterator[State]:
    """A state with the full potential's evaluation for each kept frame; [2, n_frames, ..., n, 3]."""
    from systems.kernel import evaluate

    n_frames = frames.shape[1]
    if not n_frames:
        return
    charges = np.broadcast_to(inside.charges, (n_frames, *inside.charges.shape))
    block = _outside(program, replace(inside, positions=frames[0], momenta=frames[1], charges=charges))
    evaluation = evaluate(program.full, block.system)
    assert evaluation.energy is not None
    for k in range(n_frames):
        system = replace(inside, positions=block.system.positions[k], momenta=block.system.momenta[k])
        here = replace(inside, positions=frames[0, k], momenta=frames[1, k])
        coordinates = None if program.chart is None else Coordinates(program.chart, here, system)
        yield State(
            system, evaluation=evaluation._replace(energy=evaluation.energy[k], forces=evaluation.forces[k]), coordinates=coordinates
        )
