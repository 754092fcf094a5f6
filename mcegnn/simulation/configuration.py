"""`Configuration`: the interface of the configurations of all rollouts."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from integrators.state import Flow, State
from mcegnn.models.named import load_with_digest
from mcegnn.simulation.checks import check_model_fits
from systems.quantities import plain
from systems.system import Potential, System
from systems.units import Units
from trajectories.checks import Limits


@dataclass(frozen=True, kw_only=True)
class Configuration(ABC):
    """A rollout: times in the system's units, counts, and the choices of its physics.

    ``integrator`` is empty where ``model`` is a dynamics model, which needs none.
    ``max_energy_jump`` and ``min_distance`` say where a run is stopped, as `limits` reads them;
    None is what is usual, and infinity or zero never.
    """

    system: ClassVar[str]
    units: ClassVar[Units]
    #: what messages call such a system
    described_as: ClassVar[str]
    #: what tells its particles apart, of what models may require
    provides: ClassVar[frozenset[str]]

    integrator: str
    dt: float
    n_steps: int
    every: int
    n_particles: int
    n_systems: int = 1
    seed: int = 0
    model: str = ""
    model_digest: str = ""
    max_energy_jump: float | None = None
    min_distance: float | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """The configuration of what `to_json` gave. Raises TypeError if a field is missing or
        unknown."""
        return cls(**values)

    def __getstate__(self) -> dict[str, Any]:
        # without a model or a calculator that has been loaded
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"system": self.system, **asdict(self)}

    def check_settings(self) -> None:
        """Raise ValueError if counts or times are not valid."""
        counts = (self.n_steps, self.every, self.n_particles, self.n_systems)
        sound = math.isfinite(self.dt) and all(type(k) is int and k > 0 for k in counts)
        if not sound or self.n_steps % self.every:
            raise ValueError(f"dt {self.dt}, steps {self.n_steps}, every {self.every}")

    @property
    def subject(self) -> tuple[str, str]:
        """The simulated system, as a row of a table: a system of this name, or the atoms of a
        file."""
        return "system", self.system

    @property
    def names(self) -> list[str]:
        """The particles' names, if they have some."""
        return []

    @property
    def seeded(self) -> bool:
        """Whether the run follows from its seed."""
        return True

    @property
    def has_cell(self) -> bool:
        """Whether its systems have cells."""
        return False

    @property
    def n_observables(self) -> int:
        """Number of scalars of a system in every frame: energies, pressure and so on."""
        return 2

    @property
    def source(self) -> Path | None:
        """The file that the start is read from, if from one."""
        return None

    @property
    def assumptions(self) -> Mapping[str, str]:
        """Assumptions about what that file lacks, in words."""
        return {}

    @property
    def relaxed_below(self) -> float:
        """Largest force after the relaxation before the run; zero if nothing is relaxed."""
        return 0.0

    @property
    def holds_temperature(self) -> bool:
        """Whether a thermostat acts, so that energy is not conserved."""
        return False

    @property
    def holds_pressure(self) -> bool:
        """Whether a barostat acts."""
        return False

    @property
    def held_pressure(self) -> tuple[float, ...]:
        """Pressure of the barostat, or the first and the last, if there is one."""
        return ()

    @property
    def n_degrees(self) -> int | None:
        """Number of thermal degrees of freedom, if the particles have a temperature."""
        return None

    @property
    def julian_day(self) -> float | None:
        """The epoch of its start (TDB), if it has one."""
        return None

    @property
    def parents(self) -> Mapping[str, str]:
        """The body that each body orbits, by name, if known."""
        return {}

    @property
    def why_energy_drifts(self) -> str:
        """Why its integrator does not conserve the energy, and what does; empty if it should."""
        if self.model or self.integrator != "symplectic-euler":
            return ""
        return "symplectic-euler is of first order; yoshida-8, the default, conserves it"

    @property
    def advice_on_near(self) -> str:
        """Advice for particles that are too near each other at the start."""
        return "choose another start"

    def time(self, value: float) -> str:
        """A time of the run in words."""
        return f"{value:.6g}"

    def rows(self) -> list[tuple[str, str]]:
        """Rows on the physics of the run."""
        return [("integrator", self.integrator)] if self.integrator else []

    def time_rows(self) -> list[tuple[str, str]]:
        """Its time step, and how many there are, in words."""
        span, apart = self.time(self.n_steps * self.dt), self.time(self.every * self.dt)
        every = f"{self.every:,}" if self.every > 1 else "step"
        return [
            ("time step", self.time(self.dt)),
            ("steps", f"{self.n_steps:,}, to time {span}, a frame every {every} ({apart})"),
        ]

    def limits(self) -> Limits:
        """Limits of a valid run; usually only that its numbers are finite. ``max_energy_jump`` is
        of each particle."""
        jump = math.inf if self.max_energy_jump is None else self.max_energy_jump * self.n_particles
        return Limits(jump, self.min_distance or 0.0)

    def check_start(self) -> None:
        """Raise ValueError if something that is needed for the start was not given."""
        return None  # nothing usually

    def finer(self) -> tuple[Flow, float] | None:
        """Flow and time step of the finer run that estimates errors; None if they are not
        estimated."""
        return None

    def warnings_of_errors(
        self, errors: Mapping[str, float], days: float, positions: np.ndarray
    ) -> list[str]:
        """Warnings about estimated errors (km, by name) in the frame of these positions."""
        return []

    def same_run(self, other: "Configuration") -> bool:
        """Whether they differ, if at all, only in how far the run goes and where it is stopped."""
        free = {"n_steps": 0, "max_energy_jump": None, "min_distance": None}
        # as text, in which what is not a number equals itself
        return json.dumps({**self.to_json(), **free}) == json.dumps({**other.to_json(), **free})

    @staticmethod
    def energy_jump(text: str) -> float:
        """Read the option ``max_energy_jump``. Raises ValueError if it is not valid."""
        return plain(text, "--max-energy-jump", "0.1")

    @abstractmethod
    def example(self) -> System:
        """One of its systems, for checks. Raises ValueError if there is none."""

    @abstractmethod
    def start(self) -> State:
        """The initial state. Raises ValueError if the model, if there is one, cannot move it."""

    @abstractmethod
    def flow(self) -> Flow:
        """The flow that moves it: a dynamics model, or the integrator with the exact or the learned
        force."""

    def moved_by(self, exact: Potential, integrate: Callable[[Potential], Flow]) -> Flow:
        """The flow of the exact potential by an integrator, or that of the model, if there is
        one."""
        return self.learned.as_flow(integrate, exact) if self.model else integrate(exact)

    def with_learned_masses(self, system: System) -> System:
        """The system, with what the model, if there is one, has learned of its masses."""
        return self.learned.with_learned_masses(system) if self.model else system

    def check_model(self) -> None:
        """Raise ValueError if the model is not made for such systems: its role, its units, what it
        requires, the species and the number of particles."""
        check_model_fits(self.learned, self.model, self)

    @cached_property
    def learned(self) -> Any:
        """The model, as it was when the run began."""
        model, digest = load_with_digest(self.model, **self.disagreement)
        if self.model_digest and digest != self.model_digest:
            raise ValueError(
                f"the model {self.model} is not the one the run began with; put that file back"
            )
        return model

    @property
    def disagreement(self) -> dict[str, float]:
        """Limits of the disagreement of a committee's models, as `load_with_digest` takes them."""
        return {}
