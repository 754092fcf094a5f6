"""Units: constants against ASE and DE440, conversions, and the quantities that people type."""

import copy
import math
import pickle
import re
from dataclasses import replace

import ase.units
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from systems.quantities import duration, pressure, rate, temperature
from systems.units import ASTRONOMICAL, BY_NAME, METAL, REDUCED, Units

# Both sides are a handful of products of rounded constants: a few units in the last place.
ROUNDING = 1e-15 * 8

SECONDS = {
    "fs": 1e-15,
    "ps": 1e-12,
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
    "yr": 31557600.0,
    "year": 31557600.0,
    "years": 31557600.0,
    "century": 3155760000.0,
    "centuries": 3155760000.0,
}


def close(value: float) -> object:
    return pytest.approx(value, rel=ROUNDING, abs=0.0)


@pytest.mark.parametrize("unit", ["fs", "ps", "s"])
def test_metal_times_are_those_of_ase(unit: str) -> None:
    per_unit = {"fs": ase.units.fs, "ps": 1000 * ase.units.fs, "s": ase.units.s}[unit]
    assert METAL.convert(1.0, unit) == close(per_unit)


def test_metal_constants_are_those_of_ase() -> None:
    assert METAL.boltzmann == close(ase.units.kB)
    assert METAL.coulomb == close(ase.units.Hartree * ase.units.Bohr)
    assert METAL.speed_of_light == close(ase.units._c * ase.units.m / ase.units.s)
    assert METAL.convert(1.0, "nm") == close(ase.units.nm)


def test_astronomical_constants_are_those_of_de440() -> None:
    """The Gaussian constants of the kernel's own comments (GMS), and the IAU's astronomical
    unit."""
    assert ASTRONOMICAL.gravitation == close(2.9591220828411956e-04)
    assert ASTRONOMICAL.speed_of_light == close(299792.458 * 86400.0 / 149597870.7)


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("km", 1 / 149597870.7),
        ("au", 1.0),
        ("km/s", 86400.0 / 149597870.7),
        ("year", 365.25),
        ("au/day", 1.0),
    ],
)
def test_astronomical_conversions(unit: str, size: float) -> None:
    assert ASTRONOMICAL.convert(3.0, unit) == close(3.0 * size)


def test_units_are_found_by_the_name_they_carry() -> None:
    assert BY_NAME == {"reduced": REDUCED, "metal": METAL, "astronomical": ASTRONOMICAL}


@pytest.mark.parametrize("unit", ["parsec", "", "km/fortnight"])
def test_an_unknown_unit_is_refused(unit: str) -> None:
    with pytest.raises(ValueError, match="unknown unit"):
        METAL.convert(1.0, unit)


def test_reduced_units_convert_nothing() -> None:
    with pytest.raises(ValueError, match="reduced units have no km"):
        REDUCED.convert(1.0, "km")


@settings(deadline=None)
@given(
    value=st.floats(1e-9, 1e9),
    unit=st.sampled_from(sorted(SECONDS)),
    gap=st.sampled_from(["", " ", "  "]),
)
def test_duration_reads_what_was_written(value: float, unit: str, gap: str) -> None:
    for units, own in ((METAL, 1.0 / ase.units.s), (ASTRONOMICAL, 86400.0)):
        assert duration(f"{value!r}{gap}{unit}", units, "--dt") == close(
            value * SECONDS[unit] / own
        )


@settings(deadline=None)
@given(value=st.floats(min_value=5e-324, allow_infinity=False))
def test_a_bare_number_is_read_bit_for_bit_in_reduced_units(value: float) -> None:
    assert duration(repr(value), REDUCED, "--dt") == value


@settings(deadline=None)
@given(
    value=st.floats(min_value=5e-324, allow_infinity=False), unit=st.sampled_from(sorted(SECONDS))
)
def test_a_duration_is_positive_and_finite_or_refused(value: float, unit: str) -> None:
    """Also where the conversion to the units overflows or vanishes."""
    for units in (METAL, ASTRONOMICAL):
        try:
            converted = duration(f"{value!r} {unit}", units, "--dt")
        except ValueError:
            continue
        assert 0.0 < converted < math.inf


