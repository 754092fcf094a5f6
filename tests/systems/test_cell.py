"""Cells: wrapping, the shortest image against brute force, volume and heights."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from systems.cell import heights, minimum_image, volume, wrap

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


def shortest_by_brute_force(offset: np.ndarray, cell: np.ndarray, pbc: tuple[bool, ...]) -> float:
    """The smallest length of offset + image: every image within reach of the offset's own length is
    looked at.

    |fraction_k + n_k| * height_k is a distance to a plane through the origin, so no n_k beyond
    length / height_k can win, where the length is that of the offset once it is wrapped. Among
    images that differ along the first edge alone the squared length is a parabola, whose best whole
    number is the one nearest to its vertex. Along a direction that is not periodic there is one
    image.
    """
    inverse = np.linalg.inv(cell)
    offset = offset - (np.round(offset @ inverse) * pbc) @ cell
    reach = (
        np.ceil(
            np.linalg.norm(offset) * np.linalg.norm(inverse, axis=0) + abs(offset @ inverse)
        ).astype(int)
        * pbc
    )
    second, third = np.meshgrid(*[np.arange(-n, n + 1) for n in reach[1:]])
    images = offset + second.reshape(-1, 1) * cell[1] + third.reshape(-1, 1) * cell[2]
    nearest = np.round(images @ cell[0] / (cell[0] @ cell[0])) * pbc[0]
    return float(np.linalg.norm(images - nearest[:, None] * cell[0], axis=1).min())


def whole_images(change: np.ndarray, cell: np.ndarray, pbc: tuple[bool, ...]) -> bool:
    """Whether a change is a sum of whole lattice vectors along the periodic directions."""
    counts = change @ np.linalg.inv(cell)
    # counts up to about 100 come from a product with an inverse whose condition is below 1e3
    return bool(
        np.all(abs(counts - np.round(counts)) < 1e5 * EPS)
        and np.all(np.round(counts)[..., ~np.array(pbc)] == 0)
    )


# wrapped the textbook's way, offsets of this cell come out shorter than half its shortest edge and
# are still not the shortest
DECEPTIVE = np.array(
    [
        [-0.82181835, -0.76921506, 2.72645111],
        [0.87038532, -0.61242961, 3.11058308],
        [1.59628365, 0.50876635, 2.67231905],
    ]
)


@pytest.mark.parametrize("pbc", PBC)
@settings(deadline=None, max_examples=25)
@given(cell=cells(), seed=st.integers(0, 1000))
@example(cell=DECEPTIVE, seed=683)
def test_minimum_image_is_the_shortest_of_all(
    pbc: tuple[bool, bool, bool], cell: np.ndarray, seed: int
) -> None:
    offsets = vectors(seed, 4)
    found = minimum_image(offsets, cell, pbc)
    expected = [shortest_by_brute_force(offset, cell, pbc) for offset in offsets]
    # lengths up to 10 of sums of lattice vectors up to 100 long
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), expected, rtol=0, atol=1e4 * EPS)
    assert whole_images(found - offsets, cell, pbc)


@pytest.mark.parametrize("shear", [10.0, 31.4])
def test_minimum_image_of_a_very_skewed_cell(shear: float) -> None:
    """Unit heights, but edges many times as long: rounding fractions, the textbook's way, is wrong
    for most offsets."""
    cell = np.array([[1.0, 0.0, 0.0], [shear, 1.0, 0.0], [-shear, 0.7 * shear, 1.0]])
    offsets = vectors(3, 40)
    lengths = np.linalg.norm(minimum_image(offsets, cell), axis=-1)
    expected = [shortest_by_brute_force(offset, cell, (True, True, True)) for offset in offsets]
    np.testing.assert_allclose(lengths, expected, rtol=0, atol=1e5 * EPS)
    rounded = offsets - np.round(offsets @ np.linalg.inv(cell)) @ cell
    assert (np.linalg.norm(rounded, axis=-1) > lengths + 0.1).mean() > 0.5


def test_minimum_image_keeps_the_shape() -> None:
    cell, offsets = np.diag([2.0, 3.0, 4.0]), vectors(0, 24).reshape(2, 3, 4, 3)
    np.testing.assert_array_equal(
        minimum_image(offsets, cell)[1, 2, 3], minimum_image(offsets[1, 2, 3], cell)
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
    np.testing.assert_allclose(minimum_image(wrapped - positions, cell, pbc), 0.0, atol=1e3 * EPS)
    found = heights(cell)
    assert found[missing] == np.inf
    first, second = cell[[k for k in range(3) if k != missing]]
    area = np.linalg.norm(np.cross(first, second))
    expected = [area / np.linalg.norm(second), area / np.linalg.norm(first)]
    np.testing.assert_allclose(np.delete(found, missing), expected, rtol=1e3 * EPS)
