"""Thermostats as flows: `OrnsteinUhlenbeck` with random numbers, `NoseHooverChain` without; and
ramps of temperature or pressure."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from integrators.random import Random
from integrators.state import State
from integrators.weights import WEIGHTS
from systems.arrays import Array, like, namespace
from systems.observables import center_velocity
from systems.system import System


@dataclass(frozen=True)
class Ramp:
    """A quantity that is ``first`` until the time ``begin``, changes linearly to ``last`` in
    ``duration``, and stays there."""

    first: float
    last: float
    duration: float
    begin: float = 0.0

    def at(self, time: float) -> float:
        """The quantity at a time."""
        return self.first + (self.last - self.first) * min(
            max((time - self.begin) / self.duration, 0.0), 1.0
        )


def now(quantity: float | Ramp, time: float) -> float:
    """The quantity at a time, if it changes."""
    return quantity.at(time) if isinstance(quantity, Ramp) else quantity


def ends(quantity: float | Ramp) -> tuple[float, ...]:
    """The values between which the quantity always is."""
    return (quantity.first, quantity.last) if isinstance(quantity, Ramp) else (quantity,)


def numbers_of(state: State, what: str) -> Random:
    """The state's random numbers. Raises ValueError, naming what needs them, if there are none."""
    if state.random is None:
        raise ValueError(
            f"{what} needs random numbers: start from State(system, random=Random(seed))"
        )
    return state.random


def check_not_negative(what: str, quantity: float | Ramp, *, zero: bool = True) -> None:
    """Raise ValueError if a temperature or the like is anywhere below zero (or zero, unless
    ``zero``) or not finite."""
    for value in ends(quantity):
        if not (value >= 0 and math.isfinite(value) and (zero or value > 0)):
            raise ValueError(
                f"the {what} must {'not be negative' if zero else 'be positive'}, not {value}"
            )
    if isinstance(quantity, Ramp) and not quantity.duration > 0:
        raise ValueError(f"a ramp of the {what} must take a positive time, not {quantity.duration}")


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """Friction and noise, exactly: p <- c p + sqrt((1 - c^2) m kB T) times normal numbers, c =
    exp(-friction dt).

    ``temperature`` is in kelvin (kB T in reduced units), a number or a `Ramp`; ``friction`` is per
    unit of time. Momentum is not conserved, so all 3 n degrees of freedom have the temperature. The
    momenta of particles of which ``fixed`` [n_particles] is true become zero. Raises ValueError if
    the temperature or friction is negative, or the state has no random numbers.
    """

    temperature: float | Ramp
    friction: float
    fixed: np.ndarray | None = None
    potential = None

    def __post_init__(self) -> None:
        check_not_negative("temperature", self.temperature)
        check_not_negative("friction", self.friction)

    def __call__(self, state: State, dt: float) -> State:
        if dt < 0 and self.friction > 0:
            raise ValueError("friction and noise cannot run backwards in time")
        system = state.system
        x = system.positions
        drawn, after = numbers_of(state, "a thermostat").normals(tuple(x.shape))
        kept = math.exp(-self.friction * dt)
        spread = (1.0 - kept**2) * system.units.boltzmann * now(self.temperature, state.time)
        noise = like(drawn, x).to(x) if namespace(x) is not np else drawn
        momenta = kept * system.momenta + (spread * system.masses[:, None]) ** 0.5 * noise
        if self.fixed is not None:
            momenta = namespace(x).where(like(self.fixed[:, None], x), 0.0 * momenta, momenta)
        return replace(
            state, system=replace(system, momenta=momenta), random=after, coordinates=None
        )


