"""Adaptive steps for close encounters and pericentres: a step is halved as often as the quickest
pair of particles needs.

Whether a step is halved follows from the state at its beginning alone, so a resumed run is bitwise
reproducible. Steps that change with the state are neither symplectic nor reversible; the scheme
that is halved has to be good to round-off instead.
"""

from dataclasses import dataclass, replace

import numpy as np

from integrators.composition import Scheme
from integrators.state import State
from systems.system import Potential, System

COARSE = 2.0 * np.pi / 40  # radians that a pair may turn by in a whole step
FINE = (
    2.0 * np.pi / 150
    # and in a part of one, or in a whole one if its orbit is not round, or a passage that turns
    # velocities much
)
ROUND = 0.3  # eccentricity of an orbit that the scheme, taken in equal steps, is good for
MUCH, LITTLE = (
    1e-5,
    1e-9,
)  # mu / (r v^2), by which a passage turns velocities; below the second it needs no shorter steps
DEPTH = 24  # times that a step is halved, at most


def strain(
    system: System,
    constant: float,
    h: float,
    coarse: float = COARSE,
    fine: float = FINE,
    *,
    charged: bool = False,
) -> np.ndarray:
    """Angle by which each particle and the quickest of its partners turn in a time of ``h``, over
    the angle that is allowed, [..., n].

    They turn by sqrt(mu / r^3) h, or v h / r in a passage that turns velocities by more than
    ``LITTLE``; mu is G times the sum of their masses, or of charges |k q_i q_j| (1 / m_i + 1 /
    m_j), r the least distance within that time if both went straight on. They may turn by
    ``coarse``, but by ``fine`` where their orbit is less round than ``ROUND`` and turns velocities
    by more than ``MUCH``.
    """
    x, v, m = (np.asarray(a) for a in (system.positions, system.velocities, system.masses))
    d, w = x[..., :, None, :] - x[..., None, :, :], v[..., :, None, :] - v[..., None, :, :]
    w2, approach, span = (w**2).sum(-1), -np.sign(h) * (d * w).sum(-1), abs(h)
    mu = constant * (m[:, None] + m)
    if charged:
        q = np.asarray(system.charges)
        mu = abs(constant * q[..., :, None] * q[..., None, :]) * (1.0 / m[:, None] + 1.0 / m)
    with np.errstate(all="ignore"):
        when = np.clip(np.where(w2 > 0.0, approach / w2, 0.0), 0.0, span)
        r = np.linalg.norm(d + np.sign(h) * when[..., None] * w, axis=-1)
        passing = np.where(mu > LITTLE * r * w2, np.sqrt(w2) / r, 0.0)
        start = np.linalg.norm(d, axis=-1)
        e2 = (start * w2 / mu - 1.0) ** 2 + approach**2 * (2.0 / start - w2 / mu) / mu
        most = np.where((e2 > ROUND**2) & (mu > MUCH * r * w2), fine, coarse)
        turn = np.where(
            np.eye(len(m), dtype=bool), 0.0, span * np.maximum(np.sqrt(mu / r**3), passing) / most
        )
    largest: np.ndarray = turn.max(-1)
    return largest


@dataclass(frozen=True)
class Halved:
    """A scheme whose step is halved, and halved again, while a pair under gravity or Coulomb's law
    turns too far in it.

    A whole step is taken where no pair turns further than it may (`strain`); else it is cut into
    parts, each the largest of the halves of halves that begin there in which none turns by more
    than ``fine``. ``constant`` is G, or k where ``charged``. All particles take the same steps;
    where they are not compiled, all systems of an ensemble do. The state counts the steps cut.
    """

    scheme: Scheme
    constant: float
    coarse: float = COARSE
    fine: float = FINE
    depth: int = DEPTH
    charged: bool = False

    @property
    def potential(self) -> Potential | None:
        """The potential of the scheme."""
        return self.scheme.potential

    @property
    def limits(self) -> np.ndarray:
        """The parameters of the criterion for the compiled driver."""
        return np.array(
            [
                self.coarse,
                self.fine,
                self.constant,
                LITTLE,
                MUCH,
                ROUND,
                float(1 << self.depth),
                float(self.charged),
            ]
        )

    def __call__(self, state: State, dt: float) -> State:
        whole, at = 1 << self.depth, 0
        while at < whole:  # at grows by one at least
            part = at & -at if at else whole
            limit = self.coarse if part == whole else self.fine
            while part > 1 and self._strained(state, dt * (part / whole), limit):
                part, limit = part >> 1, self.fine
            if at == 0 and part < whole:
                state = replace(state, halvings=state.halvings + 1)
            state, at = self.scheme(state, dt * (part / whole)), at + part
        return state

    def _strained(self, state: State, h: float, coarse: float) -> bool:
        system = state.system
        if not isinstance(system.positions, np.ndarray):
            system = system.map(lambda array: array.detach().cpu().numpy())
        return bool(
            (strain(system, self.constant, h, coarse, self.fine, charged=self.charged) > 1.0).any()
        )
