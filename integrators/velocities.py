"""Initial velocities."""

from dataclasses import replace

from integrators.random import Random
from systems.arrays import like
from systems.system import System

_OWN = 2**62  # draws that no run comes to


def maxwell_boltzmann(
    system: System, temperature: float, random: Random, at_rest: bool = True
) -> System:
    """Draw momenta at ``temperature`` (kelvin; kB T in reduced units), independently for each
    system of an ensemble, and return the system with them.

    ``at_rest`` takes the motion of the centre of mass out: 3 n - 3 degrees of freedom are left,
    which have the temperature on average. Raises ValueError if the temperature is negative.
    """
    if not temperature >= 0:
        raise ValueError(f"the temperature must not be negative, not {temperature}")
    # draws of their own, so that the same Random can move the particles afterwards
    drawn, _ = replace(random, count=random.count + _OWN).normals(tuple(system.positions.shape))
    drawn, mass = like(drawn, system.positions), system.masses[:, None]
    momenta = drawn * (system.units.boltzmann * temperature * mass) ** 0.5
    if at_rest:
        momenta = momenta - mass * momenta.sum(-2, keepdims=True) / mass.sum()
    return replace(system, momenta=momenta)
