"""Bodies files: what is read, and one sentence for everything that can be wrong in one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.ensembles import yoshida_8
from integrators.state import State
from systems.observables import kinetic_energy
from systems.sources.solar import COLUMNS, Body, j2000, read_bodies
from systems.units import ASTRONOMICAL
from trajectories.rollout import rollout

SUN = Body("Sun", "", 1.3e11, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
EARTH = Body(
    "Earth",
    "Sun",
    4e5,
    (1.5e8, 0.0, 0.0),
    (0.0, 30.0, 0.0),
    j2=1e-3,
    radius=6378.0,
    pole=(10.0, 80.0),
)
MOON = Body("Moon", "Earth", 4.9e3, (1.504e8, 0.0, 0.0), (0.0, 31.0, 0.0))


def row(body: Body) -> list[str]:
    numbers = (body.gm, *body.position, *body.velocity, body.j2, body.radius, *body.pole)
    return [body.name, body.parent, *(repr(number) for number in numbers)]


def write(path: Path, *bodies: Body, **changes: str) -> Path:
    """A file of these bodies, in which the last one's columns are overwritten by ``changes``."""
    rows = [row(body) for body in bodies]
    for column, text in changes.items():
        rows[-1][COLUMNS.index(column)] = text
    path.write_text(
        "\n".join(",".join(cells) for cells in (COLUMNS, *rows)) + "\n", encoding="utf-8"
    )
    return path


def refusal(path: Path) -> str:
    """What read_bodies says of a file: one line that names the file."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the callers look at the message)
        read_bodies(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


numbers = st.floats(-1e10, 1e10)
vectors = st.tuples(numbers, numbers, numbers)
bodies = st.builds(
    Body,
    st.sampled_from(["Ida", "Vulcan", "Planet X", "Érable"]),
    st.just("Sun"),
    st.floats(1e-3, 1e12),
    vectors,
    vectors,
    j2=st.floats(-1.0, 1.0),
    radius=st.floats(1.0, 1e6),
    pole=st.tuples(st.floats(0.0, 360.0), st.floats(-90.0, 90.0)),
)


@settings(deadline=None)
@given(body=bodies)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, body: Body) -> None:
    sun = replace(SUN, position=(2e10, 0.0, 0.0))
    solar = read_bodies(
        write(tmp_path_factory.mktemp("bodies") / "b.csv", sun, body), epoch=2451600.5
    )
    assert solar.epoch == 2451600.5
    assert [vars(found) for found in solar.bodies] == [vars(sun), vars(body)]


def test_shape_columns_may_be_empty_and_columns_in_any_order(tmp_path: Path) -> None:
    empty = dict.fromkeys(COLUMNS[-4:], "")
    solar = read_bodies(write(tmp_path / "b.csv", SUN, EARTH, **empty))
    assert (solar.bodies[1].j2, solar.bodies[1].radius, solar.bodies[1].pole) == (
        0.0,
        0.0,
        (0.0, 90.0),
    )
    assert solar.gravity().oblateness is None
    lines = [line.split(",")[::-1] for line in (tmp_path / "b.csv").read_text().splitlines()]
    (tmp_path / "c.csv").write_text(
        "\n".join(",".join(["extra" if k == 0 else "x", *cells]) for k, cells in enumerate(lines))
    )
    assert [vars(body) for body in read_bodies(tmp_path / "c.csv").bodies] == [
        vars(body) for body in solar.bodies
    ]


def test_a_file_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """Spreadsheets save UTF-8 with a byte order mark and Windows' line ends."""
    text = write(tmp_path / "b.csv", SUN, EARTH).read_text(encoding="utf-8")
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_bodies(tmp_path / "c.csv").names == ["Sun", "Earth"]


