"""Wisdom-Holman's pieces: democratic heliocentric variables, the Kepler flow about a star, and the
jump.

In these variables (Duncan, Levison and Lee 1998) the Hamiltonian is a sum of Kepler problems, of
the kinetic energy of the star's recoil (sum p)^2 / 2 m_star, and of the planets' pair potential;
each has an exact flow.
"""

from dataclasses import dataclass, replace

import numpy as np

from integrators.state import Coordinates, Flow, State
from systems.arrays import Array, mask, namespace
from systems.system import Potential, System

HALVINGS = 520  # of an argument's exponent, four at a time: beyond the largest number
DOUBLINGS = 2200  # of a bracket: from the smallest number to beyond the largest


@dataclass(frozen=True)
class DemocraticHeliocentric:
    """A change of variables: row ``star`` holds centre of mass and total momentum, every other row
    the position relative to the star and the momentum relative to the centre of mass."""

    star: int

    def _rows(self, system: System) -> tuple[Array, Array]:
        """Column [n, 1] that is one in the star's row, and the masses over their sum [n, 1]."""
        if not 0 <= self.star < system.n_particles:
            raise ValueError(
                f"there is no body {self.star} among {system.n_particles} to be the star"
            )
        own = mask(np.arange(system.n_particles) == self.star, system.positions)[:, None]
        return own, (system.masses / system.masses.sum())[:, None]

    def forward(self, system: System) -> System:
        """Inertial to democratic heliocentric."""
        own, share = self._rows(system)
        x, p = system.positions, system.momenta
        center, total = (share * x).sum(-2)[..., None, :], p.sum(-2)[..., None, :]
        positions = own * center + (1.0 - own) * (x - (own * x).sum(-2)[..., None, :])
        momenta = own * total + (1.0 - own) * (p - share * total)
        return replace(system, positions=positions, momenta=momenta)

    def inverse(self, system: System) -> System:
        """Democratic heliocentric to inertial."""
        own, share = self._rows(system)
        q, p = system.positions * (1.0 - own), system.momenta * (1.0 - own)
        center, total = (
            (own * system.positions).sum(-2)[..., None, :],
            (own * system.momenta).sum(-2)[..., None, :],
        )
        star = center - (share * q).sum(-2)[..., None, :]
        momenta = p + share * total - own * p.sum(-2)[..., None, :]
        return replace(system, positions=q + star, momenta=momenta)


@dataclass(frozen=True)
class InCoordinates:
    """A flow that works in other variables than inertial ones.

    The variables stay in ``State.coordinates`` from step to step and are made from the inertial
    ones at the start only, so that no conversion's round-off ever feeds back.
    """

    chart: DemocraticHeliocentric
    flow: Flow
    potential: Potential

    def __call__(self, state: State, dt: float) -> State:
        after = self.flow(replace(state, system=self.inside(state), coordinates=None), dt)
        inertial = self.chart.inverse(after.system)
        return replace(
            after, system=inertial, coordinates=Coordinates(self.chart, after.system, inertial)
        )

    def inside(self, state: State) -> System:
        """The state's system in this flow's variables: those it carries already, where they are the
        same and still its own."""
        carried = state.coordinates
        if carried is not None and carried.chart == self.chart and carried.inertial is state.system:
            return carried.system
        return self.chart.forward(state.system)


@dataclass(frozen=True)
class Jump:
    """The recoil of the star: every other body moves by dt times the sum of their momenta over the
    star's mass."""

    star: int
    potential: Potential | None = None

    def __call__(self, state: State, dt: float) -> State:
        system = state.system
        others = mask(np.arange(system.n_particles) != self.star, system.positions)[:, None]
        recoil = (system.momenta * others).sum(-2)[..., None, :] / system.masses[self.star]
        return replace(
            state,
            system=replace(system, positions=system.positions + dt * others * recoil),
            evaluation=None,
            coordinates=None,
        )


@dataclass(frozen=True)
class KeplerDrift:
    """Every body but the star moves on its conic about it, GM = constant * m_star; the centre of
    mass moves straight on."""

    star: int
    constant: float
    potential: Potential | None = None

    def __call__(self, state: State, dt: float) -> State:
        system = state.system
        x, p, m = system.positions, system.momenta, system.masses
        own = mask(np.arange(system.n_particles) == self.star, x)[:, None]
        # the star's row is given a harmless circular orbit, whose outcome is masked
        q, v = x * (1.0 - own) + own, p / m[:, None] * (1.0 - own)
        f, g, df, dg = kepler_coefficients(q, v, self.constant * m[self.star], dt)
        positions = x + (1.0 - own) * (f * q + g * v) + own * dt * p / m.sum()
        momenta = p + (1.0 - own) * (m[:, None] * df * q + dg * p)
        return replace(
            state,
            system=replace(system, positions=positions, momenta=momenta),
            evaluation=None,
            coordinates=None,
        )


