"""Closest approaches against a search through everything, for few and for many particles."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.state import State
from systems.system import Evaluation, System
from systems.units import REDUCED
from trajectories.analysis import closest_approach
from trajectories.analysis.encounters import _all_pairs, _by_trees, encounter_curves
from trajectories.storage.h5md import H5MDReader

Written = Callable[..., Path]


@given(
    n_frames=st.integers(1, 4),
    n_systems=st.integers(1, 3),
    n=st.integers(2, 30),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_both_searches(n_frames: int, n_systems: int, n: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(n_frames, n_systems, n, 3))
    least, pairs = _all_pairs(x)
    by_trees = _by_trees(x)
    np.testing.assert_allclose(by_trees[0], least, rtol=1e-12)
    np.testing.assert_array_equal(by_trees[1], pairs)
    for k in np.ndindex(n_frames, n_systems):
        every = {
            (i, j): np.linalg.norm(x[k][i] - x[k][j]) for i in range(n) for j in range(i + 1, n)
        }
        nearest = min(every, key=lambda pair: every[pair])
        assert tuple(pairs[k]) == nearest
        assert least[k] == pytest.approx(every[nearest], rel=1e-12)


def test_of_a_file(written: Written) -> None:
    x = np.random.default_rng(4).normal(size=(6, 3, 5, 3))
    x[4, 1, 3] = x[4, 1, 0] + 1e-3
    with H5MDReader(written(x, units=REDUCED)) as run:
        found = closest_approach(run)
    assert (found.frame, found.system, found.particles) == (4, 1, (0, 3))
    assert found.distances.shape == (6, 3)
    assert found.distances[4, 1] == pytest.approx(1e-3 * np.sqrt(3))


def test_refusals(written: Written) -> None:
    with (
        H5MDReader(written(np.zeros((2, 1, 3)), units=REDUCED)) as run,
        pytest.raises(ValueError, match="takes two particles"),
    ):
        closest_approach(run)
    box = written(np.ones((2, 3, 3)).cumsum(1), cell=5 * np.eye(3), name="box.h5md")
    with H5MDReader(box) as run, pytest.raises(ValueError, match="without periodic boxes"):
        closest_approach(run)


def test_what_is_said_of_an_ensemble(record: Callable[..., Path]) -> None:
    """Eleven systems that slow down, so that energy goes into the field; the nearest tenth of
    eleven is the second nearest."""
    stream = np.random.default_rng(2)
    x, v, potential = (
        stream.normal(size=(3, 11, 4, 3)),
        stream.normal(size=(3, 11, 4, 3)),
        stream.normal(size=(3, 11)),
    )
    x[2, 5, 3] = x[2, 5, 1] + 1e-3
    v[0] *= 3.0
    states = [
        State(
            System.create(x[k], velocities=v[k]),
            0.5 * k,
            k,
            Evaluation(potential[k], np.zeros((11, 4, 3))),
        )
        for k in range(3)
    ]
    with H5MDReader(record(states)) as run:
        distances = closest_approach(run).distances
        (nearest, exchange), (closest, changes) = encounter_curves(run)
    assert nearest.note == "particles 1 and 3 in system 5 at time 1"
    np.testing.assert_allclose(
        closest.values["nearest tenth"], np.sort(distances, 1)[:, 1], rtol=1e-12
    )
    kinetic = 0.5 * (v**2).sum((2, 3))
    assert exchange.value == pytest.approx(np.median(abs(kinetic - kinetic[0]).max(0)))
    total = kinetic + potential
    middle = np.median(total - total[0], 1)
    np.testing.assert_allclose(changes.values["total"], middle, atol=1e-12)
    # the caption is of the curves
    kinetic_most = abs(np.median(kinetic - kinetic[0], 1)).max()
    assert changes.said == (
        f"Medians over systems: kinetic energy changes by up to {kinetic_most:.4g}, the total by"
        f" {abs(middle).max():.2g}."
    )
    assert str(changes.y_axis) == "energy, median"
