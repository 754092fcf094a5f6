"""The initial state of a rollout, with relaxed positions if that is requested."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from integrators.state import Flow, State
from mcegnn.runs.errors import forces_in_words
from mcegnn.runs.events import Event, Noted, Progress, Started
from mcegnn.runs.signals import StopRequest
from mcegnn.simulation import Configuration

_MOST_STEPS = 1000


def relaxed_start(
    configuration: Configuration, flow: Flow, request: StopRequest
) -> Generator[Event, None, State | None]:
    """Yield events of the relaxation under the flow's forces and return the initial state; None if
    a stop is requested meanwhile."""
    state, limit = configuration.start(), configuration.relaxed_below
    if not limit:
        return state
    from mcegnn.interfaces.ase import relaxation

    assert flow.potential is not None
    system = state.system
    one = system if system.n_systems is None else system.copy_of(0)
    yield Started("relaxing", _MOST_STEPS, "steps")
    steps = relaxation(one, flow.potential, limit, _MOST_STEPS)
    while True:
        with forces_in_words():
            relaxed = next(steps, None)
        if relaxed is None:
            break
        last = relaxed
        yield Progress(last.step, _MOST_STEPS, "steps", f"force {last.largest_force:.3f} eV/A")
        if request.asked:
            return None
    reached = (
        ""
        if last.largest_force <= limit
        else f", not below {limit} eV/Angstrom: the run begins from there"
    )
    yield Noted(
        f"relaxed in {last.step} steps: the largest force is {last.largest_force:.3f}"
        f" eV/Angstrom{reached}"
    )
    positions = np.broadcast_to(last.system.positions, system.positions.shape).copy()
    return replace(state, system=replace(system, positions=positions))