def test_numbers_come_in_au_days_and_solar_masses(tmp_path: Path) -> None:
    system = read_bodies(write(tmp_path / "b.csv", SUN, EARTH)).system
    au = 149597870.7
    np.testing.assert_allclose(system.positions[1], [1.5e8 / au, 0.0, 0.0], rtol=1e-15)
    np.testing.assert_allclose(system.velocities[1], [0.0, 30.0 * 86400.0 / au, 0.0], rtol=4e-16)
    assert system.masses[1] == pytest.approx(4e5 / 132712440041.279419, rel=4e-16)
    assert system.units is ASTRONOMICAL


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = write(tmp_path / "b.csv", SUN, EARTH)
    path.write_text(path.read_text().replace(column, "other", 1))
    assert f"has no column {column}; a bodies file begins with name,parent,gm_km3_s2" in refusal(
        path
    )


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "twelve", "", "0x10", "1;2"])
@pytest.mark.parametrize("column", ["gm_km3_s2", "x_km", "vz_km_s"])
def test_what_is_no_finite_number_is_named_with_its_line(
    tmp_path: Path, column: str, text: str
) -> None:
    assert f"line 3: {column} is {text!r}, not a finite number" in refusal(
        write(tmp_path / "b.csv", SUN, EARTH, **{column: text})
    )


@pytest.mark.parametrize("column", COLUMNS[-4:])
def test_the_shape_must_be_finite_too(tmp_path: Path, column: str) -> None:
    assert f"line 4: {column} is 'nan', not a finite" in refusal(
        write(tmp_path / "b.csv", SUN, EARTH, MOON, **{column: "nan"})
    )


@pytest.mark.parametrize("gm", ["-1.5", "-1e-40"])
def test_gm_must_not_be_negative(tmp_path: Path, gm: str) -> None:
    assert f"line 3: gm_km3_s2 of Earth is {float(gm)}; it must be positive" in refusal(
        write(tmp_path / "b.csv", SUN, EARTH, gm_km3_s2=gm)
    )


@pytest.mark.parametrize("gm", ["1e-31", "1e31"])
def test_gm_must_be_that_of_a_body(tmp_path: Path, gm: str) -> None:
    assert f"line 3: gm_km3_s2 of Earth is {float(gm)}, which no body has" in refusal(
        write(tmp_path / "b.csv", SUN, EARTH, gm_km3_s2=gm)
    )


@pytest.mark.parametrize("radius", ["", "0", "-1"])
def test_oblateness_needs_a_radius(tmp_path: Path, radius: str) -> None:
    assert "line 3: Earth has j2 but no radius_km" in refusal(
        write(tmp_path / "b.csv", SUN, EARTH, radius_km=radius)
    )


@pytest.mark.parametrize("name", ["Sun", " Sun "])
def test_a_body_given_twice_is_named(tmp_path: Path, name: str) -> None:
    assert "has the body Sun twice" in refusal(write(tmp_path / "b.csv", SUN, EARTH, name=name))


def test_an_unknown_parent_is_named_with_the_nearest(tmp_path: Path) -> None:
    assert "Moon orbits Erath, which is not in the file; did you mean Earth?" in refusal(
        write(tmp_path / "b.csv", SUN, EARTH, MOON, parent="Erath")
    )
    assert refusal(write(tmp_path / "b.csv", SUN, EARTH, parent="Xyzzy")).endswith(
        "orbits Xyzzy, which is not in the file"
    )


def test_two_bodies_at_one_place_are_named(tmp_path: Path) -> None:
    assert "Earth and Moon are at the same place" in refusal(
        write(tmp_path / "b.csv", SUN, EARTH, MOON, x_km=repr(EARTH.position[0]))
    )


def test_a_body_without_a_name_is_refused(tmp_path: Path) -> None:
    assert "line 3" in refusal(write(tmp_path / "b.csv", SUN, EARTH, name=""))


def test_a_line_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Also where the name's own column is beyond the cut."""
    path = write(tmp_path / "b.csv", SUN, EARTH)
    path.write_text(path.read_text() + "Moon,Earth,4.9e3\n")
    assert "line 4: x_km is '', not a finite number" in refusal(path)
    names_last = ",".join([*COLUMNS[1:], "name"])
    path.write_text(f"{names_last}\n,1e11,0,0,0,0,0,0\n")
    assert "line 2" in refusal(path)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.csv").write_text(text)
    assert "is no bodies file; a bodies file begins with name,parent,gm_km3_s2" in refusal(
        tmp_path / "b.csv"
    )


