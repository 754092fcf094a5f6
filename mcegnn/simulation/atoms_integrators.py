"""Integrators of a file's atoms: their names, and the flow that a run asks for."""

from typing import TYPE_CHECKING

from integrators.state import Flow
from integrators.thermostats import Ramp

if TYPE_CHECKING:
    from mcegnn.simulation.atoms import AtomsRun

INTEGRATORS = (
    "velocity-verlet",
    "langevin-baoab",
    "nose-hoover",
    "npt",
    "yoshida-4",
    "yoshida-6",
    "yoshida-8",
    "symplectic-euler",
)
THERMOSTATS = ("langevin-baoab", "nose-hoover", "npt")
BY_ENSEMBLE = {"nve": "velocity-verlet", "nvt": "langevin-baoab", "npt": "npt"}


def flow_of(run: "AtomsRun") -> Flow:
    """Return the integrator with the forces."""
    from integrators import ensembles
    from integrators.barostats import Piston
    from systems.potentials.fixed import Fixed

    force, frozen = run.force, run.is_frozen
    temperature, pressure = (
        _ramped(values, run.ramp) for values in (run.temperature, run.pressure)
    )
    if run.integrator == "langevin-baoab":
        return ensembles.langevin_baoab(force, temperature, run.friction, frozen)
    if run.integrator == "npt":
        piston = Piston(temperature, pressure, run.period, flexible=run.flexible)
        return ensembles.npt(force, piston, run.friction)
    acting = force if frozen is None else Fixed(force, frozen)
    if run.integrator == "nose-hoover":
        n_degrees = None if run.about_center else run.n_degrees
        return ensembles.nose_hoover(acting, temperature, run.period, n_degrees)
    flow: Flow = ensembles.integrator(run.integrator)(acting)
    return flow


def _ramped(values: tuple[float, ...], duration: float) -> float | Ramp:
    return Ramp(values[0], values[1], duration) if len(values) == 2 else sum(values)
