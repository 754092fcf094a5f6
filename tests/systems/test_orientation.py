"""Standard orientation against ASE's, and laws: lengths, angles, handedness, distances, tensors,
ensembles."""

import numpy as np
import pytest
from ase.geometry import cellpar_to_cell
from ase.geometry.cell import cell_to_cellpar

from systems.cell import minimum_image
from systems.orientation import compact_basis, standard_orientation, without_images


def random_cell(stream: np.random.Generator) -> np.ndarray:
    """Of any shape, orientation and hand."""
    while True:
        cell = stream.normal(size=(3, 3)) * stream.uniform(1.0, 10.0, (3, 1))
        if abs(np.linalg.det(cell)) > 0.05 * np.prod(np.linalg.norm(cell, axis=1)):
            return cell


@pytest.mark.parametrize("seed", range(40))
def test_a_turned_cell_is_the_one_of_its_lengths_and_angles(seed: int) -> None:
    """ASE makes the same of lengths and angles; every lattice vector is turned to one of the
    lattice."""
    cell = random_cell(np.random.default_rng(seed))
    found = standard_orientation(cell)
    np.testing.assert_allclose(
        found.cell, cellpar_to_cell(cell_to_cellpar(cell)), rtol=0, atol=1e-12 * abs(cell).max()
    )
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    hand = np.sign(np.linalg.det(cell))
    np.testing.assert_allclose(
        found.turn(cell), hand * found.cell, rtol=0, atol=1e-13 * abs(cell).max()
    )
    assert not np.triu(found.cell, 1).any()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_turned(seed: int) -> None:
    """Shortest images, power and stress work are those of before."""
    stream = np.random.default_rng(seed)
    cell, x, v, f = random_cell(stream), *stream.normal(size=(3, 7, 3)) * 5.0
    stress, found = stream.normal(size=(3, 3)), standard_orientation(cell)
    pbc = tuple(bool(p) for p in stream.integers(0, 2, 3))
    offsets = x[1:] - x[:-1]
    lengths = np.linalg.norm(minimum_image(offsets, cell, pbc), axis=-1)
    np.testing.assert_allclose(
        np.linalg.norm(minimum_image(found.turn(offsets), found.cell, pbc), axis=-1),
        lengths,
        rtol=1e-10,
    )
    np.testing.assert_allclose((found.turn(v) * found.turn(f)).sum(-1), (v * f).sum(-1), atol=1e-12)
    turned = found.rotation.T @ stress @ found.rotation
    work = np.einsum("na,ab,nb->n", v, stress, f)
    np.testing.assert_allclose(
        np.einsum("na,ab,nb->n", found.turn(v), turned, found.turn(f)),
        work,
        atol=1e-11,
    )
    # chirality: the volume of three vectors keeps its sign
    assert np.linalg.det(found.turn(x[:3])) == pytest.approx(np.linalg.det(x[:3]))


def test_what_is_standard_is_left_to_the_bit() -> None:
    cell = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-1.0, 1.5, 10.0]])
    found = standard_orientation(cell)
    np.testing.assert_array_equal(found.cell, cell)
    np.testing.assert_array_equal(found.rotation, np.eye(3))


def test_ensembles_and_missing_vectors() -> None:
    stream = np.random.default_rng(1)
    cells = np.stack([random_cell(stream) for _ in range(6)]).reshape(2, 3, 3, 3)
    cells[1, 2, 1] = 0.0
    x = stream.normal(size=(2, 3, 5, 3))
    found = standard_orientation(cells)
    for k in np.ndindex(2, 3):
        one = standard_orientation(cells[k])
        np.testing.assert_allclose(found.cell[k], one.cell, atol=1e-13)
        np.testing.assert_allclose(found.turn(x)[k], one.turn(x[k]), atol=1e-13)
    assert not found.cell[1, 2, 1].any()
    np.testing.assert_allclose(np.linalg.norm(found.cell, axis=-1), np.linalg.norm(cells, axis=-1))


@pytest.mark.parametrize(
    "pbc", [(True, True, False), (False, True, True), (True, False, False), (False, False, False)]
)
def test_without_images(pbc: tuple[bool, bool, bool]) -> None:
    """All directions periodic in the cell that is given out, the shortest offsets are those of the
    periodic ones alone."""
    stream = np.random.default_rng(sum(pbc))
    cell, offsets = random_cell(stream), 8.0 * stream.normal(size=(50, 3))
    given = without_images(cell, pbc, 1000.0)
    found, expected = minimum_image(offsets, given), minimum_image(offsets, cell, pbc)
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=-1), np.linalg.norm(expected, axis=-1), rtol=1e-10
    )


def test_a_compact_basis_is_of_the_same_lattice() -> None:
    """Unchanged where no sum of vectors is much shorter than they are; else reduced, with the same
    volume and hand."""
    stream, changed = np.random.default_rng(3), 0
    for k in range(100):
        lengths = stream.uniform(1.0, 3.0, (3, 1))
        cell = lengths * (np.eye(3) + stream.uniform(-0.2 - 0.01 * k, 0.2 + 0.01 * k, (3, 3)))
        basis = compact_basis(cell)
        assert round(abs(np.linalg.det(basis))) == 1
        assert np.linalg.det(basis @ cell) == pytest.approx(np.linalg.det(cell))
        short = np.linalg.norm(basis @ cell, axis=-1)
        assert (np.sort(short) <= np.sort(np.linalg.norm(cell, axis=-1)) + 1e-9).all()
        changed += bool((basis != np.eye(3)).any())
        np.testing.assert_array_equal(compact_basis(basis @ cell), np.eye(3))
    assert 10 < changed < 90
    for cell in (
        np.diag([3.0, 1.0, 2.0]),
        np.array([[1.0, 0, 0], [0.5, 0.75**0.5, 0], [0.5, 12**-0.5, (2 / 3) ** 0.5]]),
    ):
        np.testing.assert_array_equal(compact_basis(cell), np.eye(3))
