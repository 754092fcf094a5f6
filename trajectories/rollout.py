"""`rollout`: a generator of states. The caller owns the loop."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from integrators.compiled import driver as compiled
from integrators.compiled.table import compile_flow
from integrators.span import Span
from integrators.state import Flow, State
from systems.system import Evaluation, System, all_finite, check, coincident


def rollout(
    flow: Flow, state: State, dt: float, n_steps: int, every: int = 1, *, threads: int | None = None
) -> Iterator[State]:
    """The initial state, then the state after every ``every``-th of ``n_steps`` steps of ``dt``:
    n_steps / every + 1 states.

    Each carries the evaluation of the flow's full potential. A flow whose every piece has a kernel
    runs compiled, an ensemble on ``threads`` threads (all cores unless given); the numbers depend
    on neither. Raises ValueError if n_steps is not a whole multiple of ``every``, dt is zero or
    not finite, a number of the state is not finite, or the potential is not finite at the start.
    """
    span = Span(n_steps, every)
    for now in advance(flow, state, dt, span, threads=threads):
        if span.is_frame(now.step - state.step):
            yield now


def advance(
    flow: Flow,
    state: State,
    dt: float,
    span: Span,
    *,
    threads: int | None = None,
    held: Sequence[int] = (),
) -> Iterator[State]:
    """As `rollout`, with further states in between, at least one every 0.1 s or every step, so that
    the progress of a long run can be watched.

    Systems of an ensemble in ``held`` are frozen as they are in the state.
    """
    _check_span(dt, span, threads)
    if not isinstance(state, State):
        raise TypeError(
            f"a rollout starts from a State, not from a {type(state).__name__}; write State(system)"
        )
    if not isinstance(state.system, System):
        kind = type(state.system).__name__
        raise TypeError(
            f"a State holds a System, not {kind}; of ase.Atoms, from_atoms(atoms) makes one"
        )
    if (axes := check(state.system).positions.ndim) > 3:
        raise ValueError(
            "positions of a rollout are [n_particles, 3] or [n_systems, n_particles, 3]; these"
            f" have {axes} axes"
        )
    state = state.started(dt)
    program = compile_flow(flow) if isinstance(state.system.positions, np.ndarray) else None
    # anew, since the caller may have changed the system and left an old evaluation
    state = (
        evaluated(flow, replace(state, evaluation=None))
        if program is None
        else program.evaluated(state)
    )
    _check_forces(state)
    yield state
    kept = state
    if program is not None:
        for now in compiled.advance(program, state, dt, span, threads, held):
            yield with_held(now, kept, held)
        return
    start = state.step
    for step in range(start + 1, start + span.n_steps + 1):
        state = with_held(flow(state, dt).at(step, dt), kept, held)
        if span.is_frame(step - start):
            state = evaluated(flow, state)
        yield state


def with_held(now: State, kept: State, systems: Sequence[int]) -> State:
    """The state with some systems of an ensemble as they are in another one."""
    if not systems:
        return now
    which = list(systems)

    def mixed(new: Any, old: Any) -> Any:
        if new is None or old is None:
            return new
        out = np.array(new)
        out[which] = np.asarray(old)[which]
        return out

    cell = now.system.cell
    system = replace(
        now.system,
        positions=mixed(now.system.positions, kept.system.positions),
        momenta=mixed(now.system.momenta, kept.system.momenta),
        cell=mixed(cell, kept.system.cell) if cell is not None and cell.ndim == 3 else cell,
    )
    evaluation = now.evaluation
    if evaluation is not None and kept.evaluation is not None:
        fields = {
            name: mixed(getattr(evaluation, name), getattr(kept.evaluation, name))
            for name in Evaluation._fields[:-1]
        }
        evaluation = evaluation._replace(**fields)
    memories = {
        name: mixed(getattr(now, name), _kept(getattr(now, name), getattr(kept, name)))
        for name in ("thermostat", "barostat")
    }
    return replace(now, system=system, evaluation=evaluation, **memories)


def _kept(new: Any, old: Any) -> Any:
    """The memory of a flow, which is zero before it has begun."""
    return np.zeros_like(np.asarray(new)) if old is None and new is not None else old


def evaluated(flow: Flow, state: State) -> State:
    """The state with the evaluation of the flow's full potential, if it has one."""
    potential = getattr(flow, "potential", None)  # a flow may be a plain function
    if potential is None or (
        state.evaluation is not None and state.evaluation.potential is potential
    ):
        return state
    if not callable(potential):
        kind = type(potential).__name__
        raise TypeError(
            f"a potential is called with a system, which {kind} cannot be; of an ASE calculator,"
            " CalculatorPotential makes one"
        )
    evaluation = potential(state.system)
    if not isinstance(evaluation, Evaluation):
        raise TypeError(
            f"a potential returns an Evaluation(energy, forces), not a {type(evaluation).__name__}"
        )
    return replace(state, evaluation=evaluation._replace(potential=potential))


def _check_span(dt: float, span: Span, threads: int | None) -> None:
    n_steps, every = span.phase + span.n_steps, span.every
    if not (np.isfinite(dt) and dt != 0.0):
        raise ValueError(f"the time step must be finite and not zero, not {dt}")
    if every < 1 or n_steps < 0:
        raise ValueError(
            f"steps ({n_steps}) must not be negative and a frame is kept every 1 or more steps, not"
            f" every {every}"
        )
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    if n_steps % every:
        raise ValueError(
            f"{n_steps} steps are not a whole multiple of every = {every}; use"
            f" {n_steps // every * every or every} steps"
        )


def _check_forces(state: State) -> None:
    """Raise ValueError if forces do not fit the system, or are not finite at the start, usually
    since two particles are at one place."""
    if state.evaluation is None:
        return
    forces, x = state.evaluation.forces, state.system.positions
    if (
        isinstance(forces, np.ndarray) != isinstance(x, np.ndarray)
        or getattr(forces, "shape", None) != x.shape
    ):
        kind, shape = type(forces).__name__, tuple(getattr(forces, "shape", ()))
        raise ValueError(
            f"the potential returned forces {shape} as {kind} for positions {tuple(x.shape)} as"
            f" {type(x).__name__}"
        )
    if all_finite(forces):
        return
    raise ValueError(f"the forces are not finite at the start: {_why(state.system)}")


def _why(system: System) -> str:
    pair = coincident(
        system.positions
        if isinstance(system.positions, np.ndarray)
        else system.positions.detach().cpu().numpy()
    )
    if pair is None:
        return "look for particles that are too close"
    return (
        f"particles {pair[1]} and {pair[2]}{f' of system {pair[0]}' if system.n_systems else ''}"
        " are at the same place"
    )
