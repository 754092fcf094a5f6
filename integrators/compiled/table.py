"""A scheme table as arrays, which the compiled drivers run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from integrators.barostats import CellKick, CellKinetic, CellNoise, Stretch
from integrators.compiled import _operations as codes
from integrators.compiled._operations import Table
from integrators.compiled.settings import MOVING_CELL, settings_of
from integrators.composition import Scheme
from integrators.encounters import Halved
from integrators.flows import Drift, Kick
from integrators.kepler import DemocraticHeliocentric, InCoordinates, Jump, KeplerDrift
from integrators.relativity import SWEEPS, EinsteinInfeldHoffmann, PostNewtonian
from integrators.state import Flow, State
from integrators.thermostats import NoseHooverChain, OrnsteinUhlenbeck
from systems.potentials.fixed import Fixed
from systems.system import Evaluation, KernelPotential, ListPotential, System

# between two states at the most, so that progress, Ctrl-C and checkpoints stay alive
SLICE_SECONDS = 0.1


@dataclass(frozen=True, eq=False)
class Program:
    """A scheme table as arrays: operation codes, fractions of the time step, and what the
    operations need.

    ``kick`` acts in the kicks, but on none of the particles ``fixed``; ``stopped`` lose their
    momenta to the noise. ``full`` is what frames are evaluated with. ``listed`` says that
    potentials have neighbour lists in place of a kernel for all pairs. ``halved`` is the flow,
    where its steps may be halved.
    """

    flows: tuple[Flow, ...]
    operations: np.ndarray
    fractions: np.ndarray
    # star, G of the conics, GM and squared speed of light of relativity, sweeps, G of relativity
    constants: np.ndarray
    kick: Any
    full: Any
    fixed: np.ndarray
    stopped: np.ndarray
    chart: DemocraticHeliocentric | None
    listed: bool
    halved: Halved | None = None

    @property
    def draws(self) -> int:
        """Random draws in a step."""
        return sum(isinstance(flow, OrnsteinUhlenbeck | CellNoise) for flow in self.flows)

    @property
    def noisy(self) -> bool:
        """Whether friction and noise act, which have no way back."""
        return any(
            isinstance(flow, CellNoise)
            or (isinstance(flow, OrnsteinUhlenbeck) and flow.friction > 0)
            for flow in self.flows
        )

    @property
    def chained(self) -> bool:
        """Whether a thermostat remembers something."""
        return any(isinstance(flow, NoseHooverChain) for flow in self.flows)

    @property
    def moving_cell(self) -> bool:
        """Whether a barostat moves the cell."""
        return any(isinstance(flow, MOVING_CELL) for flow in self.flows)

    @property
    def features(self) -> tuple[bool, bool, bool, bool]:
        """What the driver of all pairs must have been compiled with: halved steps, thermostats,
        conics, relativity."""
        families = (_THERMOSTATS, _CONICS, _RELATIVITY)
        has = [any(isinstance(flow, family) for flow in self.flows) for family in families]
        return self.halved is not None, has[0], has[1], has[2]

    def evaluate(self, system: System) -> Evaluation:
        """Evaluate the full potential, by its kernel if it has one."""
        from systems.kernel import evaluate

        full: Any = self.full
        if isinstance(full, Fixed) and isinstance(full.potential, KernelPotential):
            return full.held(evaluate(full.potential, system))
        return (
            evaluate(full, system)
            if isinstance(full, KernelPotential)
            else full(system)._replace(potential=full)
        )

    def evaluated(self, state: State) -> State:
        """The state with the evaluation of the full potential."""
        return replace(state, evaluation=self.evaluate(state.system))

    def table(self, system: System, state: State, dt: float, seed: int) -> Table:
        """The table that the drivers take, for a system in the variables of the program."""
        constants = self.constants.copy()
        constants[1:3] *= system.masses[int(constants[0])]  # GM of the star
        return Table(
            self.operations,
            self.fractions * dt,
            np.stack([settings_of(flow, system) for flow in self.flows]),
            constants,
            np.zeros(0) if self.halved is None else self.halved.limits,
            self.fixed,
            self.stopped,
            float(dt),
            float(state.origin or 0.0),
            np.uint64(seed),
        )

    def memory(self, state: State) -> np.ndarray:
        """Room for the thermostats' memory, [n_systems, 2, length], as the state has it."""
        copies = state.system.n_systems or 1
        for flow in self.flows:
            if isinstance(flow, NoseHooverChain):
                return np.array(flow.chain(state), dtype=float, order="C").reshape(copies, 2, -1)
        return np.zeros((copies, 2, 1))