def stumpff(z: Array) -> tuple[Array, Array, Array, Array]:
    """Stumpff functions c0 ... c3 of z, NaN where it is not finite; c_k(z) = sum_j (-z)^j / (k + 2
    j)!."""
    xp = namespace(z)
    finite, halvings = abs(z) < np.inf, 0
    z = xp.where(finite, z, xp.zeros_like(z))
    for _ in range(HALVINGS):
        if not abs(z).max() > 0.5:
            break
        z, halvings = z / 4.0, halvings + 1
    c2, c3 = 0.0 * z, 0.0 * z
    for j in range(9, -1, -1):
        c2 = (1.0 - z * c2) / ((2 * j + 1) * (2 * j + 2)) if j else 0.5 * (1.0 - z * c2)
        c3 = (1.0 - z * c3) / ((2 * j + 2) * (2 * j + 3))
    c0, c1 = 1.0 - z * c2, 1.0 - z * c3
    for _ in range(halvings):
        c0, c1, c2, c3 = 2.0 * c0 * c0 - 1.0, c0 * c1, 0.5 * c1 * c1, 0.25 * (c2 + c0 * c3)
    c0, c1, c2, c3 = (xp.where(finite, c, xp.full_like(c, np.nan)) for c in (c0, c1, c2, c3))
    return c0, c1, c2, c3


@dataclass(frozen=True, eq=False)
class _KeplerEquation:
    """r0 X + eta G2 + zeta G3 = t in the universal variable X, [..., 1] each (Stumpff; Rein and
    Tamayo 2015, section 2.3); t is at most half a period."""

    r0: Array
    eta: Array
    zeta: Array
    beta: Array
    t: Array

    @classmethod
    def of(cls, q: Array, v: Array, mu: Array, dt: float) -> "_KeplerEquation":
        """Of bodies at q with velocities v, after a time dt."""
        xp = namespace(q)
        r0 = (q**2).sum(-1)[..., None] ** 0.5
        eta, speed2 = (q * v).sum(-1)[..., None], (v**2).sum(-1)[..., None]
        beta = 2.0 * mu / r0 - speed2
        bound = beta > 0
        unit = xp.where(bound, abs(beta), xp.ones_like(beta))
        period = 2.0 * np.pi * mu * unit**-1.5
        t = xp.where(bound, dt - period * xp.round(dt / period), dt * xp.ones_like(beta))
        return cls(r0, eta, mu - beta * r0, beta, t)

    def forward(self) -> tuple["_KeplerEquation", Array]:
        """The same for a time that is not negative, whose root is of the other sign where it was;
        and that sign."""
        xp = namespace(self.t)
        sign = xp.where(self.t < 0, -xp.ones_like(self.t), xp.ones_like(self.t))
        return replace(self, eta=sign * self.eta, t=abs(self.t)), sign

    def at(self, X: Array) -> tuple[Array, Array]:
        """The left side, which grows with X, and its slope, the distance r."""
        _, c1, c2, c3 = stumpff(self.beta * X**2)
        slope = self.r0 + X * (self.eta * c1 + X * self.zeta * c2)
        return X * (self.r0 + X * (self.eta * c2 + X * self.zeta * c3)), slope

    def bracket(self) -> tuple[Array, Array]:
        """Below and above the root for a time that is not negative."""
        xp, bound = namespace(self.t), self.beta > 0
        unit = xp.where(bound, abs(self.beta), xp.ones_like(self.beta))
        # t is at most half a period, so a bound body's anomaly changes by less than a turn
        low, high = 0.0 * self.t, xp.where(bound, 2.0 * np.pi * unit**-0.5, self.t / self.r0)
        for _ in range(DOUBLINGS):
            if not bool((short := (self.at(high)[0] < self.t) & (high != 0.0)).any()):
                break
            low, high = xp.where(short, high, low), xp.where(short, 2.0 * high, high)
        return low, high

    def root(self) -> Array:
        """X for a time that is not negative, by Newton's steps that never leave a shrinking
        bracket."""
        xp, t = namespace(self.t), self.t
        low, high = self.bracket()
        X = xp.where(t / self.r0 < high, t / self.r0, 0.5 * (low + high))
        # so short a time, or so far away, that the anomaly's change underflows: nothing moves
        last, done = high - low, (t == 0) | (high == 0.0)
        for _ in range(200):
            value, slope = self.at(X)
            below = value <= t  # what has overflown is above
            low, high = xp.where(below, X, low), xp.where(below, high, X)
            new = X - (value - t) / slope
            # far out on a hyperbola Newton's steps are all of length one, and halving is quicker
            newton = (low <= new) & (new <= high) & (abs(new - X) <= 0.5 * last)
            new = xp.where(done, X, xp.where(newton, new, 0.5 * (low + high)))
            X, last = new, abs(new - X)
            # Newton's steps converge quadratically: the one after a small step would be lost in
            # round-off
            done = done | (last <= xp.where(newton, 1e-11, 4e-16) * abs(new))
            if bool(done.all()):
                break
        return X


# far brackets of hyperbolas overflow, and are found to be too far
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def kepler_coefficients(
    q: Array, v: Array, mu: Array, dt: float
) -> tuple[Array, Array, Array, Array]:
    """f - 1, g, f', g' - 1 [..., 1] of x(t + dt) = f q + g v, x'(t + dt) = f' q + g' v for conics
    of any kind."""
    equation = _KeplerEquation.of(q, v, mu, dt)
    r0, t = equation.r0, equation.t
    forward, sign = equation.forward()
    X = forward.root()
    X = namespace(q).where(t == 0, 0.0 * X, sign * X)
    _, c1, c2, c3 = stumpff(equation.beta * X**2)
    g1, g2, g3 = X * c1, X**2 * c2, X**3 * c3
    r = r0 + equation.eta * g1 + equation.zeta * g2
    return -mu * g2 / r0, t - mu * g3, -mu * g1 / (r0 * r), -mu * g2 / r
