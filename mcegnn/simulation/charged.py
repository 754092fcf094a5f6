"""Rollouts of the charged N-body benchmark's systems."""

from dataclasses import dataclass
from typing import ClassVar

from integrators.composition import Scheme
from integrators.encounters import Halved
from integrators.state import Flow, State
from mcegnn.simulation.configuration import Configuration
from systems.system import Potential, System
from systems.units import REDUCED, Units


@dataclass(frozen=True, kw_only=True)
class ChargedRun(Configuration):
    """Many systems of charged particles, drawn from a seed.

    With ``encounters`` steps are halved where particles come near each other.
    """

    system: ClassVar[str] = "charged"
    units: ClassVar[Units] = REDUCED
    described_as: ClassVar[str] = "a charged system"
    provides: ClassVar[frozenset[str]] = frozenset({"charges"})
    usual_integrator: ClassVar[str] = "symplectic-euler"

    encounters: bool = False

    def rows(self) -> list[tuple[str, str]]:
        """Row of the integrator."""
        halved = ", steps halved where particles meet" if self.encounters else ""
        return [(name, text + halved) for name, text in super().rows()]

    @property
    def why_energy_drifts(self) -> str:
        """Note that the usual integrator is the benchmark's."""
        return super().why_energy_drifts and (
            "it is the benchmark's own scheme: forces above 100 are clipped, first order;"
            " --integrator yoshida-8 conserves it"
        )

    def example(self) -> System:
        """The first of the systems."""
        from systems.sources.charged import charged_systems

        return charged_systems(1, self.seed, self.n_particles)

    def start(self) -> State:
        """The initial state, drawn from the seed."""
        from systems.sources.charged import charged_systems

        system = charged_systems(self.n_systems, self.seed, self.n_particles)
        return State(self.with_learned_masses(system))

    def flow(self) -> Flow:
        """The flow under Coulomb's law, a learned one, or a dynamics model."""
        return self.moved_by(self._exact(), self._integrated)

    def _integrated(self, potential: Potential) -> Flow:
        from integrators.ensembles import integrator

        flow: Flow = integrator(self.integrator)(potential)
        if self.encounters and isinstance(flow, Scheme):
            return Halved(flow, 1.0, charged=True)
        return flow

    def _exact(self) -> Potential:
        from systems.potentials.coulomb import Coulomb
        from systems.sources.charged import benchmark_coulomb

        # the clip belongs to the benchmark's own scheme
        return benchmark_coulomb() if self.integrator in ("", self.usual_integrator) else Coulomb()