NOT_POSITIVE = [
    "nan day",
    "inf day",
    "-inf day",
    "infinity day",
    "-1 day",
    "0 day",
    "1e400 day",
    "1e308 century",
    "1e-323 fs",
]
NO_TIME = ["1 parsec", "1 km", "one day", "", "day", "1 2 day", "0.5"]


def refusal(text: str, units: object) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the callers look at the message)
        duration(text, units, "--dt")
    return str(caught.value)


def assert_one_sentence_about(message: str, text: str) -> None:
    assert message.startswith("--dt ")
    assert "\n" not in message
    assert re.search(r"[.!?]\s+[A-Z]", message) is None
    assert repr(text) in message


@pytest.mark.parametrize("text", [*NOT_POSITIVE, *NO_TIME])
@pytest.mark.parametrize("units", [METAL, ASTRONOMICAL], ids=lambda units: units.name)
def test_refusals_are_one_sentence_that_names_option_and_text(text: str, units: object) -> None:
    assert_one_sentence_about(refusal(text, units), text)


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-1", "0", "-0.0", "1e400", "", "one", "1 day", "1 parsec"]
)
def test_refusals_in_reduced_units(text: str) -> None:
    assert_one_sentence_about(refusal(text, REDUCED), text)


def test_refusals_say_what_is_wrong_and_what_to_write() -> None:
    assert 'has no unit; write --dt "0.5 day"' in refusal("3", ASTRONOMICAL)
    assert 'has no unit; write --dt "0.5 fs"' in refusal("3", METAL)
    assert "must be positive and finite" in refusal("nan day", ASTRONOMICAL)
    assert "'parsec' is not a unit of time; known are fs, ps" in refusal("1 parsec", METAL)
    assert "is in reduced units, which take a bare number; write --dt 0.001" in refusal(
        "1 day", REDUCED
    )


@settings(deadline=None)
@given(text=st.text(max_size=12))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    assume(not re.fullmatch(r"\s*[+]?[\d.]+(e[+-]?\d+)?\s*", text, re.IGNORECASE))
    with pytest.raises(ValueError, match=r"\A--dt .*\Z"):
        duration(text, REDUCED, "--dt")


FS, BAR = ase.units.fs, ase.units.bar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 bar", BAR),
        ("2.5 GPa", 2.5e4 * BAR),
        ("1e5Pa", BAR),
        ("0 kbar", 0.0),
        ("1 atm", 1.01325 * BAR),
    ],
)
def test_pressures_are_ases(text: str, value: float) -> None:
    assert pressure(text, "--pressure") == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 /ps", 1e-3 / FS), ("1 1/ps", 1e-3 / FS), ("0.01 fs-1", 0.01 / FS), ("2ns^-1", 2e-6 / FS)],
)
def test_rates_are_ases(text: str, value: float) -> None:
    assert rate(text, METAL, "--friction") == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    "text", ["300", "300 C", "-1 K", "nan K", "inf K", "", "K", "300 K K", "3e400 K"]
)
def test_a_temperature_that_is_none(text: str) -> None:
    assert temperature("300 K", "T") == temperature("300K", "T") == 300.0
    with pytest.raises(ValueError, match=r'write T "300 K"|is not a unit of temperature'):
        temperature(text, "T")


@pytest.mark.parametrize("text", ["1", "1 ps", "1 /K", "1 psi", "1 /", "-2 /ps"])
def test_a_rate_or_pressure_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="F"):
        rate(text, METAL, "F")
    with pytest.raises(ValueError, match="P"):
        pressure(text, "P")


@pytest.mark.parametrize("units", BY_NAME.values())
def test_copies_and_pickles_of_units_are_the_same_units(units: Units) -> None:
    """Code tells them apart by identity; units of one's own are copied as ever."""
    assert pickle.loads(pickle.dumps(units)) is units
    assert copy.deepcopy(units) is units
    own = replace(units, boltzmann=2.0)
    again = pickle.loads(pickle.dumps(own))
    assert again == own
    assert again is not units
