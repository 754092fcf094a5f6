"""Kepler's problem: both solvers against the classical anomalies in fifty digits, for conics of
every kind and steps of any length."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from integrators.compiled._kepler import kepler_coefficients as compiled
from integrators.kepler import KeplerDrift, kepler_coefficients, stumpff
from integrators.state import State
from systems.system import System

EPS = 2.0**-52
mpmath.mp.dps = 50


def arrays(*numbers: float) -> tuple[float, ...]:
    *state, mu, dt = numbers
    return tuple(
        float(c[0]) for c in kepler_coefficients(np.array(state[:3]), np.array(state[3:]), mu, dt)
    )


solvers = pytest.mark.parametrize("solve", [arrays, compiled], ids=["arrays", "compiled"])


def bisected(
    function: Callable[[Any], Any], slope: Callable[[Any], Any], low: Any, high: Any
) -> Any:
    """The root of a rising function by Newton's steps that never leave a shrinking bracket."""
    root = (low + high) / 2
    for _ in range(400):
        value = function(root)
        low, high = (low, root) if value > 0 else (root, high)
        new = root - value / slope(root)
        new = new if low < new < high else (low + high) / 2
        if abs(new - root) <= mpf(10) ** -47 * max(1, abs(new)):
            return new
        root = new
    raise AssertionError("no root")


def ellipse(r0: Any, eta: Any, a: Any, mu: Any, dt: Any) -> tuple[Any, ...]:
    """f, g, f', g' by eccentric anomalies (Danby 1988, section 6.3), and the anomaly's change less
    whole turns."""
    n = mpmath.sqrt(mu / a**3)
    cosine, sine = 1 - r0 / a, eta / mpmath.sqrt(mu * a)
    e, start = mpmath.hypot(cosine, sine), mpmath.atan2(sine, cosine)
    mean = start - sine + n * dt
    turns = mpmath.nint(mean / (2 * mpmath.pi))
    mean -= 2 * mpmath.pi * turns
    end = bisected(
        lambda E: E - e * mpmath.sin(E) - mean, lambda E: 1 - e * mpmath.cos(E), mpf(-4), mpf(4)
    )
    change, r = end + 2 * mpmath.pi * turns - start, a * (1 - e * mpmath.cos(end))
    s, c = mpmath.sin(change), mpmath.cos(change)
    return (
        1 - a / r0 * (1 - c),
        dt - (change - s) / n,
        -mpmath.sqrt(mu * a) / (r * r0) * s,
        1 - a / r * (1 - c),
        abs(end - start),
    )


def hyperbola(r0: Any, eta: Any, a: Any, mu: Any, dt: Any) -> tuple[Any, ...]:
    """The same for an axis -a below zero."""
    n = mpmath.sqrt(mu / a**3)
    cosine, sine = 1 + r0 / a, eta / mpmath.sqrt(mu * a)
    e = mpmath.sqrt(cosine**2 - sine**2)
    start = mpmath.asinh(sine / e)
    mean = sine - start + n * dt
    reach = mpmath.asinh(abs(mean) / (e - 1)) + 1
    end = bisected(
        lambda H: e * mpmath.sinh(H) - H - mean, lambda H: e * mpmath.cosh(H) - 1, -reach, reach
    )
    change, r = end - start, a * (e * mpmath.cosh(end) - 1)
    s, c = mpmath.sinh(change), mpmath.cosh(change)
    return (
        1 - a / r0 * (c - 1),
        dt - (s - change) / n,
        -mpmath.sqrt(mu * a) / (r * r0) * s,
        1 - a / r * (c - 1),
        abs(change),
    )


def exact(numbers: tuple[Any, ...]) -> tuple[list[Any], float]:
    """Position and velocity after the step, from (q, v, mu, dt), and the change of the anomaly."""
    *state, mu, dt = map(mpf, numbers)
    r0, speed2 = mpmath.norm(state[:3]), mpmath.fdot(state[3:], state[3:])
    a = 1 / (2 / r0 - speed2 / mu)
    f, g, df, dg, change = (ellipse if a > 0 else hyperbola)(
        r0, mpmath.fdot(state[:3], state[3:]), abs(a), mu, dt
    )
    pairs = list(zip(state[:3], state[3:], strict=True))
    return [f * q + g * v for q, v in pairs] + [df * q + dg * v for q, v in pairs], float(change)


def moved(coefficients: tuple[float, ...], numbers: tuple[float, ...]) -> list[Any]:
    f, g, df, dg = map(mpf, coefficients)
    q, v = [mpf(number) for number in numbers[:3]], [mpf(number) for number in numbers[3:6]]
    return [a + f * a + g * b for a, b in zip(q, v, strict=True)] + [
        b + df * a + dg * b for a, b in zip(q, v, strict=True)
    ]


def distances(a: list[Any], b: list[Any]) -> np.ndarray:
    """Of the two positions and of the two velocities."""
    return np.array(
        [
            float(mpmath.norm([s - t for s, t in zip(a[part], b[part], strict=True)]))
            for part in (slice(0, 3), slice(3, 6))
        ]
    )


