"""Closest approaches against a search through everything, for few and for many particles."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.units import REDUCED
from trajectories.analysis import closest_approach
from trajectories.analysis.encounters import _all_pairs, _by_trees
from trajectories.h5md import H5MDReader

Written = Callable[..., Path]


@given(n_frames=st.integers(1, 4), n_systems=st.integers(1, 3), n=st.integers(2, 30), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_both_searches(n_frames: int, n_systems: int, n: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(n_frames, n_systems, n, 3))
    least, pairs = _all_pairs(x)
    by_trees = _by_trees(x)
    np.testing.assert_allclose(by_trees[0], least, rtol=1e-12)
    np.testing.assert_array_equal(by_trees[1], pairs)
    for k in np.ndindex(n_frames, n_systems):
        every = {(i, j): np.linalg.norm(x[k][i] - x[k][j]) for i in range(n) for j in range(i + 1, n)}
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
    with H5MDReader(written(np.zeros((2, 1, 3)), units=REDUCED)) as run, pytest.raises(ValueError, match="takes two particles"):
        closest_approach(run)
    box = written(np.ones((2, 3, 3)).cumsum(1), cell=5 * np.eye(3), name="box.h5md")
    with H5MDReader(box) as run, pytest.raises(ValueError, match="without periodic boxes"):
        closest_approach(run)