@dataclass(frozen=True)
class NoseHooverChain:
    """A chain of thermostats, which samples constant temperature without random numbers (Martyna,
    Klein and Tuckerman 1992).

    ``temperature`` in kelvin (kB T in reduced units), a number or a `Ramp`; ``period``, about the
    time in which the temperature swings, sets the masses: n_degrees kB T (period / 2 pi)^2 of the
    first and kB T (period / 2 pi)^2 of the others. Unless ``n_degrees`` is given, it is 3 n - 3,
    and the chain acts on the motion about the centre of mass alone, which is unchanged: forces
    between particles conserve the total momentum. If they do not, as with an external field or
    fixed particles, give the number of degrees of freedom: then the chain acts on all momenta. The
    state remembers the chain's positions and velocities, ``thermostat`` [..., 2, length];
    ``energy`` is what is conserved beside the particles' own. Raises ValueError if a temperature or
    the period is not positive, the state's chain has another length, or no degree of freedom is
    left.
    """

    temperature: float | Ramp
    period: float
    n_degrees: int | None = None
    length: int = 3
    potential = None

    def __post_init__(self) -> None:
        check_not_negative("temperature", self.temperature, zero=False)
        if not (self.period > 0 and math.isfinite(self.period)) or self.length < 1:
            raise ValueError(
                f"a chain needs a positive period and length, not {self.period} and {self.length}"
            )

    def __call__(self, state: State, dt: float) -> State:
        system = state.system
        mass = system.masses[:, None]
        common = (
            mass * center_velocity(system)[..., None, :]
            if self.n_degrees is None
            else 0.0 * system.momenta
        )
        twice = ((system.momenta - common) ** 2 / mass).sum((-1, -2))
        chain, scale = self._moved(state, twice, dt)
        momenta = common + (system.momenta - common) * scale[..., None, None]
        return replace(
            state, system=replace(system, momenta=momenta), thermostat=chain, coordinates=None
        )

    def _moved(self, state: State, twice: Array, dt: float) -> tuple[Array, Array]:
        """The chain after a time step, and the factor of the momenta, whose kinetic energy is half
        of ``twice``."""
        kT, masses = self._kT_and_masses(state)
        chain, n = self.chain(state), self.length
        xi, v = [chain[..., 0, k] for k in range(n)], [chain[..., 1, k] for k in range(n)]
        exp, degrees = namespace(twice).exp, self.degrees(state.system)
        scale: Any = 1.0

        def swing(k: int, h: float) -> None:
            above = masses[k - 1] * v[k - 1] ** 2 if k else twice
            pull = (above - (kT if k else degrees * kT)) / masses[k]
            slowed = exp(-0.25 * h * v[k + 1]) if k + 1 < n else 1.0
            v[k] = (v[k] * slowed + 0.5 * h * pull) * slowed

        # the chain's own motion by Yoshida's fourth order: its error adds nothing to that of the
        # step (Martyna et al. 1996)
        for weight in WEIGHTS[4]:
            h = weight * dt
            for k in reversed(range(n)):
                swing(k, h)
            scale, twice = scale * exp(-h * v[0]), twice * exp(-2.0 * h * v[0])
            xi = [x + h * u for x, u in zip(xi, v, strict=True)]
            for k in range(n):
                swing(k, h)
        stack = namespace(twice).stack
        return stack([stack(xi, -1), stack(v, -1)], -2), scale

    def chain(self, state: State) -> Array:
        """The chain's positions and velocities, [..., 2, length]: the state's, or at rest."""
        if state.thermostat is not None:
            if state.thermostat.shape[-1] != self.length:
                raise ValueError(
                    f"the state remembers a chain of {state.thermostat.shape[-1]}, not of"
                    f" {self.length}"
                )
            return state.thermostat
        shape = (*state.system.positions.shape[:-2], 2, self.length)
        return like(np.zeros(shape), state.system.positions)

    def energy(self, state: State) -> Array:
        """The chain's energy [...]; with the particles' kinetic and potential energy it is
        conserved, at a constant temperature."""
        kT, masses = self._kT_and_masses(state)
        chain = self.chain(state)
        kinetic = sum(0.5 * masses[k] * chain[..., 1, k] ** 2 for k in range(self.length))
        return kinetic + kT * (
            self.degrees(state.system) * chain[..., 0, 0] + chain[..., 0, 1:].sum(-1)
        )

    def degrees(self, system: System) -> int:
        """Number of thermal degrees of freedom. Raises ValueError if there are none."""
        degrees = 3 * system.n_particles - 3 if self.n_degrees is None else self.n_degrees
        if degrees < 1:
            raise ValueError(
                f"a thermostat needs a degree of freedom; {system.n_particles} particles have"
                f" {degrees}"
            )
        return degrees

    def _kT_and_masses(self, state: State) -> tuple[float, list[float]]:
        kT = state.system.units.boltzmann * now(self.temperature, state.time)
        one = kT * (self.period / (2.0 * math.pi)) ** 2
        return kT, [self.degrees(state.system) * one] + [one] * (self.length - 1)
