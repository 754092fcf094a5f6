"""Units: the three systems of units a `System` may be in, and the only place where quantities are
converted."""

import math
import re
from dataclasses import dataclass, fields
from typing import Any

# 1 u, 1 e in SI as ASE has them (CODATA 2014), so that energies and times agree with ASE to the
# last digit.
_ATOMIC_MASS = 1.660539040e-27
_ELECTRON_VOLT = 1.6021766208e-19
_ASTRONOMICAL_UNIT = 1.495978707e11  # m, exact (IAU 2012 B2)
_DAY = 86400.0
GM_SUN = 132712440041.279419  #: km3/s2, DE440: the GM of one solar mass here

_SI = {
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
_PASCALS = {"bar": 1e5, "kbar": 1e8, "Pa": 1.0, "kPa": 1e3, "MPa": 1e6, "GPa": 1e9, "atm": 101325.0}
PASCALS = _ELECTRON_VOLT / 1e-30  #: in one eV/Angstrom^3
_PLURALS = {
    "seconds": "s",
    "minutes": "min",
    "hours": "h",
    "days": "day",
    "years": "year",
    "centuries": "century",
}


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
        """``value`` given in ``unit`` ("km", "day", "km/s", ...) as a number in these units;
        ValueError if unknown."""
        numerator, _, denominator = unit.partition("/")
        factor = self._size(numerator)
        return value * (factor / self._size(denominator) if denominator else factor)

    def _size(self, unit: str) -> float:
        for dimension, own in (("time", self.seconds), ("length", self.meters)):
            if unit in _SI[dimension]:
                if own is None:
                    raise ValueError(f"{self.name} units have no {unit}: give a bare number")
                return _SI[dimension][unit] / own
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


_QUANTITY = re.compile(
    r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?nan|[+-]?inf)\s*((?:(?:1?/)?[A-Za-z]+(?:\^?-1|/[A-Za-z]+)?)?)\s*",
    re.IGNORECASE,
)


def duration(text: str, units: Units, what: str) -> float:
    """A positive time such as "0.5 day" in ``units``; ``what`` names it in messages.

    A bare number is taken in reduced units only. Raises ValueError, in one sentence, for anything
    else.
    """
    example = (
        "0.001" if units.seconds is None else f'"0.5 {"day" if units is ASTRONOMICAL else "fs"}"'
    )
    value, unit = _number(text, what, example)
    unit = _PLURALS.get(unit, unit)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(
            f"{what} must be positive and finite, not {text!r}; write {what} {example}"
        )
    if not unit:
        if units.seconds is not None:
            raise ValueError(f"{what} {text!r} has no unit; write {what} {example}")
        return value
    if unit not in _SI["time"]:
        known = ", ".join(_SI["time"])
        raise ValueError(f"{what} {text!r}: {unit!r} is not a unit of time; known are {known}")
    if units.seconds is None:
        raise ValueError(
            f"{what} {text!r}: this system is in reduced units, which take a bare number; write"
            f" {what} {example}"
        )
    converted = units.convert(value, unit)
    if not 0 < converted < math.inf:
        raise ValueError(
            f"{what} {text!r} is too {'short' if converted == 0 else 'long'} to be held in"
            f" {units.time}s; write {what} {example}"
        )
    return converted


def temperature(text: str, what: str) -> float:
    """Kelvin of a quantity such as "300 K"; ValueError, in one sentence, without a unit, below
    zero, or for anything else."""
    return _sized(text, what, '"300 K"', "temperature", {"K": 1.0, "mK": 1e-3, "kelvin": 1.0})


def pressure(text: str, what: str) -> float:
    """eV/Angstrom^3 of a quantity such as "1 bar"; ValueError, in one sentence, without a unit,
    below zero, or for anything else."""
    return _sized(
        text,
        what,
        '"1 bar"',
        "pressure",
        {unit: pascals / PASCALS for unit, pascals in _PASCALS.items()},
    )


def force(text: str, what: str) -> float:
    """eV/Angstrom of a quantity such as "0.2 eV/A"; ValueError, in one sentence, without a unit,
    below zero, or for anything else."""
    sizes = {
        f"{energy}/{length}": size
        for energy, size in (("eV", 1.0), ("meV", 1e-3))
        for length in ("A", "Angstrom")
    }
    return _sized(text, what, '"0.2 eV/A"', "force", sizes)


def energy(text: str, what: str) -> float:
    """eV of a quantity such as "10 eV"; ValueError, in one sentence, without a unit, below zero, or
    for anything else."""
    return _sized(text, what, '"10 eV"', "energy", {"eV": 1.0, "meV": 1e-3})


def distance(text: str, units: Units, what: str) -> float:
    """A length such as "0.3 A" in ``units``, a bare number in reduced ones; ValueError, in one
    sentence, for anything else."""
    if units.meters is None:
        return plain(text, what, "0.01")
    sizes = {unit: size / units.meters for unit, size in {**_SI["length"], "A": 1e-10}.items()}
    return _sized(text, what, '"1000 km"' if units is ASTRONOMICAL else '"0.3 A"', "length", sizes)


def plain(text: str, what: str, example: str) -> float:
    """A bare number that is not negative; ValueError, in one sentence, for anything else."""
    value, unit = _number(text, what, example)
    if unit or not 0 <= value < math.inf:
        raise ValueError(
            f"{what} is a bare number that is not below zero here, not {text!r}; write {what}"
            f" {example}"
        )
    return value


def rate(text: str, units: Units, what: str) -> float:
    """A rate such as "1 /ps" (or 1/ps, ps-1, ps^-1) per unit of time; ValueError, in one sentence,
    for anything else."""
    written = {unit: 1.0 / units.convert(1.0, unit) for unit in _SI["time"]}
    forms = ("/{}", "1/{}", "{}-1", "{}^-1")
    return _sized(
        text,
        what,
        '"1 /ps"',
        "rate",
        {form.format(unit): size for form in forms for unit, size in written.items()},
        show=4,
    )


def _sized(
    text: str, what: str, example: str, kind: str, sizes: dict[str, float], show: int = 100
) -> float:
    """A quantity that is not negative, by the sizes of the units it may be in."""
    value, unit = _number(text, what, example)
    if not (math.isfinite(value * max(sizes.values())) and value >= 0):
        raise ValueError(
            f"{what} must be finite and not below zero, not {text!r}; write {what} {example}"
        )
    if not unit:
        raise ValueError(f"{what} {text!r} has no unit; write {what} {example}")
    if unit not in sizes:
        raise ValueError(
            f"{what} {text!r}: {unit!r} is not a unit of {kind}; known are"
            f" {', '.join(list(sizes)[:show])}"
        )
    return value * sizes[unit]


def _number(text: str, what: str, example: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{what} {text!r} is not a quantity; write {what} {example}")
    return float(match[1]), match[2]
