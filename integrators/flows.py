"""Primitive flows: each solves one piece of the Hamiltonian exactly."""

from dataclasses import dataclass, replace

from integrators.state import State
from systems.system import Potential


@dataclass(frozen=True)
class Drift:
    """Free motion: the flow of the kinetic energy. The evaluation is dropped, since positions
    change."""

    potential: Potential | None = None

    def __call__(self, state: State, dt: float) -> State:
        system = state.system
        moved = replace(system, positions=system.positions + dt * system.velocities)
        return replace(state, system=moved, evaluation=None, coordinates=None)


@dataclass(frozen=True)
class Kick:
    """The flow of the potential energy: momenta change by dt times the forces.

    The potential is evaluated only if the state's evaluation is missing or was made by another
    potential.
    """

    potential: Potential

    def __call__(self, state: State, dt: float) -> State:
        evaluation = state.evaluation
        if evaluation is None or evaluation.potential is not self.potential:
            evaluation = self.potential(state.system)._replace(potential=self.potential)
        system = replace(state.system, momenta=state.system.momenta + dt * evaluation.forces)
        return replace(state, system=system, evaluation=evaluation, coordinates=None)
