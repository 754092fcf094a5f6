"""Harmonics and their couplings turn together; what two vectors, and a tensor and a vector, make is
what matrices say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcegnn.harmonics import MOST, components, couplings

CLOSE = 1e-13  # sums of some tens of products of order one


def harmonics(directions: np.ndarray, n_degrees: int = MOST) -> np.ndarray:
    """[N, n] of directions [n, 3], one degree after the other."""
    return np.concatenate([np.stack(parts) for parts in components(*directions.T, n_degrees)])


def directions(n: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def turning(turn: np.ndarray) -> np.ndarray:
    """The matrix [N, N] by which the harmonics of all degrees turn, from those of many
    directions."""
    before = directions(60, 0)
    found = np.linalg.lstsq(harmonics(before).T, harmonics(before @ turn.T).T, rcond=None)[0].T
    np.testing.assert_allclose(found @ harmonics(before), harmonics(before @ turn.T), atol=CLOSE)
    return found


def test_harmonics_of_a_degree_have_unit_length_and_legendres_polynomial_between_them() -> None:
    u, v = directions(20, 1), directions(20, 2)
    cosine = (u * v).sum(1)
    for degree, (a, b) in enumerate(
        zip(components(*u.T, MOST), components(*v.T, MOST), strict=True), 1
    ):
        np.testing.assert_allclose(np.square(a).sum(0), 1.0, atol=CLOSE)
        np.testing.assert_allclose(
            np.multiply(a, b).sum(0), np.polynomial.Legendre.basis(degree)(cosine), atol=CLOSE
        )


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_couplings_turn_and_are_mirrored_as_harmonics_are(seed: int) -> None:
    stream = np.random.default_rng(seed)
    q, r = np.linalg.qr(stream.normal(size=(3, 3)))
    whole, table = turning(q * np.sign(np.diag(r))), couplings(MOST)
    left, right = stream.normal(size=(2, len(table)))
    made = np.einsum("cab,a,b->c", table, left, right)
    np.testing.assert_allclose(
        np.einsum("cab,a,b->c", table, whole @ left, whole @ right), whole @ made, atol=100 * CLOSE
    )


@pytest.mark.parametrize("n_degrees", range(1, MOST + 1))
def test_fewer_degrees_are_the_beginning_of_more(n_degrees: int) -> None:
    n = n_degrees * (n_degrees + 2)
    np.testing.assert_allclose(couplings(n_degrees), couplings(MOST)[:n, :n, :n], atol=CLOSE)


def test_coupling_coefficients_are_normalised() -> None:
    """Where the sum of the degrees is even and none is larger than the sum of the others; elsewhere
    all numbers are zero."""
    degrees, starts = range(1, MOST + 1), [0, 3, 8, 15]
    blocks = {d: slice(starts[d - 1], starts[d]) for d in degrees}
    for out, a, b in itertools.product(degrees, repeat=3):
        block = couplings(MOST)[blocks[out], blocks[a], blocks[b]]
        there = (out + a + b) % 2 == 0 and abs(a - b) <= out <= a + b
        np.testing.assert_allclose((block**2).sum((1, 2)), float(there), atol=CLOSE)


def test_vectors_alone_make_none() -> None:
    """The cross product of two is mirrored otherwise."""
    assert not couplings(1).any()


def test_two_vectors_and_a_tensor_and_a_vector() -> None:
    """The symmetric part without a trace of the product, and the product of a matrix and a vector,
    but for a factor."""
    stream = np.random.default_rng(3)
    u, v, t = stream.normal(size=3), stream.normal(size=3), stream.normal(size=5)
    table = couplings(2)
    basis = np.linalg.lstsq(
        harmonics(directions(60, 0), 2)[3:].T, _dyads(directions(60, 0)).reshape(60, 9), rcond=None
    )[0].reshape(5, 3, 3)
    product = np.outer(u, v) + np.outer(v, u)
    wanted = product - np.trace(product) / 3 * np.eye(3)
    found = np.einsum("c,cij->ij", np.einsum("cab,a,b->c", table[3:, :3, :3], u, v), basis)
    assert _parallel(found, wanted) == pytest.approx(1.0, abs=CLOSE)
    turned = np.einsum("cab,a,b->c", table[:3, 3:, :3], t, u)
    assert _parallel(turned, np.einsum("c,cij->ij", t, basis) @ u) == pytest.approx(1.0, abs=CLOSE)


def _dyads(u: np.ndarray) -> np.ndarray:
    return np.asarray(u[:, :, None] * u[:, None, :] - np.eye(3) / 3)


def _parallel(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
