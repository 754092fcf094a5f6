"""The solar system: the embedded J2000 table, any epoch from a JPL kernel, or a bodies file.

The embedded table is a bodies file as well (Sun, Mercury ... Pluto, Moon at J2000 from JPL DE440;
planets from Mars on are the barycentres of their systems): ``python -m systems.sources.ephemeris``
writes it anew.
"""

import csv
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np

from systems.orbits import Orbits, tightest_orbits
from systems.potentials.gravity import Gravity, Oblateness
from systems.system import System, check, coincident
from systems.units import ASTRONOMICAL, GM_SUN

#: Of a bodies file.
COLUMNS = (
    "name",
    "parent",
    "gm_km3_s2",
    "x_km",
    "y_km",
    "z_km",
    "vx_km_s",
    "vy_km_s",
    "vz_km_s",
    "j2",
    "radius_km",
    "pole_ra_deg",
    "pole_dec_deg",
)
J2000 = 2451545.0  #: Julian day (TDB)
_ROUND = 0.1  # eccentricity of an orbit that takes the same steps all the way round
TEST_MASS = 1e-40  #: of a body without GM, over the heaviest's


@dataclass(frozen=True, eq=False)
class Body:
    """One row of a bodies file: name, the body it orbits, GM, barycentric ICRF state, J2, radius
    and pole; km, s, degrees."""

    name: str
    parent: str
    gm: float
    position: tuple[float, float, float]
    velocity: tuple[float, float, float]
    j2: float = 0.0
    radius: float = 0.0
    pole: tuple[float, float] = (0.0, 90.0)


@dataclass(frozen=True, eq=False)
class SolarSystem:
    """Bodies in order, as a `System` (au, day, solar masses) and as the gravity between them;
    ``epoch`` is a TDB Julian day."""

    bodies: tuple[Body, ...]
    epoch: float = J2000

    def without(self, names: Sequence[str]) -> "SolarSystem":
        """The same without some bodies. Raises ValueError, naming the nearest, if there is none of
        a name."""
        for name in names:
            if name not in self.names:
                near = difflib.get_close_matches(name, self.names, 1, cutoff=0.0)[0]
                raise ValueError(f"there is no body {name!r}; did you mean {near}?")
        left = tuple(body for body in self.bodies if body.name not in names)
        if not any(body.gm for body in left):
            raise ValueError("nothing that has a mass is left when these bodies are left out")
        return replace(self, bodies=left)

    @cached_property
    def names(self) -> list[str]:
        """The bodies' names, in the system's order."""
        return [body.name for body in self.bodies]

    @cached_property
    def system(self) -> System:
        """Positions and momenta in au, day and solar masses; a body without GM has `TEST_MASS` of
        the heaviest's."""
        x = np.array([body.position for body in self.bodies]) * ASTRONOMICAL.convert(1.0, "km")
        v = np.array([body.velocity for body in self.bodies]) * ASTRONOMICAL.convert(1.0, "km/s")
        masses = np.array([body.gm for body in self.bodies]) / GM_SUN
        # a test particle has a mass that is lost in the rounding of anything it is added to, so
        # that momenta are momenta
        masses[masses == 0.0] = TEST_MASS * masses.max()
        return System.create(x, velocities=v, masses=masses, units=ASTRONOMICAL)

    def gravity(self, *, oblate: bool = True) -> Gravity:
        """Newtonian gravity of all pairs, with the J2 term of the bodies that have one unless
        ``oblate`` is false."""
        flattened = [k for k, body in enumerate(self.bodies) if body.j2 != 0.0]
        if not oblate or not flattened:
            return Gravity(ASTRONOMICAL.gravitation)
        j2, radii, angles = (
            np.array([getattr(self.bodies[k], name) for k in flattened])
            for name in ("j2", "radius", "pole")
        )
        ra, dec = np.radians(angles).T
        poles = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
        shape = Oblateness(np.array(flattened), j2, radii * ASTRONOMICAL.convert(1.0, "km"), poles)
        return Gravity(ASTRONOMICAL.gravitation, oblateness=shape)

    @cached_property
    def star(self) -> int:
        """Index of the most massive body."""
        return int(np.argmax([body.gm for body in self.bodies]))

    @cached_property
    def is_binary(self) -> bool:
        """Whether a second mass is more than a hundredth of the greatest, so that relativity is not
        of one body alone."""
        gm = sorted(body.gm for body in self.bodies)
        return len(gm) > 1 and gm[-2] > 0.01 * gm[-1]

    @cached_property
    def _tightest(self) -> Orbits:
        return tightest_orbits(self.system)

    @property
    def periods(self) -> np.ndarray:
        """Osculating period of each body's tightest orbit in days, [n], whatever its parent is said
        to be; infinite where it is unbound.

        Of two bodies that go around each other the lighter has the orbit.
        """
        return self._tightest.periods

    @property
    def centers(self) -> np.ndarray:
        """The body about which each has that orbit, [n]; -1 for none."""
        return self._tightest.centers

    def default_time_step(self) -> float:
        """The shortest orbital period over 50, of orbits with e > .1 over 150; at most half a day.

        Pericentres and encounters may need less, for a while (`integrators.encounters`).
        """
        parts = np.where(self._tightest.eccentricities > _ROUND, 150.0, 50.0)
        return min(0.5, float((self.periods / parts).min()))

    def longest_safe_step(self) -> tuple[float, str]:
        """A twentieth of the shortest orbital period, in days, and the body that has it."""
        k = int(np.argmin(self.periods))
        return float(self.periods[k]) / 20, self.names[k]