def test_a_file_of_a_header_alone_is_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "b.csv")).endswith("holds no bodies")


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe\x00")
    assert "is not a text file; a bodies file is CSV and begins with name,parent" in refusal(
        tmp_path / "b.csv"
    )


def test_text_that_is_no_table_is_refused(tmp_path: Path) -> None:
    """One field of 200,000 letters is more than Python's csv takes."""
    (tmp_path / "b.csv").write_text('"' + "x" * 200_000)
    assert "a bodies file is CSV and begins with name,parent" in refusal(tmp_path / "b.csv")


@pytest.mark.parametrize("gm", ["0", "0.0", "-0.0"])
def test_a_test_particle_has_no_gm_and_no_effect(tmp_path: Path, gm: str) -> None:
    """It moves under the others, whose bits are the same with it and without it."""
    without = read_bodies(write(tmp_path / "a.csv", SUN, EARTH))
    with_it = read_bodies(write(tmp_path / "b.csv", SUN, EARTH, MOON, gm_km3_s2=gm))
    ends = []
    for solar in (without, with_it):
        *_, last = rollout(yoshida_8(solar.gravity()), State(solar.system), 0.25, 400, 400)
        ends.append(last)
    np.testing.assert_array_equal(ends[1].system.positions[:2], ends[0].system.positions)
    assert ends[1].evaluation.energy == ends[0].evaluation.energy
    assert kinetic_energy(ends[1].system) == kinetic_energy(ends[0].system)
    # as light a body of any other mass: its own motion does not depend on that
    light = read_bodies(write(tmp_path / "c.csv", SUN, EARTH, MOON, gm_km3_s2="1e-20"))
    *_, other = rollout(yoshida_8(light.gravity()), State(light.system), 0.25, 400, 400)
    np.testing.assert_allclose(
        ends[1].system.positions[2], other.system.positions[2], rtol=0, atol=1e-11
    )  # a moon magnifies roundings


def test_some_body_has_a_mass(tmp_path: Path) -> None:
    assert "holds test particles alone" in refusal(write(tmp_path / "b.csv", EARTH, gm_km3_s2="0"))
    solar = read_bodies(write(tmp_path / "b.csv", SUN, EARTH, gm_km3_s2="0"))
    with pytest.raises(ValueError, match="nothing that has a mass is left"):
        solar.without(["Sun"])


@pytest.mark.parametrize("parent", ["Earth", "Sun", ""])
def test_periods_are_of_the_tightest_pair_whatever_the_parent(tmp_path: Path, parent: str) -> None:
    """A circle of 384,400 km about the Earth, which its parent column may not tell: 2 pi sqrt(r^3 /
    GM)."""
    speed = np.sqrt((EARTH.gm + MOON.gm) / 384400.0)
    solar = read_bodies(
        write(
            tmp_path / "b.csv",
            SUN,
            EARTH,
            MOON,
            parent=parent,
            x_km=repr(1.5e8 + 384400.0),
            vy_km_s=repr(30.0 + float(speed)),
        )
    )
    assert solar.periods[2] == pytest.approx(2 * np.pi * 384400.0 / speed / 86400, rel=1e-9)
    assert list(solar.centers) == [-1, 0, 1]
    assert solar.longest_safe_step() == (pytest.approx(solar.periods[2] / 20), "Moon")
    assert solar.default_time_step() == 0.5


def test_of_two_equal_bodies_one_has_the_orbit(cases: Path) -> None:
    """Kepler's third law with both masses: a = 1 au of two suns, e = .3."""
    solar = read_bodies(cases / "binary_equal.csv")
    x, v, gm = (
        solar.bodies[1].position[0] * 2,
        solar.bodies[1].velocity[1] * 2,
        2 * solar.bodies[0].gm,
    )
    axis = 1 / (2 / x - v**2 / gm)
    assert list(solar.centers) == [-1, 0]
    assert solar.periods[1] == pytest.approx(2 * np.pi * np.sqrt(axis**3 / gm) / 86400, rel=1e-9)
    assert solar.is_binary
    assert not j2000().is_binary
