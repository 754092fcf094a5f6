"""`NearPairs`: how a potential between near particles is evaluated, whatever its law: neighbour
lists that are kept from call to call, pair kernels for NumPy arrays, array operations for
tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from systems.arrays import Array, like, namespace
from systems.cell import volume
from systems.neighbors.lists import NeighborList, NeighborLists
from systems.system import Evaluation, ListPotential, System
from systems.workspaces import Workspaces


class PairLaw(ListPotential, Protocol):
    """A potential between near particles that holds its law for arrays, too."""

    def law(self, r2: Array, one: Array, other: Array) -> tuple[Array, Array]:
        """u and u' / r at squared distances [n_pairs] within the cutoff, between particles of
        these species [n_pairs] (`species_index`); tensors."""


class NearPairs:
    """The neighbour lists of one potential, and its evaluation by them.

    Calls of several threads at the same time have lists of their own. Raises ValueError if the
    cutoff is not positive or the skin is negative.
    """

    def __init__(self, cutoff: float, skin: float, threads: int = 1) -> None:
        self.cutoff, self.skin, self.threads = cutoff, skin, threads
        self._idle: Workspaces[NeighborLists] = Workspaces()
        self._idle.give(self._new_lists())  # which checks what it is asked to look for

    def __call__(self, potential: PairLaw, system: System) -> Evaluation:
        """The evaluation of a system, or of an ensemble, of NumPy arrays or tensors."""
        copies = (
            [system]
            if system.n_systems is None
            else [system.copy_of(k) for k in range(system.n_systems)]
        )
        one = self._by_kernel if isinstance(system.positions, np.ndarray) else self._by_arrays
        # as of `lists`, which takes two microseconds longer
        lists = self._idle.take() or self._new_lists()
        found = [one(potential, copy, lists[k]) for k, copy in enumerate(copies)]
        self._idle.give(lists)
        if system.n_systems is None:
            return found[0]
        stack = namespace(system.positions).stack
        energy, forces, energies = (
            stack([getattr(e, name) for e in found]) for name in ("energy", "forces", "energies")
        )
        stress = None if found[0].stress is None else stack([e.stress for e in found])
        return Evaluation(energy, forces, stress, energies, potential=potential)

    @contextmanager
    def lists(self) -> Iterator[NeighborLists]:
        """The neighbour lists of the systems of an ensemble, or of a single one; nobody else uses
        them within the ``with``."""
        lists = self._idle.take() or self._new_lists()
        yield lists
        self._idle.give(lists)  # not after an error, which may have left them in the middle

    def _new_lists(self) -> NeighborLists:
        return NeighborLists(self.cutoff, self.skin, self.threads)

    def _by_kernel(self, potential: PairLaw, system: System, neighbors: NeighborList) -> Evaluation:
        from systems.potentials.pair import VIRIAL, PairForces

        pairs, near = neighbors(*system.geometry), PairForces(potential, system, self.threads)
        table = pairs.images @ (
            np.zeros((3, 3)) if system.cell is None else np.asarray(system.cell, dtype=float)
        )
        near(np.ascontiguousarray(system.positions, dtype=float), pairs, table, VIRIAL)
        stress = -near.virial / volume(system.cell) if all(system.pbc) else None
        return Evaluation(
            np.float64(near.energies.sum()), near.forces, stress, near.energies, potential=potential
        )

    def _by_arrays(self, potential: PairLaw, system: System, neighbors: NeighborList) -> Evaluation:
        """By array operations that keep their graph; the list is of the numbers alone."""
        numbers = system.map(lambda a: a.detach().cpu().numpy())
        pairs, x = neighbors(*numbers.geometry), system.positions
        i, j = (like(part.astype(np.int64), x) for part in (pairs.i, pairs.j))
        species = like(potential.species_index(numbers), x)
        d = x[j] - x[i]
        if system.cell is not None:
            d = d + like(pairs.shift.astype(float), x).to(x) @ system.cell
        near = (d.detach() ** 2).sum(-1) < self.cutoff**2
        i, j, d = i[near], j[near], d[near]
        u, w = potential.law((d**2).sum(-1), species[i], species[j])
        pull = w[:, None] * d
        energies = 0.5 * x.new_zeros(len(x)).index_add(0, i, u)
        stress = (
            0.5 * d.T @ pull / abs(namespace(x).linalg.det(system.cell))
            if all(system.pbc)
            else None
        )
        forces = x.new_zeros(x.shape).index_add(0, i, pull)
        return Evaluation(energies.sum(), forces, stress, energies, potential=potential)
