"""Orbits of bodies about a heavy one: osculating elements (Murray and Dermott, Solar System
Dynamics, 2.8)."""

from collections.abc import Mapping, Sequence

import numpy as np

from systems.orbits import tightest_orbits
from systems.units import ASTRONOMICAL
from trajectories.analysis.blocks import blocks
from trajectories.analysis.results import Axis, Curves
from trajectories.storage.h5md import H5MDReader

_OBLIQUITY = np.radians(
    84381.448 / 3600
)  # of the ecliptic at J2000 (IAU 1976); runs are in the equatorial ICRF


def to_ecliptic(vectors: np.ndarray) -> np.ndarray:
    """Equatorial vectors [..., 3] in the ecliptic of J2000."""
    c, s = np.cos(_OBLIQUITY), np.sin(_OBLIQUITY)
    return vectors @ np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]]).T


def elements(
    position: np.ndarray, velocity: np.ndarray, parameter: np.ndarray | float
) -> dict[str, np.ndarray]:
    """Osculating elements of relative positions and velocities [..., 3] with G (M + m) =
    ``parameter`` [...]: each [...].

    ``a`` (negative on a hyperbola), ``e``, and in degrees ``inclination`` to the xy plane, ``node``
    and ``pericenter`` (the argument). Node and pericenter are those of round-off where the orbit
    lies in the plane or is a circle.
    """
    r = np.linalg.norm(position, axis=-1)
    h = np.cross(position, velocity)
    energy = 0.5 * (velocity**2).sum(-1) - parameter / r
    eccentricity = (
        np.cross(velocity, h) / np.asarray(parameter)[..., None] - position / r[..., None]
    )
    node = np.stack([-h[..., 1], h[..., 0], np.zeros_like(r)], -1)
    node = node / np.maximum(np.linalg.norm(node, axis=-1, keepdims=True), 1e-300)
    beside = np.cross(h / np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-300), node)
    return {
        "a": -0.5 * parameter / energy,
        "e": np.linalg.norm(eccentricity, axis=-1),
        "inclination": np.degrees(np.arctan2(np.hypot(h[..., 0], h[..., 1]), h[..., 2])),
        "node": np.degrees(np.arctan2(h[..., 0], -h[..., 1])) % 360.0,
        "pericenter": (
            np.degrees(np.arctan2((eccentricity * beside).sum(-1), (eccentricity * node).sum(-1)))
            % 360.0
        ),
    }


def orbits(
    run: H5MDReader, centers: Sequence[int], bodies: Sequence[int], most: int = 20_000
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Times [frames], and elements of bodies about their centers in the ecliptic, [frames, bodies]
    each, of at most so many frames."""
    stride = max(1, -(-len(run) // most))
    center, body = np.asarray(centers), np.asarray(bodies)
    parameter = run.units.gravitation * (run.masses[center] + run.masses[body])
    parts: list[dict[str, np.ndarray]] = []
    for (where, x), (_, v) in zip(blocks(run, "position"), blocks(run, "velocity"), strict=True):
        kept = slice((-where.start) % stride, None, stride)
        x, v = x[kept, 0], v[kept, 0]
        parts.append(
            elements(
                to_ecliptic(x[:, body] - x[:, center]),
                to_ecliptic(v[:, body] - v[:, center]),
                parameter,
            )
        )
    return run.times[::stride], {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }


def orbit_curves(run: H5MDReader, parents: Mapping[str, str]) -> list[Curves]:
    """Change of the semi-major axis, eccentricity and inclination to the ecliptic of J2000 of every
    body, about its parent.

    If no parent is known it is about the body that binds it most tightly at the start, and if none
    does about the heaviest.
    """
    heaviest = int(run.masses.argmax())
    index = {name: k for k, name in enumerate(run.names)}
    bodies = [k for k in range(run.n_particles) if k != heaviest]
    tightest = np.where((bound := tightest_orbits(run[0].system).centers) >= 0, bound, heaviest)
    centers = [
        index.get(parents.get(run.names[k], ""), tightest[k]) if run.names else tightest[k]
        for k in bodies
    ]
    times, found = orbits(run, centers, bodies)
    names = [run.names[k] if run.names else str(k) for k in bodies]
    astronomical = run.units is ASTRONOMICAL
    axis, x = (
        (Axis("time", "years"), times / 365.25)
        if astronomical
        else (Axis("time", run.units.time), times)
    )
    a = found["a"]
    wander = abs(a / a[0] - 1.0).max(0)
    unbound = [name for name, e in zip(names, found["e"].T, strict=True) if (e >= 1.0).any()]
    said = f"The largest change is {wander.max():.2g} of its axis, {names[int(wander.argmax())]}'s."
    if unbound:
        said += f" Not bound at some time: {', '.join(unbound)}."
    shown = (
        ("axes", "Semi-major axes, relative change", "a / a(0) - 1", "", a / a[0] - 1.0, said),
        ("eccentricities", "Eccentricities", "e", "", found["e"], _ranges(names, found["e"], "")),
        (
            "inclinations",
            "Inclinations to the ecliptic of J2000",
            "inclination to the ecliptic of J2000",
            "degrees",
            found["inclination"],
            _ranges(names, found["inclination"], " degrees"),
        ),
    )
    return [
        Curves(
            key, title, axis, x, Axis(label, unit), dict(zip(names, values.T, strict=True)), text
        )
        for key, title, label, unit, values, text in shown
    ]


def _ranges(names: Sequence[str], values: np.ndarray, unit: str) -> str:
    k = int(np.ptp(values, axis=0).argmax())
    return (
        f"{names[k]}'s changes most, between {values[:, k].min():.4g} and"
        f" {values[:, k].max():.4g}{unit}."
    )