def tolerance(numbers: tuple[float, ...], after: list[Any], change: float) -> np.ndarray:
    """Of position and velocity: what inputs that are each off by EPS would do (the problem's
    condition), fifty times over.

    Some fifty operations round by half an EPS. The functions of the anomaly's change are built by
    doubling a small argument, which doubles their error each time: in all by twice the change.
    """
    total = np.zeros(2)
    for k in range(8):
        off = list(map(mpf, numbers))
        off[k] *= 1 + mpf(10) ** -25
        total += distances(exact(tuple(off))[0], after) * 1e25
    return 50 * EPS * (1 + 2 * change) * total


def assert_accurate(solve: Any, numbers: tuple[float, ...]) -> None:
    after, change = exact(numbers)
    errors = distances(moved(solve(*numbers), numbers), after)
    assert (errors <= tolerance(numbers, after, change)).all()


@st.composite
def orbits(draw: st.DrawFn, eccentricities: Any) -> tuple[float, ...]:
    """q, v, mu: anywhere on the conic, pericentres from 0.01 to 100 in any orientation."""
    e, nearest, mu = (
        draw(eccentricities),
        10 ** draw(st.floats(-2, 2)),
        10 ** draw(st.floats(-3, 3)),
    )
    farthest = np.pi if e < 1 else 0.98 * np.arccos(-1 / e)
    anomaly = farthest * draw(st.floats(-1, 1))
    stream = np.random.default_rng(draw(st.integers(0, 10**6)))
    (u, w, _), p = np.linalg.qr(stream.normal(size=(3, 3)))[0], nearest * (1 + e)
    q = p / (1 + e * np.cos(anomaly)) * (np.cos(anomaly) * u + np.sin(anomaly) * w)
    v = np.sqrt(mu / p) * (-np.sin(anomaly) * u + (e + np.cos(anomaly)) * w)
    return (*map(float, q), *map(float, v), mu)


def local_time(orbit: tuple[float, ...]) -> float:
    """A period of the circle through the body: the time that a step is measured in."""
    return float(2 * np.pi * np.sqrt(np.linalg.norm(orbit[:3]) ** 3 / orbit[6]))


KINDS = {
    "ellipses": st.floats(0.0, 0.99),
    "narrow ellipses": st.floats(0.99, 1 - 1e-6),
    "hyperbolas": st.floats(1 + 1e-4, 10.0),
    "nearly parabolas": (
        st.floats(-12, -6).flatmap(lambda power: st.sampled_from([1 - 10**power, 1 + 10**power]))
    ),
}
steps = st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(-4, 3)).map(
    lambda pair: pair[0] * 10 ** pair[1]
)


@solvers
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_against_anomalies_in_fifty_digits(solve: Any, kind: str, data: st.DataObject) -> None:
    """From a ten-thousandth of the local period to a thousand of them, forwards and backwards."""
    orbit = data.draw(orbits(KINDS[kind]))
    assert_accurate(solve, (*orbit, local_time(orbit) * data.draw(steps)))


@solvers
@pytest.mark.parametrize("turns", [0.25, 0.4999, -0.4, 10.3])
@pytest.mark.parametrize("e", [0.5, 0.9, 0.97, 0.99, 0.999])
def test_long_steps_from_the_pericentre(solve: Any, e: float, turns: float) -> None:
    """The hardest start: the local period, from which iterations set out, is shorter than the
    orbit's by (1 - e)^1.5."""
    assert_accurate(
        solve,
        (
            1.0 - e,
            0.0,
            0.0,
            0.0,
            float(np.sqrt((1 + e) / (1 - e))),
            0.0,
            1.0,
            float(turns * 2 * np.pi),
        ),
    )


@solvers
@settings(deadline=None, max_examples=40)
@given(orbit=orbits(KINDS["ellipses"]), step=steps)
def test_the_step_keeps_areas(solve: Any, orbit: tuple[float, ...], step: float) -> None:
    """f g' - f' g = 1 (Wronski), to the rounding of its own terms and of the sums that f - 1 and g'
    - 1 come from."""
    f, g, df, dg = solve(*orbit, local_time(orbit) * step)
    terms = 1 + abs(f) + abs(dg) + abs(f * dg) + abs(df * g)
    # r = r0 + eta G1 + zeta G2 loses r0 / r when a body falls in, at most (1 + e) / (1 - e) = 199
    assert abs(f + dg + f * dg - df * g) <= 50 * EPS * terms * 199


@solvers
def test_no_time_no_motion(solve: Any) -> None:
    assert solve(1.0, 0.5, 0.0, 0.1, 1.0, 0.2, 1.5, 0.0) == (0.0, 0.0, 0.0, 0.0)


