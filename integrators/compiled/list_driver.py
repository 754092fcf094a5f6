"""The compiled path of potentials with neighbour lists: the driver runs from one evaluation of the
forces to the next."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from integrators.barostats import check_periodic
from integrators.compiled.table import SLICE_SECONDS, Program
from integrators.random import Random
from integrators.span import Span
from integrators.state import State
from integrators.thermostats import numbers_of
from systems.cell import PBC
from systems.neighbors.lists import NeighborList
from systems.neighbors.pairs import Pairs
from systems.potentials.pair import FORCES as ONLY_FORCES
from systems.potentials.pair import VIRIAL, PairForces
from systems.system import System
from systems.threads import shared


def advance(
    program: Program,
    state: State,
    dt: float,
    span: Span,
    threads: int,
    held: Sequence[int],
) -> Iterator[State]:
    """As `integrators.compiled.driver.advance`. Forces of a single large system are shared out
    among threads, or the systems of an ensemble."""
    n_systems = state.system.n_systems
    singles = (
        [state.system] if n_systems is None else [state.system.copy_of(k) for k in range(n_systems)]
    )
    within = threads if n_systems is None else 1
    movers = [_Mover(program, state, single, k, dt, within) for k, single in enumerate(singles)]
    # a list of what is not finite cannot be made
    moving = [mover for k, mover in enumerate(movers) if k not in held]
    beside = min(threads, len(moving)) if n_systems is not None else 1
    bounds = np.linspace(0, len(moving), beside + 1).astype(int)
    done, rate = 0, 0.0
    while done < span.n_steps:
        slice_steps = max(1, int(rate * SLICE_SECONDS)) if rate else 1
        slice_steps = min(slice_steps, span.n_steps - done, span.to_frame(done))
        began, until = time.perf_counter(), state.step + done + slice_steps

        # the lists that frames were evaluated with, unless another thread has them
        with program.kick.lists() as lists:
            own = [lists[mover.k] for mover in moving]

            def some(k: int, until: int = until, own: list[NeighborList] = own) -> None:
                for m in range(bounds[k], bounds[k + 1]):
                    moving[m].run(until, own[m])

            shared(some, beside)
        rate = slice_steps / max(time.perf_counter() - began, 1e-9)
        done += slice_steps
        here = _joined(program, state, movers, moving).at(until, dt)
        yield program.evaluated(here) if span.is_frame(done) else here


class _Mover:
    """One system with its list and the driver's place in the table."""

    def __init__(
        self, program: Program, state: State, system: System, k: int, dt: float, threads: int
    ) -> None:
        from integrators.compiled import _list_driver

        self._driver, self._system, self.k = _list_driver, system, k
        _, thermostats, _, _ = program.features
        self._advance = _list_driver.driver(thermostats, program.moving_cell)
        potential = program.kick
        self.x, self.p = (
            np.array(a, dtype=float, order="C") for a in (system.positions, system.momenta)
        )
        self.cell = (
            np.zeros((3, 3))
            if system.cell is None
            else np.array(system.cell, dtype=float, order="C")
        )
        self._moves = program.moving_cell
        if self._moves:
            check_periodic(system)
        self._wanted = VIRIAL if self._moves else ONLY_FORCES
        random = numbers_of(state, "a thermostat") if program.draws else Random()
        self._threads = threads
        self._rooms = PairForces(potential, system, threads)
        self.at = np.array([state.step, 0, 0, random.count])
        self.memory = program.memory(state)[k]
        rate = (
            np.zeros((3, 3)) if state.barostat is None else np.asarray(state.barostat, dtype=float)
        )
        self.rate = np.array(
            rate.reshape(-1, 3, 3)[k if len(rate.reshape(-1, 3, 3)) > 1 else 0], order="C"
        )
        masses = np.ascontiguousarray(system.masses, dtype=float)
        self._fixed = masses, np.repeat(1.0 / masses, 3)
        self._table = program.table(system, state, dt, random.seed)

    @property
    def geometry(self) -> tuple[np.ndarray, np.ndarray | None, PBC]:
        """Positions, cell and pbc as they are, arrays shared."""
        return self.x, None if self._system.cell is None else self.cell, self._system.pbc

    def _take(self, pairs: Pairs, neighbors: NeighborList) -> None:
        """A list's pairs, and where the particles were when it was made."""
        reference = neighbors.reference
        assert reference is not None
        before = (
            np.zeros((3, 3))
            if reference.cell is None
            else np.ascontiguousarray(reference.cell, dtype=float)
        )
        self._pairs, self._offsets = pairs, pairs.images @ self.cell
        self._before = (
            np.ascontiguousarray(reference.positions),
            before,
            neighbors.cutoff + neighbors.skin,
            neighbors.cutoff,
        )

    def run(self, until: int, neighbors: NeighborList) -> None:
        """Advance to the step ``until``. An error has the attribute ``system``, so that the others
        of an ensemble can continue."""
        neighbors.threads = self._threads
        try:
            self._run(until, neighbors)
        except Exception as error:
            error.system = self.k  # type: ignore[attr-defined]
            raise

    def _run(self, until: int, neighbors: NeighborList) -> None:
        driver = self._driver
        self._take(
            neighbors(*self.geometry), neighbors
        )  # who evaluated a frame in between may have found it anew
        while True:
            stopped = self._advance(
                self.at,
                until,
                self.x,
                self.p,
                *self._fixed,
                self._rooms.forces,
                self.cell,
                *self._before,
                self._table,
                self.memory,
                self.rate,
                self._rooms.virial,
                self.k,
            )
            if stopped == driver.DONE:
                return
            if stopped == driver.LIST:
                self._take(neighbors.renewed(*self.geometry), neighbors)
            if self._moves:
                self._offsets = self._pairs.images @ self.cell
            self._rooms(self.x, self._pairs, self._offsets, self._wanted)
            self.at[driver.FRESH] = 1


def _joined(program: Program, state: State, movers: list[_Mover], moving: list[_Mover]) -> State:
    """The state of all systems, with copies of their arrays."""
    single = state.system.n_systems is None

    def stack(arrays: list[np.ndarray]) -> np.ndarray:
        return arrays[0].copy() if single else np.stack(arrays)

    kept: dict[str, Any] = {}
    driver = movers[0]._driver
    if program.draws:
        kept["random"] = replace(
            numbers_of(state, "a thermostat"), count=int(moving[0].at[driver.DRAWS])
        )
    if program.chained:
        kept["thermostat"] = stack([mover.memory for mover in movers])
    system = replace(
        state.system, positions=stack([m.x for m in movers]), momenta=stack([m.p for m in movers])
    )
    if movers[0]._moves:
        kept["barostat"] = stack([mover.rate for mover in movers])
        system = replace(system, cell=stack([mover.cell for mover in movers]))
    return replace(state, system=system, evaluation=None, coordinates=None, **kept)
