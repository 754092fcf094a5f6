"""The named integrators: each is a composition of exact flows, one to five lines long."""

import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from integrators.barostats import CellKick, CellKinetic, CellNoise, Piston, Stretch
from integrators.composition import Composition, Scheme, Sequential, Strang
from integrators.flows import Drift, Kick
from integrators.kepler import DemocraticHeliocentric, InCoordinates, Jump, KeplerDrift
from integrators.relativity import EinsteinInfeldHoffmann, PostNewtonian
from integrators.state import Flow
from integrators.thermostats import NoseHooverChain, OrnsteinUhlenbeck, Ramp
from integrators.weights import WEIGHTS
from systems.potentials.fixed import Fixed
from systems.potentials.gravity import Gravity
from systems.system import Potential

Relativity = PostNewtonian | EinsteinInfeldHoffmann | None


def _innermost(relativity: Relativity) -> tuple[Flow, ...]:
    """The relativistic flow in the middle of a palindrome, where it is run once a step."""
    return () if relativity is None else (relativity,)


def symplectic_euler(potential: Potential, *, relativity: Relativity = None) -> Scheme:
    """Kick, then drift: first order. The charged benchmark's own scheme."""
    return Sequential(Kick(potential), Drift(), *_innermost(relativity))


def velocity_verlet(potential: Potential, *, relativity: Relativity = None) -> Scheme:
    """Half a kick, drift, half a kick: second order, one force call a step."""
    return Strang(Kick(potential), Drift(), *_innermost(relativity))


def yoshida(potential: Potential, order: int, *, relativity: Relativity = None) -> Scheme:
    """Velocity Verlet composed with itself to order 4, 6 or 8, with 3, 7 or 15 force calls a step
    (Yoshida 1990)."""
    if order not in WEIGHTS:
        raise ValueError(f"there is no Yoshida integrator of order {order}; take 4, 6 or 8")
    return Composition(velocity_verlet(potential, relativity=relativity), WEIGHTS[order])


def yoshida_4(potential: Potential, *, relativity: Relativity = None) -> Scheme:
    """Order 4, three force calls a step."""
    return yoshida(potential, 4, relativity=relativity)


def yoshida_6(potential: Potential, *, relativity: Relativity = None) -> Scheme:
    """Order 6, seven force calls a step."""
    return yoshida(potential, 6, relativity=relativity)


def yoshida_8(potential: Potential, *, relativity: Relativity = None) -> Scheme:
    """Order 8, fifteen force calls a step."""
    return yoshida(potential, 8, relativity=relativity)


def langevin_baoab(
    potential: Potential,
    temperature: float | Ramp,
    friction: float,
    fixed: np.ndarray | None = None,
) -> Scheme:
    """Constant temperature: half a kick, half a drift, friction and noise, and back (Leimkuhler and
    Matthews 2013, BAOAB).

    ``temperature`` in kelvin (kB T in reduced units), ``friction`` per unit of time (0.01 /
    ase.units.fs, say, in metal units, where a time step is 2 * ase.units.fs). In a harmonic well
    positions have the exact variance at any time step that is stable. Particles of which ``fixed``
    [n_particles] is true feel no force and lose their momenta. The state needs random numbers:
    State(system, random=Random(seed)).
    """
    acting = potential if fixed is None else Fixed(potential, fixed)
    return Strang(Kick(acting), Drift(), OrnsteinUhlenbeck(temperature, friction, fixed))


def nose_hoover(
    potential: Potential, temperature: float | Ramp, period: float, n_degrees: int | None = None
) -> Scheme:
    """Constant temperature without random numbers: a chain of thermostats about velocity Verlet
    (Martyna et al. 1996).

    ``temperature`` in kelvin (kB T in reduced units), ``period`` in the units' time (`ase.units.fs`
    in metal units): `NoseHooverChain`. It cannot heat what is at rest: start from
    `maxwell_boltzmann` velocities. ``n_degrees`` is that of the chain; where particles are
    `Fixed`, the others' unless it is given.
    """
    if n_degrees is None and isinstance(potential, Fixed):
        n_degrees = 3 * int((~np.asarray(potential.which, dtype=bool)).sum())
    return Strang(NoseHooverChain(temperature, period, n_degrees), Kick(potential), Drift())


def npt(potential: Potential, piston: Piston, friction: float) -> Scheme:
    """Constant pressure and temperature: Martyna, Tobias and Klein's moving cell with friction and
    noise on particles and cell.

    ``friction`` is the particles', per unit of time. The potential has to give a stress, the state
    random numbers.
    """
    noise = OrnsteinUhlenbeck(piston.temperature, friction)
    return Strang(
        CellKick(potential, piston),
        CellKinetic(piston),
        Stretch(piston),
        Drift(),
        CellNoise(piston),
        noise,
    )


def wisdom_holman(
    gravity: Potential, *, star: int = 0, relativity: Relativity = None
) -> InCoordinates:
    """Planets on exact conics about a star, kicked by one another (Wisdom and Holman 1991): second
    order in dt times their masses.

    In democratic heliocentric variables, the conics outermost: that makes half the energy error of
    kicks outermost at the same step. For planets that meet neither one another nor the star; a moon
    needs steps far shorter than its month. Raises ValueError unless it is given gravity between
    point masses.
    """
    if not isinstance(gravity, Gravity):
        raise ValueError(
            "wisdom-holman splits gravity between point masses; it cannot run another potential;"
            " use velocity-verlet or yoshida-4"
        )
    if gravity.softening or gravity.oblateness is not None:
        raise ValueError(
            "wisdom-holman takes point masses without softening or J2; use yoshida-8, or leave J2"
            " out (--no-j2)"
        )
    if gravity.omit is not None:
        raise ValueError(
            "wisdom-holman takes the gravity of all pairs; it leaves out the star's itself"
        )
    if isinstance(relativity, EinsteinInfeldHoffmann):
        raise ValueError(
            "wisdom-holman holds the relativity of its star alone; take yoshida-8 where other"
            " masses are not small"
        )
    if relativity is not None and relativity.star != star:
        raise ValueError(
            f"wisdom-holman about body {star} cannot hold the relativity of another star (body"
            f" {relativity.star})"
        )
    inside = () if relativity is None else (replace(relativity, heliocentric=True),)
    scheme = Strang(
        KeplerDrift(star, gravity.constant), Jump(star), Kick(gravity.without(star)), *inside
    )
    return InCoordinates(DemocraticHeliocentric(star), scheme, gravity)


#: Those of constant energy by the names that the command line gives them.
INTEGRATORS: dict[str, Callable[..., Any]] = {
    "symplectic-euler": symplectic_euler,
    "velocity-verlet": velocity_verlet,
    "yoshida-4": yoshida_4,
    "yoshida-6": yoshida_6,
    "yoshida-8": yoshida_8,
    "wisdom-holman": wisdom_holman,
}


# what other packages call them
_OTHER_NAMES = {
    "leapfrog": "velocity-verlet",
    "verlet": "velocity-verlet",
    "euler": "symplectic-euler",
    "whfast": "wisdom-holman",
}


def integrator(name: str) -> Callable[..., Any]:
    """Return the integrator of a name. Raises ValueError, naming the nearest, if there is none."""
    if name not in INTEGRATORS:
        near = (
            _OTHER_NAMES.get(name.lower())
            or difflib.get_close_matches(name, INTEGRATORS, 1, cutoff=0.0)[0]
        )
        raise ValueError(
            f"unknown integrator {name!r}; did you mean {near}? (known: {', '.join(INTEGRATORS)})"
        )
    return INTEGRATORS[name]
