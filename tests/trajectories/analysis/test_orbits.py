"""Osculating elements: from elements to vectors and back, constant along Kepler's orbits, and of
the planets as in books."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.ensembles import wisdom_holman
from integrators.state import State
from systems.potentials.gravity import Gravity
from systems.sources.solar import j2000
from systems.system import System
from systems.units import ASTRONOMICAL
from trajectories.analysis import blocks, elements, orbits
from trajectories.analysis.orbits import orbit_curves, to_ecliptic
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

angle = st.floats(5.0, 355.0)


def rotation(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix, (i, j) = np.eye(3), ((axis + 1) % 3, (axis + 2) % 3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


@given(
    a=st.floats(0.1, 50.0),
    e=st.floats(0.01, 0.95),
    inclination=st.floats(1.0, 175.0),
    node=angle,
    pericenter=angle,
    anomaly=angle,
    mu=st.floats(1e-4, 10.0),
)
@settings(max_examples=200, deadline=None)
def test_elements_give_their_vectors_back(
    a: float,
    e: float,
    inclination: float,
    node: float,
    pericenter: float,
    anomaly: float,
    mu: float,
) -> None:
    """Vectors made from elements by rotations of the orbit in its plane."""
    f = np.radians(anomaly)
    p = a * (1 - e**2)
    turn = rotation(2, node) @ rotation(0, inclination) @ rotation(2, pericenter)
    x = turn @ (p / (1 + e * np.cos(f)) * np.array([np.cos(f), np.sin(f), 0.0]))
    v = turn @ (np.sqrt(mu / p) * np.array([-np.sin(f), e + np.cos(f), 0.0]))
    found = elements(x, v, mu)
    assert found["a"] == pytest.approx(a, rel=1e-9)
    assert found["e"] == pytest.approx(e, abs=1e-9)
    for name, value in (("inclination", inclination), ("node", node), ("pericenter", pericenter)):
        assert found[name] == pytest.approx(value, abs=1e-5), name


def test_two_bodies_keep_theirs(tmp_path: Path) -> None:
    """Wisdom-Holman solves a test body exactly: its a, e and angles stay, to rounding, over ten
    thousand steps."""
    G = ASTRONOMICAL.gravitation
    v = np.sqrt(G) * 0.9
    system = System.create(
        [[0.0, 0.0, 0.0], [0.9, 0.3, 0.2]],
        velocities=[[0.0, 0.0, 0.0], [0.1 * v, v, 0.3 * v]],
        masses=[1.0, 1e-12],
        units=ASTRONOMICAL,
    )
    with H5MDWriter(tmp_path / "two.h5md", system) as writer:
        for state in rollout(wisdom_holman(Gravity(G), star=0), State(system), 1.0, 10_000, 100):
            writer.write(state)
    with H5MDReader(tmp_path / "two.h5md") as run:
        times, found = orbits(run, [0], [1])
        few = orbits(run, [0], [1], most=30)
    assert times[-1] == 10_000
    for name, values in found.items():
        np.testing.assert_allclose(
            values, np.broadcast_to(values[0], values.shape), rtol=1e-9, err_msg=name
        )
        np.testing.assert_array_equal(few[1][name], values[::4])
    np.testing.assert_array_equal(few[0], times[::4])


def test_planets(tmp_path: Path) -> None:
    """J2000's elements as textbooks have them (Murray and Dermott, table A.2; Standish 1992)."""
    solar = j2000()
    with H5MDWriter(tmp_path / "run.h5md", solar.system, names=solar.names) as writer:
        for state in rollout(
            wisdom_holman(solar.gravity(), star=0), State(solar.system), 0.5, 20, 10
        ):
            writer.write(state)
    known = {
        "Mercury": (0.3871, 0.2056, 7.005),
        "Venus": (0.7233, 0.0068, 3.395),
        "Mars": (1.5237, 0.0934, 1.850),
        "Jupiter": (5.203, 0.0484, 1.305),
        "Neptune": (30.07, 0.0086, 1.769),
    }
    with H5MDReader(tmp_path / "run.h5md") as run:
        curves = {c.key: c for c in orbit_curves(run, {"Moon": "Earth"})}
        _, found = orbits(run, [0] * 10, range(1, 11))
    for name, (a, e, inclination) in known.items():
        k = solar.names.index(name) - 1
        assert found["a"][0, k] == pytest.approx(
            a, rel=6e-3
        )  # osculating about the Sun, which goes around Jupiter's barycentre
        assert curves["eccentricities"].values[name][0] == pytest.approx(e, abs=4e-3)
        assert curves["inclinations"].values[name][0] == pytest.approx(inclination, abs=0.01)
    # the Moon is about the Earth and not the Sun
    assert curves["eccentricities"].values["Moon"][0] == pytest.approx(0.055, abs=0.03)
    assert curves["inclinations"].values["Moon"][0] == pytest.approx(5.15, abs=0.2)


