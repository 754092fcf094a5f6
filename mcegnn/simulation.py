"""A rollout's configuration: everything that makes its flow and its start, in plain values that a checkpoint can hold."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from integrators.relativity import PostNewtonian
from integrators.state import Flow, State
from mcegnn import learned
from systems.solar import Body, SolarSystem
from systems.system import Potential

# the choice that both systems share; --integrator overrides it
DEFAULT_INTEGRATOR = {"charged": "symplectic-euler", "solar": "yoshida-8"}


@dataclass(frozen=True)
class Configuration:
    """A rollout of ``system`` "charged" or "solar": times in the system's units, counts, and the choices of its physics.

    ``integrator`` is empty where ``model`` is a dynamics model, which needs none.
    """

    system: str
    integrator: str
    dt: float
    n_steps: int
    every: int
    n_particles: int = 5
    n_systems: int = 100
    seed: int = 0
    epoch: float = 0.0
    relativity: bool = False
    oblate: bool = True
    bodies: tuple[Body, ...] = ()
    model: str = ""
    model_digest: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Configuration":
        """The configuration a checkpoint holds; ValueError where it is none."""
        try:
            rows: list[dict[str, Any]] = [{k: tuple(v) if isinstance(v, list) else v for k, v in body.items()} for body in values["bodies"]]
            bodies = tuple(Body(**row) for row in rows)
            self = cls(**{**values, "bodies": bodies})
            counts = (self.n_steps, self.every, self.n_particles, self.n_systems)
            sound = self.system in DEFAULT_INTEGRATOR and math.isfinite(self.dt) and all(type(k) is int and k > 0 for k in counts)
            if not sound or self.n_steps % self.every:
                raise ValueError(f"system {self.system!r}, dt {self.dt}, steps {self.n_steps}, every {self.every}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"the checkpoint holds no configuration of a rollout ({error})") from None
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)

    @property
    def solar(self) -> SolarSystem:
        """The bodies as a solar system."""
        return SolarSystem(self.bodies, self.epoch)

    @property
    def names(self) -> list[str]:
        """The particles' names."""
        return [body.name for body in self.bodies]

    def start(self) -> State:
        """The initial state; ValueError where the model, if there is one, cannot move it."""
        if self.system == "charged":
            from systems.charged import charged_systems

            system = charged_systems(self.n_systems, self.seed, self.n_particles)
        else:
            system = self.solar.system
        return State(learned.dressed(self._learned(), system) if self.model else system)

    def flow(self) -> Flow:
        """The flow that moves it: a dynamics model, or the integrator with the exact or the learned force."""
        from integrators.ensembles import integrator

        exact = self._potential()
        if self.model and learned.is_dynamics(self._learned()):
            return learned.watched(self._learned(), exact)
        make = integrator(self.integrator)
        potential = learned.law(self._learned()) if self.model else exact
        if self.system == "charged":
            return make(potential)
        solar = self.solar
        about = {"star": solar.star} if self.integrator == "wisdom-holman" else {}
        return make(potential, relativity=self._relativity(solar), **about)

    def _potential(self) -> Potential:
        """The exact physics."""
        if self.system == "solar":
            return self.solar.gravity(oblate=self.oblate)
        from systems.charged import benchmark_coulomb
        from systems.potentials import Coulomb

        # the clip belongs to the benchmark's own scheme
        return benchmark_coulomb() if self.integrator in ("", DEFAULT_INTEGRATOR["charged"]) else Coulomb()

    def _learned(self) -> Any:
        """The model, as it was when the run began."""
        model, digest = learned.model(self.model, self.system)
        if self.model_digest and digest != self.model_digest:
            raise ValueError(f"the model {self.model} is not the one the run began with; put that file back")
        return model

    def _relativity(self, solar: SolarSystem) -> PostNewtonian | None:
        if not self.relativity:
            return None
        from systems.units import ASTRONOMICAL

        return PostNewtonian(solar.star, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)
