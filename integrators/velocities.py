"""Velocities to start from."""

from dataclasses import replace

from integrators.random import Random
from systems.system import System


def maxwell_boltzmann(system: System, temperature: float, random: Random, at_rest: bool = True) -> System:
    """The system with momenta drawn at ``temperature`` (kelvin; kB T in reduced units), for each system of an ensemble its own.

    ``at_rest`` takes the motion of the centre of mass out: 3 n - 3 degrees of freedom are left, which have the temperature on average.
    ValueError for a negative temperature.
    """
    if not temperature >= 0:
        raise ValueError(f"the temperature must not be negative, not {temperature}")
    drawn, _ = random.normals(tuple(system.positions.shape))
    mass = system.masses[:, None]
    momenta = drawn * (system.units.boltzmann * temperature * mass) ** 0.5
    if at_rest:
        momenta = momenta - mass * momenta.sum(-2, keepdims=True) / mass.sum()
    return replace(system, momenta=momenta)