def test_the_ecliptic() -> None:
    np.testing.assert_allclose(
        to_ecliptic(np.array([1.0, 2.0, 3.0])),
        rotation(0, -84381.448 / 3600) @ [1.0, 2.0, 3.0],
        rtol=1e-14,
    )


def test_unbound_bodies_are_named(written: Callable[..., Path]) -> None:
    x = np.array([[[0.0, 0, 0], [1.0, 0, 0]]] * 3)
    v = np.zeros((3, 2, 3))
    v[:, 1, 1] = 0.017, 1.0, 0.017  # for one frame
    with H5MDReader(
        written(x, v, masses=[1.0, 1e-9], units=ASTRONOMICAL, names=["Sun", "Comet"])
    ) as run:
        assert "Not bound at some time: Comet." in orbit_curves(run, {})[0].said


def test_two_suns(written: Callable[..., Path]) -> None:
    """Both masses bind: on a circle the two go at the square root of G (M + m) / a."""
    x, v = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    x[:, 1, 0], v[:, 1, 1] = 2.0, np.sqrt(1.5 * ASTRONOMICAL.gravitation / 2.0)
    with H5MDReader(written(x, v, masses=[1.0, 0.5], units=ASTRONOMICAL)) as run:
        _, found = orbits(run, [0], [1])
    np.testing.assert_allclose(found["a"], 2.0)
    np.testing.assert_allclose(found["e"], 0.0, atol=1e-12)


def test_frames_of_a_run_in_many_blocks(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fourth frame, wherever a block ends."""
    x, v = np.random.default_rng(3).normal(size=(2, 50, 3, 3))
    with H5MDReader(written(x, v, units=ASTRONOMICAL)) as run:
        times, whole = orbits(run, [0, 0], [1, 2])
        monkeypatch.setattr(blocks, "block_length", lambda run, budget: 7)
        few_times, few = orbits(run, [0, 0], [1, 2], most=13)
    np.testing.assert_array_equal(few_times, times[::4])
    for name, values in whole.items():
        np.testing.assert_array_equal(few[name], values[::4])


def test_whose_orbit_changes_most_is_said(written: Callable[..., Path]) -> None:
    """The inner body's axis shrinks by 1 - 1 / (2 - 0.81), the outer one's grows by less; years on
    the axis of time."""
    x, v = np.zeros((3, 3, 3)), np.zeros((3, 3, 3))
    x[:, 1, 0], x[:, 2, 0] = 1.0, 4.0
    circular = np.sqrt(ASTRONOMICAL.gravitation)
    v[:, 1, 1], v[:, 2, 1] = (
        circular * np.array([1.0, 0.9, 0.9]),
        0.5 * circular * np.array([1.0, 1.0, 1.01]),
    )
    path = written(
        x,
        v,
        masses=[1.0, 1e-12, 1e-12],
        units=ASTRONOMICAL,
        names=["Sun", "In", "Out"],
        spacing=182.625,
    )
    with H5MDReader(path) as run:
        axes, eccentricities, _ = orbit_curves(run, {})
    np.testing.assert_allclose(axes.x, [0.0, 0.5, 1.0], rtol=1e-14)
    assert axes.said == "The largest change is 0.16 of its axis, In's."
    assert eccentricities.said.startswith("In's changes most, between ")