def read_bodies(path: str | Path, epoch: float = J2000) -> SolarSystem:
    """Bodies from a CSV file with the header ``COLUMNS`` (km, km/s, km3/s2, degrees; barycentric
    ICRF).

    j2, radius_km and the pole may be empty. Raises ValueError, naming file and line, for a missing
    column, a value that is no finite number, a GM below zero, a file of test particles alone (GM
    0), a name given twice, a parent that is not in the file, or two bodies at one place.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
            if missing:
                what = (
                    f"has no column {', '.join(missing)}"
                    if len(missing) < 4
                    else "is no bodies file"
                )
                raise ValueError(f"{path} {what}; a bodies file begins with {','.join(COLUMNS)}")
            bodies = tuple(_body(row, f"{path} line {reader.line_num}") for row in reader)
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(
            f"{path} is not a text file; a bodies file is CSV and begins with {','.join(COLUMNS)}"
        ) from None
    if not bodies:
        raise ValueError(f"{path} holds no bodies")
    names = [body.name for body in bodies]
    if not any(body.gm for body in bodies):
        raise ValueError(
            f"{path} holds test particles alone; some body must have a gm_km3_s2 above 0"
        )
    for body in bodies:
        if names.count(body.name) > 1:
            raise ValueError(f"{path} has the body {body.name} twice")
        if body.parent and body.parent not in names:
            near = difflib.get_close_matches(body.parent, names, 1)
            raise ValueError(
                f"{path}: {body.name} orbits {body.parent}, which is not in the"
                f" file{f'; did you mean {near[0]}?' if near else ''}"
            )
    solar = SolarSystem(bodies, epoch)
    pair = coincident(check(solar.system).positions)
    if pair is not None:
        raise ValueError(f"{path}: {names[pair[1]]} and {names[pair[2]]} are at the same place")
    return solar


def _body(row: dict[str, str], where: str) -> Body:
    def number(column: str, default: float | None = None) -> float:
        text = (row[column] or "").strip()
        if not text and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{where}: {column} is {text!r}, not a finite number")
        return value

    name = (row["name"] or "").strip()
    if not name or not name.isprintable():
        raise ValueError(f"{where}: a body has no name, or one that cannot be printed ({name!r})")
    gm = number("gm_km3_s2")
    if gm < 0:
        raise ValueError(
            f"{where}: gm_km3_s2 of {name} is {gm}; it must be positive, or 0 for a test particle"
        )
    if gm != 0 and not 1e-30 < gm < 1e30:
        raise ValueError(
            f"{where}: gm_km3_s2 of {name} is {gm}, which no body has; it must be between 1e-30 and"
            " 1e30, or 0"
        )
    if number("j2", 0.0) != 0.0 and number("radius_km", 0.0) <= 0:
        raise ValueError(f"{where}: {name} has j2 but no radius_km")
    return Body(
        name=name,
        parent=(row["parent"] or "").strip(),
        gm=gm,
        position=(number("x_km"), number("y_km"), number("z_km")),
        velocity=(number("vx_km_s"), number("vy_km_s"), number("vz_km_s")),
        j2=number("j2", 0.0),
        radius=number("radius_km", 0.0),
        pole=(number("pole_ra_deg", 0.0), number("pole_dec_deg", 90.0)),
    )


def j2000() -> SolarSystem:
    """Sun, Mercury ... Pluto and Moon at J2000 from the table in the package."""
    return read_bodies(Path(str(files("systems") / "data" / "j2000.csv")))
