"""Levenberg and Marquardt's steps against linear algebra, on known minima, and what becomes of
steps that lead nowhere."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mcegnn.training.least_squares import step


def minimized(
    residuals: Callable[[Tensor], Tensor], start: Tensor, n_steps: int = 200
) -> tuple[Tensor, float]:
    """Steps until none is better; the parameters and their sum of squares."""
    at, damping, value = start, 1e-3, math.inf
    for _ in range(n_steps):
        at, value, damping = step(residuals, at, damping)
        if math.isinf(damping):
            break
    return at, value


def linear(seed: int, n_residuals: int, n_parameters: int) -> tuple[Tensor, Tensor]:
    """A matrix, whose columns differ in scale by up to a million, and a right-hand side."""
    generator = np.random.default_rng(seed)
    scale = 10.0 ** generator.uniform(-3, 3, n_parameters)
    return torch.from_numpy(
        generator.normal(size=(n_residuals, n_parameters)) * scale
    ), torch.from_numpy(generator.normal(size=n_residuals))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6))
def test_one_step_solves_a_linear_problem(seed: int, n: int) -> None:
    a, b = linear(seed, 3 * n, n)
    found, value, damping = step(lambda p: a @ p - b, torch.zeros(n, dtype=torch.float64), 1e-14)
    best = np.linalg.lstsq(a.numpy(), b.numpy(), rcond=None)[0]
    np.testing.assert_allclose(
        found * a.norm(dim=0), best * a.norm(dim=0).numpy(), rtol=1e-8, atol=1e-8
    )
    assert value == pytest.approx(float(((a.numpy() @ best - b.numpy()) ** 2).sum()), rel=1e-9)
    assert damping == 1e-14


def test_a_curved_valley() -> None:
    """Rosenbrock's, from its usual start."""
    found, value = minimized(
        lambda p: torch.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]]),
        torch.tensor([-1.2, 1.0], dtype=torch.float64),
    )
    np.testing.assert_allclose(found, [1, 1], rtol=1e-8)
    assert value < 1e-16


def test_the_sum_of_squares_never_grows() -> None:
    """On decays whose sum is fitted, which full steps would overshoot."""
    t = torch.linspace(0, 4, 50, dtype=torch.float64)
    data = 2 * (-0.7 * t).exp() + 0.5 * (-3 * t).exp()

    def residuals(p: Tensor) -> Tensor:
        return p[0] * (-p[1] * t).exp() + p[2] * (-p[3] * t).exp() - data

    at, damping, values = torch.tensor([5.0, 5.0, -1.0, 0.1], dtype=torch.float64), 1e-3, []
    for _ in range(100):
        at, value, damping = step(residuals, at, damping)
        values.append(value)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-20
    pairs = sorted([(float(at[0]), float(at[1])), (float(at[2]), float(at[3]))])
    np.testing.assert_allclose(pairs, [(0.5, 3), (2, 0.7)], rtol=1e-6)


def test_where_no_step_is_better_all_stays() -> None:
    at = torch.tensor([3.0], dtype=torch.float64)
    found, value, damping = step(lambda p: torch.stack([p[0] - 3, p[0] * 0 + 2]), at, 1e-3)
    assert found is at
    assert (value, damping) == (4.0, math.inf)


def test_where_nothing_changes_anything_all_stays() -> None:
    at = torch.tensor([1.0, 2.0], dtype=torch.float64)
    found, value, damping = step(lambda p: p * 0 + 1, at, 1e-3)
    assert found is at
    assert (value, damping) == (2.0, math.inf)


def test_steps_to_where_nothing_is_finite_are_not_taken() -> None:
    """A full step from here would lead to the logarithm of a negative number."""
    at = torch.tensor([20.0], dtype=torch.float64)
    found, value, damping = step(lambda p: p.log() + 2, at, 1e-6)
    assert 0 < found < at
    assert math.isfinite(value)
    assert damping > 1e-6
    assert minimized(lambda p: p.log() + 2, at)[0] == pytest.approx(math.exp(-2), rel=1e-8)
