"""Neighbours: the cell list against the brute force that defines them, ASE's and vesin's, in cells
of every kind."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.cell import heights
from systems.neighbors.cells import cell_list
from systems.neighbors.pairs import Pairs, halved
from systems.potentials.lennard_jones import LennardJones
from systems.system import System


def box(positions: Any, cell: Any = None, pbc: Any = (False, False, False)) -> System:
    system = System.create(np.asarray(positions, dtype=float).reshape(-1, 3))
    return replace(
        system,
        cell=None if cell is None else np.asarray(cell, dtype=float),
        pbc=tuple(bool(p) for p in pbc),
    )


def random_system(seed: int, farthest: float = 30.0) -> tuple[System, float]:
    """Triclinic, thin, tiny or large cells, any mix of periodic directions, particles inside or far
    outside, some on top of others."""
    stream = np.random.default_rng(seed)
    n = int(stream.choice([1, 2, 3, 10, 60]))
    lengths = 10.0 ** stream.uniform(-0.3, 1.2, 3)
    cell = np.diag(lengths)
    if stream.random() < 0.8:
        cell = cell + stream.uniform(-0.9, 0.9, (3, 3)) * lengths * stream.choice([0.1, 0.5, 1.0])
    if abs(np.linalg.det(cell)) < 0.05 * np.prod(np.linalg.norm(cell, axis=-1)):
        cell = np.diag(lengths)
    pbc = stream.random(3) < 0.6
    spread = min(float(stream.choice([1.0, 1.0, 3.0, 30.0])), farthest)
    x = (stream.random((n, 3)) * spread - (spread - 1.0) / 2) @ cell
    if n > 2 and stream.random() < 0.3:
        x[1] = x[0]
    # up to three cells away, which is 7^3 images for the brute force
    return box(x, cell, pbc), min(
        float(10.0 ** stream.uniform(-0.5, 0.8)), 2.93 * heights(cell).min()
    )


def as_set(pairs: Pairs) -> set[tuple[int, ...]]:
    return set(zip(pairs.i.tolist(), pairs.j.tolist(), *pairs.shift.T.tolist(), strict=True))


def sound(pairs: Pairs, n: int) -> None:
    """Sorted by centre, with matching starts and the types that are promised, no pair twice."""
    assert (np.diff(pairs.i) >= 0).all()
    np.testing.assert_array_equal(np.bincount(pairs.i, minlength=n), np.diff(pairs.starts))
    assert (pairs.starts[0], pairs.starts[-1]) == (0, len(pairs))
    assert pairs.i.dtype == pairs.j.dtype == pairs.image.dtype == np.int32
    assert pairs.shift.dtype == (
        np.int8 if not len(pairs) or abs(pairs.shift.astype(int)).max() < 100 else pairs.shift.dtype
    )
    assert len(as_set(pairs)) == len(pairs)


@settings(deadline=None, max_examples=400)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_cell_list_is_the_definition_and_ases(neighbor_pairs: Any, seed: int) -> None:
    system, cutoff = random_system(seed)
    n = system.n_particles
    found, defined = cell_list(*system.geometry, cutoff), neighbor_pairs(*system.geometry, cutoff)
    sound(found, n)
    sound(defined, n)
    assert as_set(found) == as_set(defined)
    # ASE looks 3 Angstrom far however short the cutoff is, and in a thin cell takes tens of
    # gigabytes for it
    if n**2 * np.prod(2 * np.ceil(3.0 / heights(system.cell)) + 1, where=system.pbc) < 1e7:
        i, j, shift = neighbor_list(
            "ijS", Atoms(f"H{n}", system.positions, cell=system.cell, pbc=system.pbc), cutoff
        )
        assert as_set(found) == set(zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True))
    order = np.lexsort([*found.shift.T[::-1], found.j, found.i])
    np.testing.assert_array_equal(order, np.arange(len(found)))  # by centre, neighbour and shift
    r = np.linalg.norm(found.offsets(system.positions, system.cell), axis=-1)
    assert (r < cutoff * (1 + 1e-9)).all()


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1))
def test_vesin_finds_the_same(seed: int) -> None:
    vesin = pytest.importorskip("vesin", reason="vesin, an oracle, is not installed")
    system, cutoff = random_system(seed, farthest=1.0)
    options = {
        "points": system.positions,
        "box": system.cell,
        "periodic": list(system.pbc),
        "quantities": "ijS",
    }
    i, j, shift = vesin.NeighborList(cutoff=cutoff, full_list=True).compute(**options)
    assert as_set(cell_list(*system.geometry, cutoff)) == set(
        zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True)
    )


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1))
def test_half_of_the_pairs(seed: int) -> None:
    """One of each two mirror pairs, and with their mirror images, all."""
    system, cutoff = random_system(seed)
    whole, half = cell_list(*system.geometry, cutoff), halved(cell_list(*system.geometry, cutoff))
    sound(half, system.n_particles)
    assert 2 * len(half) == len(whole)
    mirrored = {(j, i, -a, -b, -c) for i, j, a, b, c in as_set(half)}
    assert as_set(half) | mirrored == as_set(whole)
    assert (half.i <= half.j).all()


SHELLS = [
    ("Fe", 2.87, 2, 5.74),
    ("Fe", 2.87, 3, 5.74),
    ("Cu", 3.6, 5, 7.2),
    ("Al", 4.05, 2, 8.1),
    ("W", 3.16, 4, 4.74),
    ("Ni", 3.52, 3, 3.52),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("element", "a", "repeat", "cutoff"), SHELLS)
def test_a_cutoff_at_a_shell_of_the_lattice(
    neighbor_pairs: Any, element: str, a: float, repeat: int, cutoff: float, turned: bool
) -> None:
    """Many pairs are exactly that far apart, or would be without rounding: each is near from both
    of its sides or from none."""
    atoms = bulk(element, a=a, cubic=True).repeat(repeat)
    if turned:
        atoms.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
    for moved in (0.0, 0.1, 12.3):
        system = box(atoms.positions + moved, atoms.cell, (True, True, True))
        for threads in (1, 2):
            found = cell_list(*system.geometry, cutoff, threads)
            sound(found, len(atoms))
            assert as_set(found) == {(j, i, -a, -b, -c) for i, j, a, b, c in as_set(found)}
        if not turned and moved == 0.0 and len(atoms) < 300:
            assert as_set(found) == as_set(neighbor_pairs(*system.geometry, cutoff))
    LennardJones(0.4, 2.3, cutoff=cutoff, skin=0.0)(system)


def test_lists_without_end_are_refused() -> None:
    collapsed = box(np.zeros((50, 3)), np.eye(3) * 0.05, (True, True, True))
    with pytest.raises(ValueError, match="the cell has collapsed"):
        cell_list(*collapsed.geometry, 5.0)
    with pytest.raises(ValueError, match="too far from one another"):
        cell_list(*box([[-1e308, 0, 0], [1e308, 0, 0]]).geometry, 1.0)


SIZES = st.sampled_from(
    [5e-324, 1e-320, 1e-300, 1e-160, 1e-30, 1e-3, 1.0, 1e3, 1e30, 1e150, 1e300, 1.7e308]
)


@settings(max_examples=300)
@given(
    size=SIZES,
    side=SIZES,
    cutoff=SIZES,
    pbc=st.sampled_from([(False,) * 3, (True,) * 3, (True, False, False)]),
    seed=st.integers(0, 99),
)
def test_numbers_of_any_size_end_in_pairs_or_in_words(
    neighbor_pairs: Any, size: float, side: float, cutoff: float, pbc: Any, seed: int
) -> None:
    """No list without end, and no search for one: bins, images and room are counted before they are
    made."""
    x = np.random.default_rng(seed).uniform(-1, 1, (5, 3)) * size
    with np.errstate(all="ignore"):
        system = box(x, np.eye(3) * side, pbc)
        try:
            found = cell_list(*system.geometry, cutoff)
        except ValueError as error:
            words = str(error)
        else:
            words = "pairs"
            assert as_set(found) == as_set(neighbor_pairs(*system.geometry, cutoff))
    assert any(word in words for word in ("pairs", "cutoff", "cell", "far", "position"))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_particles(neighbor_pairs: Any, n: int) -> None:
    x = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])[:n]
    whole = box([[0.0, 0, 0]])
    alone = replace(whole, positions=x)
    assert (
        len(cell_list(*alone.geometry, 2.0))
        == len(neighbor_pairs(*alone.geometry, 2.0))
        == (2 if n == 2 else 0)
    )
    assert len(cell_list(*alone.geometry, 2.0).starts) == n + 1
    crowded = replace(alone, cell=np.eye(3) * 1.5, pbc=(True, True, True))
    assert as_set(cell_list(*crowded.geometry, 4.0)) == as_set(
        neighbor_pairs(*crowded.geometry, 4.0)
    )


def test_many_images(neighbor_pairs: Any) -> None:
    """A cutoff of 20.9 cells: one particle sees 4 / 3 pi 20.9^3 of its images, to the surface's
    share."""
    alone = box([[0.2, 0.3, 0.4]], np.eye(3), (True, True, True))
    pairs = cell_list(*alone.geometry, 20.9)
    assert len(pairs) == pytest.approx(4 / 3 * np.pi * 20.9**3, rel=0.01)
    assert as_set(pairs) == as_set(neighbor_pairs(*alone.geometry, 20.9))


def test_far_outside_the_cell() -> None:
    """Shifts that a byte cannot hold are held by more."""
    system = box([[0.1, 0.1, 0.1], [400.2, 0.1, 0.1]], np.eye(3), (True, True, True))
    found = cell_list(*system.geometry, 0.5)
    assert as_set(found) == {(0, 1, -400, 0, 0), (1, 0, 400, 0, 0)}
    np.testing.assert_allclose(
        found.offsets(system.positions, system.cell), [[0.1, 0, 0], [-0.1, 0, 0]], atol=1e-12
    )


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_order_does_not_depend_on_threads(threads: int) -> None:
    stream = np.random.default_rng(0)
    system = box(stream.random((5000, 3)) * 20, np.eye(3) * 20, (True, True, False))
    one, more = cell_list(*system.geometry, 1.5), cell_list(*system.geometry, 1.5, threads=threads)
    for name in ("i", "j", "shift", "starts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(more, name))


def test_a_dense_clump_in_a_large_box(neighbor_pairs: Any) -> None:
    """Far more neighbours than the mean density says: room is made on the way; and few bins for
    much empty space."""
    stream = np.random.default_rng(1)
    x = np.concatenate([stream.random((600, 3)), [[900.0, 900.0, 900.0]]])
    system = box(x, np.eye(3) * 1000, (True, True, True))
    pairs = cell_list(*system.geometry, 2.0)
    assert len(pairs) == 600 * 599
    assert as_set(pairs) == as_set(neighbor_pairs(*system.geometry, 2.0))


@pytest.mark.parametrize(
    ("system", "cutoff", "told"),
    [
        (box([[0, 0, 0]]), 0.0, "the cutoff must be a positive number, not 0.0"),
        (box([[0, 0, 0]]), float("nan"), "the cutoff must be a positive number, not nan"),
        (
            box([[0, 0, 0]], np.diag([1.0, 1.0, 0.0]), (True, True, True)),
            1.0,
            "a periodic direction needs a lattice vector",
        ),
        (
            box([[0, 0, 0]], [[1, 0, 0], [2, 0, 0], [0, 0, 1]], (True, True, True)),
            1.0,
            "the cell has no volume",
        ),
        (
            box([[0, 0, 0]], None, (True, False, False)),
            1.0,
            "a periodic direction needs a lattice vector",
        ),
        (System.create(np.zeros((2, 1, 3))), 1.0, "one system at a time"),
        (
            replace(box([[0, 0, 0]]), positions=np.array([[0.0, 0, 0], [0, np.nan, 0]])),
            1.0,
            "particle 1 has no finite position",
        ),
        (
            box([[0, 0, 0], [3e9, 0, 0]], np.eye(3), (True, True, True)),
            1.0,
            "a particle is 3e\\+09 cells away",
        ),
    ],
)
def test_refusals(system: System, cutoff: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        cell_list(*system.geometry, cutoff)
