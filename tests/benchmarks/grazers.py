"""Random comets that graze the Sun and bodies that pass planets, and where REBOUND's IAS15 has
them: for a test and a benchmark."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rebound

from integrators.kepler import kepler_coefficients
from systems.sources.solar import COLUMNS, Body, SolarSystem, j2000
from systems.units import ASTRONOMICAL

G, KM, KM_S = (
    ASTRONOMICAL.gravitation,
    ASTRONOMICAL.convert(1.0, "km"),
    ASTRONOMICAL.convert(1.0, "km/s"),
)
YEAR = 365.25
_PLANETS = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune", "Moon")


class Visitor(NamedTuple):
    """A test particle's start (au, au a day), and what it does."""

    position: np.ndarray
    velocity: np.ndarray
    what: str


def simulation(system: Any, *more: tuple[np.ndarray, np.ndarray], backwards: bool = False) -> Any:
    """IAS15 of a system and massless bodies."""
    sim, sign = rebound.Simulation(), -1.0 if backwards else 1.0
    sim.G, sim.integrator = G, "ias15"
    rows = [
        *zip(system.masses, system.positions, system.velocities, strict=True),
        *((0.0, x, v) for x, v in more),
    ]
    for m, x, v in rows:
        sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=sign * v[0], vy=sign * v[1], vz=sign * v[2])
    return sim


def _directions(stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two perpendicular unit vectors."""
    a, b = stream.normal(size=3), stream.normal(size=3)
    a /= np.linalg.norm(a)
    b = np.cross(a, b)
    return a, b / np.linalg.norm(b)


def comet(stream: np.random.Generator) -> Visitor:
    """Pericentre .01 to 1 au, eccentricity .8 to 1.1, passed 20 to 340 days after the start."""
    system, q, e = j2000().system, 10.0 ** stream.uniform(-2, 0), stream.uniform(0.8, 1.1)
    a, b = _directions(stream)
    x, v = q * a, np.sqrt(G * system.masses[0] * (1.0 + e) / q) * b
    f, g, df, dg = (
        c[0] for c in kepler_coefficients(x, v, G * system.masses[0], -stream.uniform(20.0, 340.0))
    )
    return Visitor(
        system.positions[0] + x + f * x + g * v,
        system.velocities[0] + v + df * x + dg * v,
        f"comet, q {q:.3f} au, e {e:.2f}",
    )


def flyby(stream: np.random.Generator) -> Visitor:
    """A passage of a planet or the Moon at 10,000 to 1,000,000 km, 3 to 30 km/s, 20 to 340 days
    after the start."""
    solar, name, day = j2000(), str(stream.choice(_PLANETS)), stream.uniform(20.0, 340.0)
    b, speed = 10.0 ** stream.uniform(4, 6) * KM, stream.uniform(3.0, 30.0) * KM_S
    sim, k = simulation(solar.system), solar.names.index(name)
    sim.integrate(day)
    toward, along = _directions(stream)
    x = sim.particles[k].xyz + b * toward
    v = sim.particles[k].vxyz + np.sqrt(speed**2 + 2.0 * G * solar.system.masses[k] / b) * along
    for body in sim.particles:
        body.vxyz = [-c for c in body.vxyz]
    sim.add(m=0.0, x=x[0], y=x[1], z=x[2], vx=-v[0], vy=-v[1], vz=-v[2])
    sim.t = 0.0
    sim.integrate(day)
    last = sim.particles[solar.system.n_particles]
    return Visitor(
        np.array(last.xyz),
        -np.array(last.vxyz),
        f"past {name} at {b / KM:,.0f} km, {speed / KM_S:.0f} km/s",
    )


def visitors(n: int, seed: int) -> list[Visitor]:
    """Comets and flybys in turn."""
    stream = np.random.default_rng(seed)
    return [(comet, flyby)[k % 2](stream) for k in range(n)]


def with_visitor(visitor: Visitor) -> SolarSystem:
    """Sun, planets, Moon and the visitor, a test particle."""
    x, v = visitor.position / KM, visitor.velocity / KM_S
    body = Body("Visitor", "", 0.0, (x[0], x[1], x[2]), (v[0], v[1], v[2]))
    return SolarSystem((*j2000().bodies, body))


def converged(solar: SolarSystem, days: float = YEAR) -> tuple[np.ndarray, float]:
    """Positions by IAS15, and how far (km) the last body is from where it is at ten times its
    tolerance.

    At its usual tolerance, 1e-9, IAS15 passes over some swift flybys and is hundreds of kilometres
    off.
    """
    ends = []
    for epsilon in (1e-11, 1e-10):
        sim = simulation(solar.system)
        sim.integrator.epsilon = epsilon
        sim.integrate(days)
        ends.append(np.array([body.xyz for body in sim.particles]))
    return ends[0], float(np.linalg.norm(ends[1][-1] - ends[0][-1])) / KM


def write(solar: SolarSystem, path: Path) -> Path:
    """A bodies file of every digit."""
    rows = [
        [
            b.name,
            b.parent,
            *(repr(float(c)) for c in (b.gm, *b.position, *b.velocity)),
            "",
            "",
            "",
            "",
        ]
        for b in solar.bodies
    ]
    path.write_text("\n".join(",".join(row) for row in ([*COLUMNS], *rows)) + "\n")
    return path
