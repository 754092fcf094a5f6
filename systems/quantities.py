"""Quantities that people write, such as "0.5 fs" or "300 K", as numbers in a system's units."""

import math
import re

from systems.units import ASTRONOMICAL, PASCALS, SIZES, Units

_PASCALS = {"bar": 1e5, "kbar": 1e8, "Pa": 1.0, "kPa": 1e3, "MPa": 1e6, "GPa": 1e9, "atm": 101325.0}
_PLURALS = {
    "seconds": "s",
    "minutes": "min",
    "hours": "h",
    "days": "day",
    "years": "year",
    "centuries": "century",
}
_QUANTITY = re.compile(
    r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?nan|[+-]?inf)\s*((?:(?:1?/)?[A-Za-z]+(?:\^?-1|/[A-Za-z]+)?)?)\s*",
    re.IGNORECASE,
)


def duration(text: str, units: Units, what: str) -> float:
    """Read a positive time such as "0.5 day" in ``units``; ``what`` names it in messages.

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
    if unit not in SIZES["time"]:
        known = ", ".join(SIZES["time"])
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
    """Read a temperature such as "300 K", in kelvin. Raises ValueError, in one sentence, if it has
    no unit, is below zero or is anything else."""
    return _sized(text, what, '"300 K"', "temperature", {"K": 1.0, "mK": 1e-3, "kelvin": 1.0})


def pressure(text: str, what: str) -> float:
    """Read a pressure such as "1 bar", in eV/Angstrom^3. Raises ValueError, in one sentence, if it
    has no unit, is below zero or is anything else."""
    return _sized(
        text,
        what,
        '"1 bar"',
        "pressure",
        {unit: pascals / PASCALS for unit, pascals in _PASCALS.items()},
    )


def force(text: str, what: str) -> float:
    """Read a force such as "0.2 eV/A", in eV/Angstrom. Raises ValueError, in one sentence, if it
    has no unit, is below zero or is anything else."""
    sizes = {
        f"{energy}/{length}": size
        for energy, size in (("eV", 1.0), ("meV", 1e-3))
        for length in ("A", "Angstrom")
    }
    return _sized(text, what, '"0.2 eV/A"', "force", sizes)


def energy(text: str, what: str) -> float:
    """Read an energy such as "10 eV", in eV. Raises ValueError, in one sentence, if it has no unit,
    is below zero or is anything else."""
    return _sized(text, what, '"10 eV"', "energy", {"eV": 1.0, "meV": 1e-3})


def distance(text: str, units: Units, what: str) -> float:
    """Read a length such as "0.3 A" in ``units``, a bare number in reduced ones. Raises ValueError,
    in one sentence, if it is anything else."""
    if units.meters is None:
        return plain(text, what, "0.01")
    sizes = {unit: size / units.meters for unit, size in {**SIZES["length"], "A": 1e-10}.items()}
    return _sized(text, what, '"1000 km"' if units is ASTRONOMICAL else '"0.3 A"', "length", sizes)


def plain(text: str, what: str, example: str) -> float:
    """Read a bare number that is not negative. Raises ValueError, in one sentence, if it is
    anything else."""
    value, unit = _number(text, what, example)
    if unit or not 0 <= value < math.inf:
        raise ValueError(
            f"{what} is a bare number that is not below zero here, not {text!r}; write {what}"
            f" {example}"
        )
    return value


def rate(text: str, units: Units, what: str) -> float:
    """Read a rate such as "1 /ps" (or 1/ps, ps-1, ps^-1) per unit of time. Raises ValueError, in
    one sentence, if it is anything else."""
    written = {unit: 1.0 / units.convert(1.0, unit) for unit in SIZES["time"]}
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