def compile_flow(flow: Flow) -> Program | None:
    """The flow as a program, or None where some piece of it, or its potential, has no compiled
    form."""
    chart = flow.chart if isinstance(flow, InCoordinates) else None
    halved = flow if isinstance(flow, Halved) else None
    scheme = flow
    if isinstance(flow, InCoordinates):
        scheme = flow.flow
    elif isinstance(flow, Halved):
        scheme = flow.scheme
    if not isinstance(scheme, Scheme):
        return None
    pieces = tuple(piece for piece, _ in scheme.table)
    acting = {id(p.potential): p.potential for p in pieces if isinstance(p, Kick | CellKick)}
    operations, shared = [_code(piece) for piece in pieces], _shared(pieces)
    if None in operations or shared is None or len(acting) != 1:
        return None
    kick: Any = next(iter(acting.values()))
    fixed = np.zeros(0, np.int64)
    if isinstance(kick, Fixed):
        kick, fixed = kick.potential, np.flatnonzero(kick.which)
    full: Any = flow.potential
    listed = _takes_lists(pieces, kick, full)
    if not (listed or _takes_kernels(pieces, kick, full)) or (listed and halved is not None):
        return None
    return Program(
        pieces,
        np.array(operations),
        np.array([fraction for _, fraction in scheme.table]),
        shared.constants,
        kick,
        full,
        fixed,
        shared.stopped,
        chart,
        listed,
        halved,
    )


class _Shared(NamedTuple):
    """What all pieces share: see `Program`."""

    constants: np.ndarray
    stopped: np.ndarray


def _shared(pieces: Sequence[Flow]) -> _Shared | None:
    """The constants, and the particles that are stopped. The drivers have room for one star, one
    relativity, one chain and one set of particles: None where there are several."""
    stars = {p.star for p in pieces if isinstance(p, Jump | KeplerDrift | PostNewtonian)} or {-1}
    conics = {p.constant for p in pieces if isinstance(p, KeplerDrift)} or {0.0}
    relativity = {(p.constant, p.speed_of_light) for p in pieces if isinstance(p, _RELATIVITY)}
    relativity = relativity or {(0.0, 1.0)}
    chains = {id(p) for p in pieces if isinstance(p, NoseHooverChain)}
    held = {id(p.fixed): p.fixed for p in pieces if isinstance(p, OrnsteinUhlenbeck)} or {0: None}
    if max(len(stars), len(conics), len(relativity), len(chains), len(held)) > 1:
        return None
    stops = next(iter(held.values()))
    stopped = np.zeros(0, np.int64) if stops is None else np.flatnonzero(stops)
    star, kepler, (constant, c) = stars.pop(), conics.pop(), relativity.pop()
    return _Shared(np.array([star, kepler, constant, c**2, SWEEPS, constant]), stopped)


def _takes_lists(pieces: Sequence[Flow], kick: Any, full: Any) -> bool:
    """Whether the driver with neighbour lists runs these pieces."""
    potentials = kick, full.potential if isinstance(full, Fixed) else full
    return all(isinstance(one, ListPotential) for one in potentials) and not any(
        isinstance(piece, _ALL_PAIRS) for piece in pieces
    )


def _takes_kernels(pieces: Sequence[Flow], kick: Any, full: Any) -> bool:
    """Whether the driver of all pairs runs these pieces."""
    potentials = kick, full.potential if isinstance(full, Fixed) else full
    return all(
        isinstance(one, KernelPotential) and one.kernel is not None for one in potentials
    ) and not any(isinstance(piece, MOVING_CELL) for piece in pieces)


_THERMOSTATS = (OrnsteinUhlenbeck, NoseHooverChain)
_CONICS = (Jump, KeplerDrift)
_RELATIVITY = (PostNewtonian, EinsteinInfeldHoffmann)
_ALL_PAIRS = (*_CONICS, *_RELATIVITY)
_CODES: dict[type, int] = {
    Drift: codes.DRIFT,
    Kick: codes.KICK,
    OrnsteinUhlenbeck: codes.NOISE,
    NoseHooverChain: codes.CHAIN,
    Jump: codes.JUMP,
    KeplerDrift: codes.KEPLER,
    PostNewtonian: codes.POST_NEWTONIAN,
    EinsteinInfeldHoffmann: codes.RELATIVITY_OF_ALL,
    CellKick: codes.CELL_KICK,
    CellKinetic: codes.CELL_KINETIC,
    Stretch: codes.STRETCH,
    CellNoise: codes.CELL_NOISE,
}


def _code(piece: Flow) -> int | None:
    if isinstance(piece, PostNewtonian) and piece.heliocentric:
        return codes.POST_NEWTONIAN_HELIOCENTRIC
    return _CODES.get(type(piece))
