"""Rollouts of the solar system, or of any bodies under their gravity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from integrators.composition import Scheme
from integrators.encounters import COARSE, FINE, Halved
from integrators.relativity import EinsteinInfeldHoffmann, PostNewtonian
from integrators.state import Flow, State
from mcegnn.simulation.configuration import Configuration
from systems.observables import kinetic_energy
from systems.sources.solar import Body, SolarSystem
from systems.system import Potential, System
from systems.units import ASTRONOMICAL, Units
from trajectories.checks import Limits

# an estimated error that is told of: so many kilometres, or such a part of the distance to what a
# body goes around
_KM, _PART = 100.0, 1e-3
_NAMED = 6  # bodies that are named then


@dataclass(frozen=True, kw_only=True)
class SolarRun(Configuration):
    """Bodies at an epoch (Julian day, TDB), with or without relativity and oblateness.

    With ``encounters`` steps are halved near pericentres and in close encounters; runs of before
    they were have it not.
    """

    system: ClassVar[str] = "solar"
    units: ClassVar[Units] = ASTRONOMICAL
    described_as: ClassVar[str] = "a solar system"
    provides: ClassVar[frozenset[str]] = frozenset({"masses"})
    usual_integrator: ClassVar[str] = "yoshida-8"

    epoch: float = 0.0
    relativity: bool = False
    oblate: bool = True
    bodies: tuple[Body, ...] = ()
    encounters: bool = False

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """The configuration of plain values, with the bodies as `Body`."""
        rows: list[dict[str, Any]] = [
            {k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}
            for body in values["bodies"]
        ]
        return cls(**{**values, "bodies": tuple(Body(**row) for row in rows)})

    @property
    def solar(self) -> SolarSystem:
        """The bodies as a solar system."""
        return SolarSystem(self.bodies, self.epoch)

    @property
    def names(self) -> list[str]:
        """The bodies' names."""
        return [body.name for body in self.bodies]

    @property
    def julian_day(self) -> float:
        """Julian day (TDB) of the start."""
        return self.epoch

    @property
    def parents(self) -> Mapping[str, str]:
        """The body that each body orbits."""
        return {body.name: body.parent for body in self.bodies}

    @property
    def seeded(self) -> bool:
        """False, since nothing is drawn at random."""
        return False

    def time(self, value: float) -> str:
        """A time in words, in days."""
        return f"{value:.6g} days"

    def rows(self) -> list[tuple[str, str]]:
        """Rows on integrator, epoch, and oblateness if a body has one."""
        integrator = self.integrator + (
            " with relativity" + " of all bodies" * self.solar.is_binary if self.relativity else ""
        )
        integrator += ", steps halved where bodies meet" if self.encounters else ""
        return [
            *([("integrator", integrator)] if self.integrator else []),
            ("start", f"Julian day {self.epoch} TDB"),
            *(
                [("oblateness", "taken in" if self.oblate else "left out")]
                if any(body.j2 for body in self.bodies)
                else []
            ),
        ]

    def limits(self) -> Limits:
        """``max_energy_jump`` is a part of the energy at the start, usually a tenth, from frame to
        frame and in all; of a dynamics model, which keeps none, nothing."""
        if not self.integrator and self.max_energy_jump is None:
            return Limits(distance=self.min_distance or 0.0)
        system, part = (
            self.solar.system,
            (0.1 if self.max_energy_jump is None else self.max_energy_jump),
        )
        energy = self.solar.gravity(oblate=self.oblate)(system).energy
        assert energy is not None
        # of bound bodies a third of both is the total energy, which may be near zero where some are
        # not bound
        most = part * (abs(float(energy)) + float(kinetic_energy(system))) / 3.0
        return Limits(most, self.min_distance or 0.0, drift=most)

    def example(self) -> System:
        """The bodies at the epoch."""
        return self.solar.system

    def start(self) -> State:
        """The bodies' state at the epoch."""
        return State(self.with_learned_masses(self.solar.system))

    def flow(self) -> Flow:
        """The flow under gravity, a learned pair force, or a dynamics model."""
        return self.moved_by(self.solar.gravity(oblate=self.oblate), self._integrated)

    def _integrated(self, potential: Potential) -> Flow:
        from integrators.ensembles import integrator

        solar = self.solar
        about = {"star": solar.star} if self.integrator == "wisdom-holman" else {}
        flow: Flow = integrator(self.integrator)(
            potential, relativity=self._relativity(solar), **about
        )
        if self.encounters and isinstance(flow, Scheme):
            return Halved(flow, ASTRONOMICAL.gravitation)
        return flow

    def finer(self) -> tuple[Flow, float] | None:
        """Two thirds of the usual step or of the run's, halved likewise; None under a learned
        law."""
        from integrators.ensembles import yoshida_8

        if self.model:
            return None
        solar, share = self.solar, 2.0 / 3.0
        scheme = yoshida_8(solar.gravity(oblate=self.oblate), relativity=self._relativity(solar))
        flow = Halved(scheme, ASTRONOMICAL.gravitation, share * COARSE, share * FINE)
        return flow, share * min(self.dt, solar.default_time_step())

    def warnings_of_errors(
        self, errors: Mapping[str, float], days: float, positions: np.ndarray
    ) -> list[str]:
        """Bodies whose error is more than they should have; none of a lower scheme that was chosen,
        whose errors are its own."""
        if self.integrator != self.usual_integrator:
            return []
        solar, bad = self.solar, []
        for k, (name, km) in enumerate(errors.items()):
            center = solar.centers[k] if solar.centers[k] >= 0 else solar.star
            apart = float(np.linalg.norm(positions[k] - positions[center]))
            limit = min(_KM, _PART * apart / ASTRONOMICAL.convert(1.0, "km"))
            if k != center and km > limit:
                bad.append(f"{name} ({kilometers(km)})")
        if not bad:
            return []
        who = ", ".join(bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" * (len(bad) > _NAMED))
        why = (
            "encounters magnify roundings, so no step is short enough"
            if self.encounters
            else (
                f"the time step of {self.dt:.3g} days is too long for that: leave out --dt, and"
                " steps follow each body"
            )
        )
        return [
            f"the position is not right of {who}, judged by a finer run after {days:.6g} days;"
            f" {why}"
        ]

    def _relativity(self, solar: SolarSystem) -> PostNewtonian | EinsteinInfeldHoffmann | None:
        if not self.relativity:
            return None
        if solar.is_binary:
            return EinsteinInfeldHoffmann(ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)
        return PostNewtonian(solar.star, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)


def kilometers(km: float) -> str:
    """A distance in words."""
    return f"{km:,.0f} km" if km >= 100 else f"{km:.2g} km"
