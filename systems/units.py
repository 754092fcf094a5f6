"""Units: the three systems of units a `System` may be in, and the only place where numbers are
converted between units."""

import math
from dataclasses import dataclass, fields
from typing import Any

# 1 u, 1 e in SI as ASE has them (CODATA 2014), so that energies and times agree with ASE to the
# last digit.
_ATOMIC_MASS = 1.660539040e-27
_ELECTRON_VOLT = 1.6021766208e-19
_ASTRONOMICAL_UNIT = 1.495978707e11  # m, exact (IAU 2012 B2)
_DAY = 86400.0
GM_SUN = 132712440041.279419  #: km3/s2, DE440: the GM of one solar mass here

#: Sizes of units in SI, by dimension.
SIZES = {
    "time": {
        "fs": 1e-15,
        "ps": 1e-12,
        "ns": 1e-9,
        "us": 1e-6,
        "ms": 1e-3,
        "s": 1.0,
        "second": 1.0,
        "min": 60.0,
        "minute": 60.0,
        "h": 3600.0,
        "hour": 3600.0,
        "d": _DAY,
        "day": _DAY,
        "yr": 365.25 * _DAY,
        "year": 365.25 * _DAY,
        "century": 36525 * _DAY,
    },
    "length": {"Angstrom": 1e-10, "nm": 1e-9, "m": 1.0, "km": 1e3, "au": _ASTRONOMICAL_UNIT},
}
PASCALS = _ELECTRON_VOLT / 1e-30  #: in one eV/Angstrom^3


@dataclass(frozen=True)
class Units:
    """A system of units: names for people, sizes in SI (None for reduced units), and constants in
    its own units.

    ``gravitation`` is Newton's constant G, ``coulomb`` the energy of two unit charges at unit
    distance, ``boltzmann`` the energy of one kelvin (one unit of temperature in reduced units).
    """

    name: str
    length: str
    time: str
    mass: str
    energy: str
    meters: float | None = None
    seconds: float | None = None
    gravitation: float = 1.0
    coulomb: float = 1.0
    boltzmann: float = 1.0
    speed_of_light: float = math.inf

    def __reduce__(self) -> tuple[Any, ...]:
        # units are told apart by identity, so that a pickle of ours has to be ours again
        if BY_NAME.get(self.name) is self:
            return _by_name, (self.name,)
        return type(self), tuple(getattr(self, one.name) for one in fields(self))

    def convert(self, value: float, unit: str) -> float:
        """``value`` given in ``unit`` ("km", "day", "km/s", ...) as a number in these units. Raises
        ValueError if the unit is unknown."""
        numerator, _, denominator = unit.partition("/")
        factor = self._size(numerator)
        return value * (factor / self._size(denominator) if denominator else factor)

    def _size(self, unit: str) -> float:
        for dimension, own in (("time", self.seconds), ("length", self.meters)):
            if unit in SIZES[dimension]:
                if own is None:
                    raise ValueError(f"{self.name} units have no {unit}: give a bare number")
                return SIZES[dimension][unit] / own
        raise ValueError(f"unknown unit {unit!r}")


#: No units at all: G, the Coulomb constant and kB are one.
REDUCED = Units("reduced", length="", time="", mass="", energy="")
#: Those of ASE: Angstrom, eV, u, charges of the proton, kelvin.
METAL = Units(
    "metal",
    length="Angstrom",
    time="Angstrom sqrt(u/eV)",
    mass="u",
    energy="eV",
    meters=1e-10,
    seconds=1e-10 * math.sqrt(_ATOMIC_MASS / _ELECTRON_VOLT),
    coulomb=14.399645351950543,
    boltzmann=8.617330337217213e-05,
    speed_of_light=299792458.0 * math.sqrt(_ATOMIC_MASS / _ELECTRON_VOLT),
)
#: au, days and solar masses. The solar mass is the mass whose GM is DE440's, so a body's mass is
#: its GM over the Sun's and nothing depends on G.
ASTRONOMICAL = Units(
    "astronomical",
    length="au",
    time="day",
    mass="solar mass",
    energy="solar mass au2/day2",
    meters=_ASTRONOMICAL_UNIT,
    seconds=_DAY,
    gravitation=GM_SUN * 1e9 * _DAY**2 / _ASTRONOMICAL_UNIT**3,
    speed_of_light=299792458.0 * _DAY / _ASTRONOMICAL_UNIT,
)
BY_NAME = {units.name: units for units in (REDUCED, METAL, ASTRONOMICAL)}


def _by_name(name: str) -> Units:
    return BY_NAME[name]
