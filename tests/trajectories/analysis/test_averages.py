"""Errors of means of series whose correlations are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajectories.analysis import block_error, mean_and_error, trend


def correlated(stream: np.random.Generator, n: int, memory: float) -> np.ndarray:
    """An autoregressive series of variance one; its mean's variance is (1 + memory) / (1 - memory)
    / n for long ones."""
    x, noise = np.empty(n), stream.normal(size=n) * np.sqrt(1 - memory**2)
    x[0] = stream.normal()
    for k in range(1, n):
        x[k] = memory * x[k - 1] + noise[k]
    return x


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_errors_are_those_of_the_law(memory: float) -> None:
    stream, n = np.random.default_rng(8), 4096
    true = np.sqrt((1 + memory) / (1 - memory) / n)
    series = [correlated(stream, n, memory) for _ in range(60)]
    errors = [block_error(x) for x in series]
    assert np.mean(errors) == pytest.approx(true, rel=0.1)
    within = [abs(x.mean()) < 2 * error for x, error in zip(series, errors, strict=True)]
    assert np.mean(within) > 0.85
    # an ensemble's mean is that much better
    mean, error, least = mean_and_error(np.array(series).T)
    assert not least
    assert error == pytest.approx(true / np.sqrt(60), rel=0.1)
    assert abs(mean) < 4 * error


@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-1e6, 1e6), seed=st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_scale_and_shift(scale: float, shift: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=300)
    assert block_error(scale * x + shift) == pytest.approx(
        scale * block_error(x), rel=1e-6, abs=1e-9 * abs(shift)
    )


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_a_trend_is_one_where_it_is_more_than_chance(memory: float) -> None:
    stream, n = np.random.default_rng(9), 1000
    line = np.linspace(0.0, 1.0, n)
    error = np.sqrt(12 * (1 + memory) / (1 - memory) / n)
    series = [correlated(stream, n, memory) for _ in range(100)]
    assert sum(trend(x) is not None for x in series) <= 4
    found = [trend(x - 12.0 * error * line) for x in series]
    assert sum(one is not None for one in found) >= 90
    sure = [one for one in found if one is not None]
    assert np.mean([one.value for one in sure]) == pytest.approx(-12.0 * error, rel=0.1)
    assert np.mean([one.error for one in sure]) == pytest.approx(error, rel=0.2)
    assert trend(np.ones(50)) is None
    assert trend(np.arange(7.0)) is None


def test_too_short_is_said() -> None:
    assert np.isnan(block_error(np.ones(7)))
    assert np.isnan(block_error(np.array([np.inf] * 30)))
    assert mean_and_error(np.arange(7.0)) == (3.0, None, False)
    mean, error, _ = mean_and_error(
        np.random.default_rng(0).normal(size=(3, 4000))
    )  # few frames of many systems
    assert error == pytest.approx(1 / np.sqrt(3 * 4000), rel=0.2)
    assert abs(mean) < 4 * error
    assert block_error(np.ones(64)) == 0.0


def test_one_that_is_correlated_throughout_has_the_least_error() -> None:
    """A hundred numbers that remember fifty: blocks never get long enough, and the error is too
    small."""
    stream = np.random.default_rng(3)
    found = [mean_and_error(correlated(stream, 100, 0.98)) for _ in range(40)]
    assert np.mean([one.least for one in found]) > 0.9
    assert not mean_and_error(correlated(stream, 100, 0.0)).least


def test_eight_numbers_have_the_error_of_textbooks() -> None:
    """Blocks of two would be four, whose scatter nobody knows."""
    x = np.random.default_rng(1).normal(size=8)
    assert block_error(x) == pytest.approx(x.std(ddof=1) / np.sqrt(8), rel=1e-12)
