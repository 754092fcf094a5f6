"""Cells: wrapping, volume and heights."""

import itertools

import numpy as np
import pytest
from ase.geometry import find_mic
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.cell import heights, volume, wrap

PBC = list(itertools.product((False, True), repeat=3))
EPS = 2.0**-52


@st.composite
def cells(draw: st.DrawFn, skew: float = 4.0) -> np.ndarray:
    """Triclinic cells in any orientation and of either hand, edges 0.5 to 3, sheared by up to
    ``skew`` diagonals."""
    stream = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sheared = np.tril(stream.uniform(-skew, skew, (3, 3)), -1) + np.diag(
        stream.uniform(0.5, 3.0, 3)
    )
    rotation, _ = np.linalg.qr(stream.normal(size=(3, 3)))
    return sheared[stream.permutation(3)] @ rotation


def vectors(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-6.0, 6.0, (n, 3))


def whole_images(change: np.ndarray, cell: np.ndarray, pbc: tuple[bool, ...]) -> bool:
    """Whether a change is a sum of whole lattice vectors along the periodic directions."""
    counts = change @ np.linalg.inv(cell)
    # counts up to about 100 come from a product with an inverse whose condition is below 1e3
    return bool(
        np.all(abs(counts - np.round(counts)) < 1e5 * EPS)
        and np.all(np.round(counts)[..., ~np.array(pbc)] == 0)
    )


@pytest.mark.parametrize("pbc", PBC)
@settings(deadline=None, max_examples=25)
@given(cell=cells(), seed=st.integers(0, 1000))
def test_wrap_moves_by_whole_lattice_vectors_into_the_cell(
    pbc: tuple[bool, bool, bool], cell: np.ndarray, seed: int
) -> None:
    positions = vectors(seed, 5)
    wrapped = wrap(positions, cell, pbc)
    fractions = (wrapped @ np.linalg.inv(cell))[:, list(pbc)]
    # the fractions are computed anew from positions that were rounded
    assert np.all(fractions > -1e5 * EPS)
    assert np.all(fractions < 1.0 + 1e5 * EPS)
    assert whole_images(wrapped - positions, cell, pbc)


@settings(deadline=None)
@given(x=st.floats(-1e6, 1e6))
def test_wrap_into_the_unit_cube_stays_below_one(x: float) -> None:
    """No rounding at all in a unit cube: 0 <= x < 1 holds exactly, also for the smallest negative
    numbers."""
    wrapped = wrap(np.array([[x, 0.0, 0.0]]), np.eye(3))[0, 0]
    assert 0.0 <= wrapped < 1.0


@settings(deadline=None, max_examples=50)
@given(cell=cells())
def test_volume_and_heights_are_those_of_the_parallelepiped(cell: np.ndarray) -> None:
    a, b, c = cell
    expected = abs(a @ np.cross(b, c))
    areas = np.linalg.norm([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    # condition below 1e3
    assert volume(cell) == pytest.approx(expected, rel=1e5 * EPS)
    np.testing.assert_allclose(heights(cell), expected / areas, rtol=1e5 * EPS)


def test_volume_and_heights_of_many_cells() -> None:
    many = np.array([np.diag([1.0, 2.0, 3.0]), np.diag([-4.0, 5.0, 6.0])])
    np.testing.assert_allclose(volume(many), [6.0, 120.0], rtol=4 * EPS)
    np.testing.assert_allclose(heights(many), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], rtol=4 * EPS)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_slab_without_its_third_vector(missing: int) -> None:
    """As ASE has it: a lattice vector of zeros stands for a direction that does not repeat."""
    cell = np.array([[2.0, 0.5, 0.1], [0.3, 3.0, -0.2], [0.4, 0.1, 4.0]])
    cell[missing] = 0.0
    pbc = (missing != 0, missing != 1, missing != 2)
    positions = vectors(1, 20)
    wrapped = wrap(positions, cell, pbc)
    normal = np.cross(*cell[[k for k in range(3) if k != missing]])
    np.testing.assert_allclose((wrapped - positions) @ normal, 0.0, atol=1e3 * EPS)
    _, moved = find_mic(wrapped - positions, cell, pbc)  # but for whole lattice vectors
    np.testing.assert_allclose(moved, 0.0, atol=1e3 * EPS)
    found = heights(cell)
    assert found[missing] == np.inf
    first, second = cell[[k for k in range(3) if k != missing]]
    area = np.linalg.norm(np.cross(first, second))
    expected = [area / np.linalg.norm(second), area / np.linalg.norm(first)]
    np.testing.assert_allclose(np.delete(found, missing), expected, rtol=1e3 * EPS)
