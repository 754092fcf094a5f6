"""`State` is all that a bit-exact restart needs; a `Flow` takes a state a time step further."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from systems.system import Evaluation, Potential, System


@dataclass(frozen=True, eq=False)
class State:
    """A system at a time, the step it is at, and what flows remember.

    ``evaluation`` is what a potential said of this system (None where positions have changed since). ``coordinates`` holds the
    system in the variables of a flow that works in others than inertial ones (`integrators.kepler`); ``system`` is always inertial.
    """

    system: System
    time: float = 0.0
    step: int = 0
    evaluation: Evaluation | None = None
    coordinates: System | None = None


@runtime_checkable
class Flow(Protocol):
    """(state, dt) -> state; ``potential`` is the full potential it moves under, None where it has none."""

    @property
    def potential(self) -> Potential | None: ...

    def __call__(self, state: State, dt: float) -> State: ...
