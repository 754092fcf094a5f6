"""Relativity: the first post-Newtonian term of one heavy body, as a time-symmetric flow of its own."""

from dataclasses import dataclass, replace

from integrators.state import State
from systems.arrays import Array, mask
from systems.system import Potential

SWEEPS = 12  # of the implicit midpoint rule at most: each gains a factor of order dt a v / c^2, about 1e-10 for planets


def acceleration(offset: Array, velocity: Array, mu: float, c: float) -> Array:
    """The 1PN acceleration of a light body at ``offset`` [..., 3] from a mass with GM = mu, moving at ``velocity`` relative to it.

    mu / (c^2 r^3) [(4 mu / r - v^2) r + 4 (r . v) v], harmonic coordinates (Soffel and Langhans 2013, eq. 8.1; IERS 2010, eq. 10.12).
    """
    r2 = (offset**2).sum(-1)[..., None]
    r = r2**0.5
    along, speed2 = (offset * velocity).sum(-1)[..., None], (velocity**2).sum(-1)[..., None]
    return mu / (c**2 * r2 * r) * ((4.0 * mu / r - speed2) * offset + 4.0 * along * velocity)


@dataclass(frozen=True)
class PostNewtonian:
    """Velocities change under the 1PN term of body ``star`` while positions stand still; the star takes the opposite momentum.

    The implicit midpoint rule makes it symmetric in time: v' = v + dt a(x, (v + v') / 2). ``constant`` is G; lengths, times and the
    speed of light are in the system's units. ``heliocentric`` says that the system is in democratic heliocentric variables.
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
