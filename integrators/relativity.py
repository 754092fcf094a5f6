"""Relativity: the first post-Newtonian terms of one heavy body or of all, as time-symmetric flows
of their own."""

from dataclasses import dataclass, replace

import numpy as np

from integrators.state import State
from systems.arrays import Array, like, mask
from systems.system import Potential, System

# of the implicit midpoint rule at most: each gains a factor of order dt a v / c^2, about 1e-10 for
# planets
SWEEPS = 12


def acceleration(offset: Array, velocity: Array, mu: float, c: float) -> Array:
    """The 1PN acceleration of a light body at ``offset`` [..., 3] from a mass with GM = mu, moving
    at ``velocity`` relative to it.

    mu / (c^2 r^3) [(4 mu / r - v^2) r + 4 (r . v) v], harmonic coordinates (Soffel and Langhans
    2013, eq. 8.1; IERS 2010, eq. 10.12).
    """
    r2 = (offset**2).sum(-1)[..., None]
    r = r2**0.5
    along, speed2 = (offset * velocity).sum(-1)[..., None], (velocity**2).sum(-1)[..., None]
    return mu / (c**2 * r2 * r) * ((4.0 * mu / r - speed2) * offset + 4.0 * along * velocity)


@dataclass(frozen=True)
class PostNewtonian:
    """Velocities change under the 1PN term of body ``star`` while positions are constant; the star
    takes the opposite momentum.

    The implicit midpoint rule makes it symmetric in time: v' = v + dt a(x, (v + v') / 2).
    ``constant`` is G; lengths, times and the speed of light are in the system's units.
    ``heliocentric`` says that the system is in democratic heliocentric variables.
    """

    star: int
    constant: float
    speed_of_light: float
    heliocentric: bool = False
    potential: Potential | None = None

    def __call__(self, state: State, dt: float) -> State:
        system, star = state.system, self.star
        x, p, m = system.positions, system.momenta, system.masses
        others = mask([k != star for k in range(system.n_particles)], x)
        offset = x if self.heliocentric else x - x[..., star : star + 1, :]
        # the star's own row is a place holder far from any singularity; its kick is masked
        offset = offset * others[:, None] + (1.0 - others)[:, None]
        start = p
        for _ in range(SWEEPS):
            middle = 0.5 * (start + p)
            light = (middle * others[:, None]).sum(-2)[..., None, :]
            own = -light if self.heliocentric else middle[..., star : star + 1, :]
            velocity = middle / m[:, None] - own / m[star]
            a = acceleration(offset, velocity, self.constant * m[star], self.speed_of_light)
            kick = dt * a * (m * others)[:, None]
            if not self.heliocentric:
                kick = kick - (1.0 - others)[:, None] * kick.sum(-2)[..., None, :]
            p = start + kick
        return replace(state, system=replace(system, momenta=p), coordinates=None)


def einstein_infeld_hoffmann(x: Array, v: Array, mu: Array, c: float) -> Array:
    """First-order corrections of general relativity to Newton's accelerations of point masses,
    [..., n, 3]; ``mu`` [n] are G times masses.

    The equations of Einstein, Infeld and Hoffmann (1938) in the harmonic coordinates of JPL's
    ephemerides (Park et al. 2021, eq. 27).
    """
    off = like(1.0 - np.eye(x.shape[-2]), x)
    d = x[..., None, :, :] - x[..., :, None, :]  # from i, the first axis, to j
    r = ((d**2).sum(-1) + 1.0 - off) ** 0.5
    near = mu * off / r  # G m_j / r_ij
    pull = near / r**2
    newton = (pull[..., None] * d).sum(-2)
    depth, speed2 = near.sum(-1), (v**2).sum(-1)
    vi, vj, aj = v[..., :, None, :], v[..., None, :, :], newton[..., None, :, :]
    factor = (
        speed2[..., :, None]
        + 2.0 * speed2[..., None, :]
        - 4.0 * (vi * vj).sum(-1)
        - 1.5 * ((d * vj).sum(-1) / r) ** 2
        + 0.5 * (d * aj).sum(-1)
        - 4.0 * depth[..., :, None]
        - depth[..., None, :]
    )
    along = -(d * (4.0 * vi - 3.0 * vj)).sum(-1)
    terms = (
        (pull * factor)[..., None] * d
        + (pull * along)[..., None] * (vi - vj)
        + 3.5 * near[..., None] * aj
    )
    return terms.sum(-2) / c**2


@dataclass(frozen=True)
class EinsteinInfeldHoffmann:
    """Velocities change under the first post-Newtonian terms of all masses while positions stand
    still.

    By the implicit midpoint rule, as in `PostNewtonian`. The Newtonian momentum is then conserved
    to (v / c)^2 only, as it should be.
    """

    constant: float
    speed_of_light: float
    potential: Potential | None = None

    def __call__(self, state: State, dt: float) -> State:
        system = state.system
        m, start = system.masses[:, None], system.velocities
        v = start
        for _ in range(SWEEPS):
            v = start + dt * self.acceleration(system, 0.5 * (start + v))
        return replace(state, system=replace(system, momenta=m * v), coordinates=None)

    def acceleration(self, system: System, velocities: Array) -> Array:
        """Acceleration of each body at these velocities."""
        return einstein_infeld_hoffmann(
            system.positions, velocities, self.constant * system.masses, self.speed_of_light
        )