@solvers
def test_a_circle(solve: Any) -> None:
    """A quarter of a turn at radius 4, speed 1/2, period 16 pi: q' = 8 v, v' = -q / 8."""
    found = solve(4.0, 0.0, 0.0, 0.0, 0.5, 0.0, 1.0, 4 * np.pi)
    np.testing.assert_allclose(found, (-1.0, 8.0, -0.125, -1.0), rtol=0, atol=20 * EPS)


@settings(deadline=None, max_examples=40)
@given(orbit=orbits(st.floats(0.0, 0.9)), step=st.floats(-3.0, 3.0))
def test_both_solvers_give_the_same_numbers(orbit: tuple[float, ...], step: float) -> None:
    numbers = (*orbit, local_time(orbit) * step)
    apart = distances(moved(arrays(*numbers), numbers), moved(compiled(*numbers), numbers))
    assert (apart <= 2 * tolerance(numbers, *exact(numbers))).all()


def test_whole_arrays_are_solved_at_once() -> None:
    """A slow and a fast orbit in one call give what each gives alone, to the rounding of more
    halvings of the argument."""
    stream = np.random.default_rng(0)
    q, v = (
        stream.normal(size=(2, 5, 3)) * np.array([1.0, 30.0])[:, None, None],
        stream.normal(size=(2, 5, 3)) * 0.3,
    )
    together = kepler_coefficients(q, v, 2.0, 0.7)
    for place in np.ndindex(2, 5):
        alone = kepler_coefficients(q[place], v[place], 2.0, 0.7)
        np.testing.assert_allclose(
            [c[place][0] for c in together], [c[0] for c in alone], rtol=1e-10, atol=1e-13
        )


@pytest.mark.parametrize("z", [-30.0, -1.0, -1e-3, 0.0, 1e-9, 0.3, 2.0, 39.0])
def test_stumpff_functions(z: float) -> None:
    """c0 = cos, c1 = sin / x, c2 = (1 - cos) / x^2, c3 = (x - sin) / x^3 of x = sqrt(z), in fifty
    digits."""
    x = mpmath.sqrt(mpmath.mpc(z))
    s, c = mpmath.sin(x), mpmath.cos(x)
    expected = (
        [1, 1, mpf(1) / 2, mpf(1) / 6] if z == 0 else [c, s / x, (1 - c) / x**2, (x - s) / x**3]
    )
    found = stumpff(np.array([z]))
    # each of at most four doublings of the argument doubles the error of c0, whose values reach
    # cosh(5.5) = 120
    scale = float(abs(mpmath.cosh(mpmath.sqrt(max(-z, 0)))))
    np.testing.assert_allclose(
        [float(a[0]) for a in found],
        [float(mpmath.re(b)) for b in expected],
        rtol=0,
        atol=64 * EPS * scale,
    )


@pytest.mark.parametrize("dt", [5e-324, -5e-324, 1e-310, -1e-310, 1e-200])
@pytest.mark.parametrize("speed", [0.3, 1.0, 2.0, 1e5])
@solvers
def test_a_step_that_underflows_changes_nothing(solve: Any, dt: float, speed: float) -> None:
    """The bracket of an unbound body began at the anomaly's change, which is zero here, and was
    doubled for ever."""
    f, g, df, dg = solve(3.0, 0.0, 0.0, 0.0, speed, 0.0, 0.7, dt)
    assert (f, dg) == (0.0, 0.0)
    assert g == pytest.approx(dt, abs=1e-323)
    assert abs(df) <= abs(dt)


def test_arguments_that_are_not_finite_end_in_no_number() -> None:
    """And leave the others alone."""
    z = np.array([np.inf, 0.3, -np.inf, np.nan, -2.0])
    for found, alone in zip(stumpff(z), stumpff(z[[1, 4]]), strict=True):
        assert np.isnan(found[[0, 2, 3]]).all()
        np.testing.assert_array_equal(found[[1, 4]], alone)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e300])
@solvers
def test_states_that_are_not_sound_end(solve: Any, wild: float) -> None:
    """The loops have bounds, and what is not finite does not come out as a conic."""
    for x, vx, vy, mu, dt in (
        (wild, 0.0, 1.0, 1.0, 0.1),
        (1.0, wild, 1.0, 1.0, 0.1),
        (1.0, 0.0, 1.0, wild, 0.1),
        (1.0, 0.0, 2.0, 1.0, wild),
    ):
        found = solve(x, 0.0, 0.0, vx, vy, 0.0, mu, dt)
        assert np.isfinite(wild) or not np.isfinite(found).all()


def test_the_drift_of_a_state_over_nothing() -> None:
    """As it was met: G = .7 and a light body that is not bound."""
    system = System.create(
        [[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]],
        velocities=[[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]],
        masses=[1.0, 1e-3],
    )
    after = KeplerDrift(0, 0.7)(State(system), -5e-324).system
    np.testing.assert_allclose(after.positions, system.positions, rtol=0, atol=1e-322)
    np.testing.assert_allclose(after.momenta, system.momenta, rtol=0, atol=1e-322)
