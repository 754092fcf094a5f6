"""Osculating orbits of bodies about each other."""

import math
from typing import NamedTuple

import numpy as np

from systems.system import System


class Orbits(NamedTuple):
    """Osculating orbit of each body: period, the body it is about, eccentricity, [n]; infinite, -1
    and 0 if it is not bound."""

    periods: np.ndarray
    centers: np.ndarray
    eccentricities: np.ndarray


def tightest_orbits(system: System) -> Orbits:
    """Each body's orbit of the shortest period, about a body that is not lighter."""
    x, v, m = system.positions, system.velocities, system.masses
    order = np.argsort(-m, kind="stable")  # of two equal ones the first is the heavier
    orbits = Orbits(np.full(len(m), math.inf), np.full(len(m), -1), np.zeros(len(m)))
    for rank, k in enumerate(order):
        heavier = order[:rank]
        mu = system.units.gravitation * (m[k] + m[heavier])
        d, w = x[k] - x[heavier], v[k] - v[heavier]
        r = np.linalg.norm(d, axis=1)
        # a parabola never returns, and at one place there is no orbit
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse_axis = 2.0 / r - (w**2).sum(1) / mu
            found = 2 * math.pi / np.sqrt(mu * abs(inverse_axis) ** 3)
        found = np.where((inverse_axis > 0) & (r > 0) & (mu > 0), found, math.inf)
        if np.isfinite(found).any():
            j = int(found.argmin())
            e = np.cross(w[j], np.cross(d[j], w[j])) / mu[j] - d[j] / r[j]
            orbits.periods[k], orbits.centers[k], orbits.eccentricities[k] = (
                found[j],
                heavier[j],
                np.linalg.norm(e),
            )
    return orbits
