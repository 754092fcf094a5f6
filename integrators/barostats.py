"""Barostats: a cell that moves with the particles in it, as flows that are each exact.

The equations of motion are those of Martyna, Tobias and Klein (1994, J. Chem. Phys. 101, 4177),
with friction and noise on particles and cell in place of chains (as in Langevin pistons, Feller et
al. 1995). With v the symmetric rate of strain, W its mass and N_f = 3 n::

    x' = p / m + v x      p' = F - (v + tr v / N_f) p      cell' = cell v
    W v' = V (P_int - P) + (1 / N_f) sum p^2 / m           V P_int = sum p p^T / m + virial

They sample exp(-(H + P V) / kT) with the measure dV (isotropic) or det(cell)^-2 d cell (flexible),
total momentum free: a perfect gas has P <V> = (n + 1) kT. There is a second order splitting: a
palindrome of `CellKick`, `CellKinetic`, `Stretch`, drift and noise.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from integrators.state import State
from integrators.thermostats import Ramp, check_not_negative, ends, now, numbers_of
from systems.arrays import Array, like, namespace
from systems.system import Potential, System


@dataclass(frozen=True)
class Piston:
    """Barostat: pressure, in the units' energy / length^3, and temperature, in kelvin (kB
    T in reduced units); a `Ramp` or a number each.

    ``period`` makes the mass of the cell, W = (n + 1) kB T period^2, which is not that of its
    motion: without friction the volume V at the bulk modulus B oscillates with period 2 pi sqrt(W /
    (3 V B)), 3.6 periods for a perfect gas and a fifth of one for copper at 300 K. ``friction`` is
    that of its motion (1 / period where it is not given). ``flexible`` lets angles and
    ratios of lengths change, else the cell keeps its shape.

    Raises ValueError if a temperature or the period is not positive, the friction is negative, or a
    pressure is not finite.
    """

    temperature: float | Ramp
    pressure: float | Ramp
    period: float
    friction: float | None = None
    flexible: bool = False

    def __post_init__(self) -> None:
        check_not_negative("temperature", self.temperature, zero=False)
        if self.friction is not None:
            check_not_negative("friction", self.friction)
        if not all(math.isfinite(end) for end in ends(self.pressure)):
            raise ValueError(f"the pressure must be finite, not {self.pressure}")
        if not (self.period > 0 and math.isfinite(self.period)):
            raise ValueError(f"the period of the cell must be positive, not {self.period}")

    def kT(self, state: State) -> float:
        """Thermal energy kB T at the state's time."""
        return state.system.units.boltzmann * now(self.temperature, state.time)

    def mass(self, state: State) -> float:
        """Mass W of the cell."""
        return (state.system.n_particles + 1) * self.kT(state) * self.period**2

    def rate(self, state: State) -> Array:
        """The rate of strain v [..., 3, 3]: the state's, or none."""
        system = state.system
        if state.barostat is not None:
            return state.barostat
        return like(np.zeros((*system.positions.shape[:-2], 3, 3)), system.positions)

    def pushed(self, state: State, cell_force: Array, dt: float) -> State:
        """The state with v changed by ``cell_force`` [..., 3, 3], V P, acting for dt."""
        if not self.flexible:
            cell_force = _trace(cell_force)[..., None, None] / 3.0 * like(np.eye(3), cell_force)
        return replace(state, barostat=self.rate(state) + dt / self.mass(state) * cell_force)


def check_periodic(system: System) -> None:
    """Raise ValueError if there is no cell that could move."""
    if system.cell is None or not all(system.pbc):
        raise ValueError("constant pressure needs a cell that is periodic in all directions")


@dataclass(frozen=True)
class CellKick:
    """Forces act on the particles, and the virial, less the pressure's share, on the cell.
    Raises ValueError if there is no stress."""

    potential: Potential
    piston: Piston

    def __call__(self, state: State, dt: float) -> State:
        evaluation = state.evaluation
        if evaluation is None or evaluation.potential is not self.potential:
            evaluation = self.potential(state.system)._replace(potential=self.potential)
        check_periodic(state.system)
        if evaluation.stress is None:
            raise ValueError(
                f"constant pressure needs a stress, which {type(self.potential).__name__} does not"
                " give"
            )
        system = state.system
        size = _volume(system)[..., None, None]
        outside = now(self.piston.pressure, state.time) * like(np.eye(3), system.positions)
        pushed = self.piston.pushed(state, -size * (evaluation.stress + outside), dt)
        moved = replace(system, momenta=system.momenta + dt * evaluation.forces)
        return replace(pushed, system=moved, evaluation=evaluation, coordinates=None)


@dataclass(frozen=True)
class CellKinetic:
    """The particles' motion acts on the cell."""

    piston: Piston
    potential = None

    def __call__(self, state: State, dt: float) -> State:
        p, masses = state.system.momenta, state.system.masses[:, None]
        flux = p.swapaxes(-1, -2) @ (p / masses)
        return self.piston.pushed(
            state, flux + _trace(flux)[..., None, None] / (3 * p.shape[-2]) * like(np.eye(3), p), dt
        )


@dataclass(frozen=True)
class Stretch:
    """Positions and cell follow the rate of strain, and momenta the other way."""

    piston: Piston
    potential = None

    def __call__(self, state: State, dt: float) -> State:
        system, v = state.system, self.piston.rate(state)
        rates, axes = namespace(v).linalg.eigh(v)
        across = axes.swapaxes(-1, -2)
        shrunk = -dt * (rates + rates.sum(-1)[..., None] / (3 * system.n_particles))
        there, back = (
            (axes * namespace(v).exp(power)[..., None, :]) @ across
            for power in (dt * rates, shrunk)
        )
        moved = replace(
            system,
            positions=system.positions @ there,
            momenta=system.momenta @ back,
            cell=system.cell @ there,
        )
        return replace(state, system=moved, evaluation=None, coordinates=None)


@dataclass(frozen=True)
class CellNoise:
    """Friction and noise on the rate of strain, exactly."""

    piston: Piston
    potential = None

    def __call__(self, state: State, dt: float) -> State:
        piston, v = self.piston, self.piston.rate(state)
        if dt < 0:
            raise ValueError("friction and noise cannot run backwards in time")
        drawn, after = numbers_of(state, "constant pressure").normals(tuple(v.shape))
        kept = math.exp(-dt * (1.0 / piston.period if piston.friction is None else piston.friction))
        # each of six independent strains has kT / W; off the diagonal, two entries are one strain,
        # so each has half
        noise = (drawn + drawn.swapaxes(-1, -2)) / 2.0
        noise = (
            noise
            if piston.flexible
            else np.trace(drawn, axis1=-2, axis2=-1)[..., None, None] / 3.0 * np.eye(3)
        )
        spread = ((1.0 - kept**2) * piston.kT(state) / piston.mass(state)) ** 0.5
        return replace(state, barostat=kept * v + spread * like(noise, v), random=after)


def _volume(system: System) -> Any:
    """[...]."""
    return abs(namespace(system.cell).linalg.det(system.cell))


def _trace(matrix: Array) -> Any:
    """[...] of [..., 3, 3]."""
    return matrix[..., 0, 0] + matrix[..., 1, 1] + matrix[..., 2, 2]
