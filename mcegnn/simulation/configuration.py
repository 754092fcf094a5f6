"""What the configuration of any rollout holds."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

from integrators.state import Flow, State
from mcegnn import learned
from systems.units import Units


@dataclass(frozen=True, kw_only=True)
class Configuration(ABC):
    """A rollout: times in the system's units, counts, and the choices of its physics.

    ``integrator`` is empty where ``model`` is a dynamics model, which needs none.
    """

    system: ClassVar[str]
    units: ClassVar[Units]

    integrator: str
    dt: float
    n_steps: int
    every: int
    n_particles: int
    n_systems: int = 1
    seed: int = 0
    model: str = ""
    model_digest: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """The configuration of what `to_json` gave; TypeError where a field is missing or unknown."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"system": self.system, **asdict(self)}

    def refuse_unsound(self) -> None:
        """ValueError where counts and times make no rollout."""
        counts = (self.n_steps, self.every, self.n_particles, self.n_systems)
        sound = math.isfinite(self.dt) and all(type(k) is int and k > 0 for k in counts)
        if not sound or self.n_steps % self.every:
            raise ValueError(f"dt {self.dt}, steps {self.n_steps}, every {self.every}")

    @property
    def names(self) -> list[str]:
        """The particles' names, where they have some."""
        return []

    @property
    def seeded(self) -> bool:
        """Whether the run follows from its seed."""
        return True

    def time(self, value: float) -> str:
        """A time of the run in words."""
        return f"{value:.6g}"

    def rows(self) -> list[tuple[str, str]]:
        """The choices of its physics in words."""
        return [("integrator", self.integrator)] if self.integrator else []

    @abstractmethod
    def start(self) -> State:
        """The initial state; ValueError where the model, if there is one, cannot move it."""

    @abstractmethod
    def flow(self) -> Flow:
        """The flow that moves it: a dynamics model, or the integrator with the exact or the learned force."""

    @cached_property
    def learned(self) -> Any:
        """The model, as it was when the run began."""
        model, digest = learned.model(self.model, self.system)
        if self.model_digest and digest != self.model_digest:
            raise ValueError(f"the model {self.model} is not the one the run began with; put that file back")
        return model
