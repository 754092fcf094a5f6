"""Observables of a system: kinetic energy, temperature, pressure, momentum, angular momentum; they broadcast over ensembles."""

from systems.arrays import Array, namespace
from systems.system import System


def kinetic_energy(system: System) -> Array:
    """Sum of p^2 / 2m, [...]."""
    return 0.5 * ((system.momenta**2).sum(-1) / system.masses).sum(-1)


def temperature(system: System, n_degrees: int | None = None) -> Array:
    """Kinetic temperature 2 K / (n_degrees kB), [...]; n_degrees is 3 n_particles unless given (3 n - 3 at zero momentum)."""
    n_degrees = 3 * system.n_particles if n_degrees is None else n_degrees
    return 2.0 * kinetic_energy(system) / (n_degrees * system.units.boltzmann)


def pressure(system: System, stress: Array) -> Array:
    """(2 K / V - trace of the stress [..., 3, 3]) / 3, [...], of a system in a cell that is periodic in all directions."""
    volume = abs(namespace(system.cell).linalg.det(system.cell))
    return (2.0 * kinetic_energy(system) / volume - stress[..., 0, 0] - stress[..., 1, 1] - stress[..., 2, 2]) / 3.0


def momentum(system: System) -> Array:
    """Total momentum, [..., 3]."""
    return system.momenta.sum(-2)


def angular_momentum(system: System) -> Array:
    """Total angular momentum about the origin, [..., 3]."""
    return namespace(system.positions).linalg.cross(system.positions, system.momenta).sum(-2)


def center_of_mass(system: System) -> Array:
    """Centre of mass, [..., 3]."""
    return (system.masses[:, None] * system.positions).sum(-2) / system.masses.sum()
