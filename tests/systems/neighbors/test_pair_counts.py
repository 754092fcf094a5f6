"""Pair counts against the definition of neighbours and against ASE's list."""

import itertools
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from systems.neighbors.pair_counts import pair_counts
from systems.sources.atoms import from_atoms

PBC = list(itertools.product((False, True), repeat=3))


@pytest.mark.parametrize("pbc", PBC)
def test_counts_are_those_of_all_pairs(neighbor_pairs: Any, pbc: tuple[bool, bool, bool]) -> None:
    """Kinds, images beyond the nearest, particles far outside; a particle's own images, and not
    itself."""
    stream = np.random.default_rng(sum(p << k for k, p in enumerate(pbc)))
    for n, reach in ((1, 4.0), (7, 6.0), (60, 3.0)):
        cell, kinds = 4.0 * np.eye(3) + stream.uniform(-1.5, 1.5, (3, 3)), stream.integers(0, 3, n)
        system = from_atoms(
            Atoms(
                positions=stream.uniform(-2, 3, (n, 3)) @ cell,
                numbers=kinds + 1,
                cell=cell,
                pbc=pbc,
            )
        )
        edges = np.linspace(0.0, reach, 38)
        counts = pair_counts(*system.geometry, edges, kinds)
        pairs = neighbor_pairs(*system.geometry, reach)
        lengths = np.linalg.norm(pairs.offsets(system.positions, cell), axis=-1)
        i, j, d = neighbor_list("ijd", Atoms(positions=system.positions, cell=cell, pbc=pbc), reach)
        for a, b in itertools.product(range(counts.shape[0]), repeat=2):
            chosen = (kinds[pairs.i] == a) & (kinds[pairs.j] == b)
            np.testing.assert_array_equal(counts[a, b], np.histogram(lengths[chosen], edges)[0])
            np.testing.assert_array_equal(
                counts[a, b], np.histogram(d[(kinds[i] == a) & (kinds[j] == b)], edges)[0]
            )


def test_edges_decide() -> None:
    """A distance on an edge, to the bit, is in the bin that begins there; nothing at the last
    edge."""
    edges = np.linspace(0.0, 3.7, 38)
    for k, edge in enumerate(edges[1:], 1):
        system = from_atoms(Atoms("H2", [[0.0, 0.0, 0.0], [edge, 0.0, 0.0]]))
        counts = pair_counts(*system.geometry, edges, np.zeros(2, int))[0, 0]
        assert counts.sum() == (2 if k < 37 else 0)
        if k < 37:
            assert counts[k] == 2


def test_threads_count_the_same() -> None:
    stream = np.random.default_rng(0)
    system = from_atoms(
        Atoms(positions=stream.uniform(0, 30, (3500, 3)), cell=30.0 * np.eye(3), pbc=True)
    )
    kinds, edges = stream.integers(0, 2, 3500), np.linspace(0.0, 5.0, 51)
    one, three = (pair_counts(*system.geometry, edges, kinds, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)
    assert one.sum() == pytest.approx(3500 * 3500 / 27000 * 4.19 * 125, rel=0.05)
