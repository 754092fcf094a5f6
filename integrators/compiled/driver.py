"""The compiled path: a `Program` whose potential has a kernel for all pairs is run by the numba
driver, in slices."""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from integrators.compiled.table import SLICE_SECONDS, Program
from integrators.flows import Drift
from integrators.kepler import InCoordinates
from integrators.random import Random
from integrators.span import Span
from integrators.state import Coordinates, State
from integrators.thermostats import numbers_of
from systems.system import System

SLICE_BYTES = 8 * 2**20  # of kept frames


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # on macOS and Windows
        return os.cpu_count() or 1


def advance(
    program: Program,
    state: State,
    dt: float,
    span: Span,
    threads: int | None = None,
    held: Sequence[int] = (),
) -> Iterator[State]:
    """States at the end of each slice of about 0.1 s, and at every frame, which carry an evaluation
    as well.

    Systems of an ensemble are shared out among threads; each is advanced by one thread alone, so
    its bits depend on neither threads nor slices. The results of those in ``held`` are not used.
    """
    if dt < 0 and program.noisy:
        raise ValueError("friction and noise cannot run backwards in time")
    if program.listed:
        from integrators.compiled import list_driver as listed

        yield from listed.advance(program, state, dt, span, threads or available_cores(), held)
        return
    inside = _inside(program, state)
    shape = inside.positions.shape
    x, p = (
        np.array(a, dtype=float, order="C").reshape(-1, *shape[-2:])
        for a in (inside.positions, inside.momenta)
    )
    pool = _Pool(program, inside, state, dt, min(threads or available_cores(), len(x)))
    done, rate = 0, 0.0
    while done < span.n_steps:
        until, n_steps = span.to_frame(done), _slice_steps(program, span, done, rate, x)
        frames = np.empty((2, max(0, (n_steps - until) // span.every + 1), *x.shape))
        began = time.perf_counter()
        pool.run(x, p, done, n_steps, until, span.every, frames)
        rate = n_steps / max(time.perf_counter() - began, 1e-9)
        kept = _frames(program, inside, frames.reshape(*frames.shape[:2], *shape))
        for frame, evaluated in enumerate(kept):
            after = done + until + frame * span.every
            yield pool.remembered(evaluated, after).at(state.step + after, dt)
        done += n_steps
        if not span.is_frame(done):
            positions, momenta = x.copy().reshape(shape), p.copy().reshape(shape)
            here = _outside(program, replace(inside, positions=positions, momenta=momenta))
            yield pool.remembered(here, done).at(state.step + done, dt)


def _slice_steps(program: Program, span: Span, done: int, rate: float, x: np.ndarray) -> int:
    """Steps of the next slice, of about 0.1 s at this rate of steps per second, zero before the
    first slice; their frames are not too large."""
    # frames hold no thermostat, so its memory is taken at the end of a slice
    frames = max(1, SLICE_BYTES // (2 * x.nbytes)) * span.every
    most = span.to_frame(done) if program.chained else frames
    wanted = max(1, int(rate * SLICE_SECONDS)) if rate else max(1, 20_000 // x.size)
    return min(wanted, span.n_steps - done, most)


class _Pool:
    """The driver bound to a program and shared out among threads; it holds no lock, so plain
    threads run it in parallel."""

    def __init__(
        self, program: Program, inside: System, state: State, dt: float, threads: int
    ) -> None:
        from integrators.compiled import _driver
        from systems.kernel import compile_kernel, compile_once, plain

        self._run = compile_once(_driver.driver(*program.features), _driver.RUN)
        n = inside.n_particles
        charges = np.broadcast_to(inside.charges, inside.positions.shape[:-1]).reshape(-1, n)
        self._halvings = np.zeros(len(charges), np.int64)
        self._random = numbers_of(state, "a thermostat") if program.draws else Random()
        self._memory = program.memory(state)
        self._arguments = (
            plain(inside.masses),
            plain(charges),
            compile_kernel(program.kick.kernel),
            plain(program.kick.parameters(inside)),
            program.table(inside, state, dt, self._random.seed),
            self._halvings,
            self._memory,
        )
        self._program, self._state = program, state
        self._bounds = np.linspace(0, len(charges), threads + 1).astype(int)
        self._workers = ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, x: np.ndarray, p: np.ndarray, done: int, *counts: Any) -> None:
        """Advance by some steps, ``done`` steps after the state."""
        draws = self._random.count + done * self._program.draws
        where = self._state.step + done, draws

        def share(k: int) -> None:
            self._run(self._bounds[k], self._bounds[k + 1], x, p, *self._arguments, *where, *counts)

        if self._workers is None:
            share(0)
        else:
            list(self._workers.map(share, range(len(self._bounds) - 1)))

    def remembered(self, here: State, done: int) -> State:
        """A state of some steps later with what the flows remember; what others remember stays as
        it was."""
        kept: dict[str, Any] = {"halvings": self._state.halvings + int(self._halvings.sum())}
        if self._program.draws:
            kept["random"] = replace(
                self._random, count=self._random.count + done * self._program.draws
            )
        if self._program.chained:
            kept["thermostat"] = self._memory.copy().reshape(
                *here.system.positions.shape[:-2], *self._memory.shape[1:]
            )
        return replace(
            self._state,
            system=here.system,
            evaluation=here.evaluation,
            coordinates=here.coordinates,
            **kept,
        )


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


def _frames(program: Program, inside: System, frames: np.ndarray) -> Iterator[State]:
    """A state with the full potential's evaluation for each kept frame; [2, n_frames, ..., n,
    3]."""
    n_frames = frames.shape[1]
    if not n_frames:
        return
    charges = np.broadcast_to(inside.charges, (n_frames, *inside.charges.shape))
    block = _outside(
        program, replace(inside, positions=frames[0], momenta=frames[1], charges=charges)
    )
    evaluation = program.evaluate(block.system)
    assert evaluation.energy is not None
    for k in range(n_frames):
        system = replace(
            inside, positions=block.system.positions[k], momenta=block.system.momenta[k]
        )
        here = replace(inside, positions=frames[0, k], momenta=frames[1, k])
        coordinates = None if program.chart is None else Coordinates(program.chart, here, system)
        yield State(
            system,
            evaluation=evaluation._replace(
                energy=evaluation.energy[k], forces=evaluation.forces[k]
            ),
            coordinates=coordinates,
        )
