"""Observables of a system: kinetic energy, temperature, pressure, momentum, angular momentum; they
broadcast over ensembles."""

from systems.arrays import Array, namespace
from systems.system import System


def kinetic_energy(system: System, *, about_center: bool = False) -> Array:
    """Sum of p^2 / 2m, [...]; ``about_center`` takes the velocity of the centre of mass off all
    velocities first."""
    momenta = system.momenta
    if about_center:
        momenta = momenta - system.masses[:, None] * center_velocity(system)[..., None, :]
    return 0.5 * ((momenta**2).sum(-1) / system.masses).sum(-1)


def temperature(
    system: System, n_degrees: int | None = None, *, about_center: bool | None = None
) -> Array:
    """Kinetic temperature 2 K / (n_degrees kB), [...].

    Unless given, n_degrees is 3 n_particles, or 3 n_particles - 3 ``about_center``; and if
    n_degrees is the latter, the kinetic energy is that about the centre of mass: its motion is left
    out of both or of neither.
    """
    n = 3 * system.n_particles
    about_center = n_degrees == n - 3 if about_center is None else about_center
    n_degrees = n - 3 * about_center if n_degrees is None else n_degrees
    return (
        2.0
        * kinetic_energy(system, about_center=about_center)
        / (n_degrees * system.units.boltzmann)
    )


def pressure(system: System, stress: Array, *, about_center: bool = False) -> Array:
    """(2 K / V - trace of the stress [..., 3, 3]) / 3, [...], of a system in a cell that is
    periodic in all directions.

    The kinetic energy is ``about_center`` where the temperature beside it counts 3 n_particles - 3
    degrees of freedom.
    """
    volume = abs(namespace(system.cell).linalg.det(system.cell))
    kinetic = kinetic_energy(system, about_center=about_center)
    return (
        2.0 * kinetic / volume - stress[..., 0, 0] - stress[..., 1, 1] - stress[..., 2, 2]
    ) / 3.0


def momentum(system: System) -> Array:
    """Total momentum, [..., 3]."""
    return system.momenta.sum(-2)


def center_velocity(system: System) -> Array:
    """Velocity of the centre of mass, [..., 3]."""
    return momentum(system) / system.masses.sum()


def angular_momentum(system: System) -> Array:
    """Total angular momentum about the origin, [..., 3]."""
    return namespace(system.positions).linalg.cross(system.positions, system.momenta).sum(-2)
