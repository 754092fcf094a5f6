"""`State`, which is all that a bit-exact restart needs, and `Flow`, which advances a state by a
time step."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from integrators.random import Random
from systems.arrays import Array
from systems.system import Evaluation, Potential, System


@dataclass(frozen=True, eq=False)
class Coordinates:
    """A system in the variables of ``chart``, an object that compares equal to any other chart with
    the same variables.

    ``inertial`` is the same system in inertial variables: a state whose ``system`` is another
    object has been changed since.
    """

    chart: Any
    system: System
    inertial: System


@dataclass(frozen=True, eq=False)
class State:
    """State of a run: a system with its time and step, and the variables of flows.

    ``evaluation`` is a potential's result for this system (None if positions have changed since).
    ``coordinates`` holds the system in the variables of a flow that works in others than inertial
    ones (`integrators.kepler`), until another flow moves it; ``system`` is always inertial.
    ``origin`` is the time of step zero, kept so that a resumed run has the same times to the bit.
    ``random`` is the state of the random numbers, for flows that draw some; ``thermostat`` and
    ``barostat`` are the variables of those flows. ``halvings`` is how many steps have been halved
    (`integrators.encounters.Halved`), of all systems together.
    """

    system: System
    time: float = 0.0
    step: int = 0
    evaluation: Evaluation | None = None
    coordinates: Coordinates | None = None
    origin: float | None = None
    random: Random | None = None
    thermostat: Array | None = None
    barostat: Array | None = None
    halvings: int = 0

    def at(self, step: int, dt: float) -> "State":
        """The state labelled as the one of ``step``: time = origin + step * dt."""
        return replace(self, step=step, time=(self.origin or 0.0) + step * dt)

    def started(self, dt: float) -> "State":
        """The state with an origin of time that is consistent with steps of ``dt``: its own if it
        is, else one made from its time."""
        if self.origin is not None and abs(self.origin + self.step * dt - self.time) <= 1e-9 * abs(
            dt
        ):
            return self
        return replace(self, origin=self.time - self.step * dt)


@runtime_checkable
class Flow(Protocol):
    """Function (state, dt) -> state; ``potential`` is the full potential that acts, None if there
    is none."""

    @property
    def potential(self) -> Potential | None:
        """The full potential that acts; None if there is none."""

    def __call__(self, state: State, dt: float) -> State: ...
