"""`LennardJones` between near particles, in free space or in a periodic cell."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from systems.arrays import Array, like, namespace
from systems.cell import volume
from systems.neighbors.box import check_cutoff
from systems.neighbors.lists import NeighborList, NeighborLists
from systems.system import Evaluation, System
from systems.workspaces import Workspaces

Truncation = Literal["force-shift", "switch", "shift"]


@dataclass(frozen=True, eq=False)
class LennardJones:
    """u(r) = 4 epsilon ((sigma / r)^12 - (sigma / r)^6) for pairs nearer than ``cutoff`` (2.5 sigma
    where it is not given).

    What happens there is ``truncation``: "force-shift" subtracts u(cutoff) + (r - cutoff)
    u'(cutoff), so that energy and force end at zero (Toxvaerd and Dyre 2011, J. Chem. Phys. 134,
    081102); "switch" multiplies u by a cubic in r^2 that falls from one at ``onset`` (0.9 cutoff
    where it is not given) to zero; "shift" subtracts u(cutoff) alone: the force then jumps and
    energy drifts.

    Numbers are in the system's units. ``skin`` is how much farther than the cutoff the neighbour
    list looks (0.3 sigma where it is not given). Energies [n], stress [3, 3] with tension positive.
    Raises ValueError for numbers that are not positive, a negative skin, or an onset beyond the
    cutoff. Cost: linear in the number of particles at a given density.
    """

    epsilon: float = 1.0
    sigma: float = 1.0
    cutoff: float = 0.0
    truncation: Truncation = "force-shift"
    onset: float = 0.0
    skin: float = -1.0
    threads: int = 1
    _idle: Workspaces[NeighborLists] = field(default_factory=Workspaces, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.epsilon > 0 and self.sigma > 0):
            raise ValueError(
                f"epsilon and sigma must be positive, not {self.epsilon} and {self.sigma}"
            )
        if self.truncation not in get_args(Truncation):
            raise ValueError(
                f"truncation is one of {', '.join(get_args(Truncation))}, not {self.truncation!r}"
            )
        for name, default in (
            ("cutoff", 2.5 * self.sigma),
            ("onset", 0.9 * (self.cutoff or 2.5 * self.sigma)),
        ):
            object.__setattr__(self, name, getattr(self, name) or default)
        check_cutoff(self.cutoff)
        object.__setattr__(self, "skin", 0.3 * self.sigma if self.skin == -1.0 else self.skin)
        if not 0 < self.onset < self.cutoff:
            raise ValueError(
                f"the onset of switching must lie between zero and the cutoff {self.cutoff}, not at"
                f" {self.onset}"
            )
        self._idle.give(self._new_lists())  # refuses what it cannot look for

    def __call__(self, system: System) -> Evaluation:
        copies = (
            [system]
            if system.n_systems is None
            else [system.copy_of(k) for k in range(system.n_systems)]
        )
        one = self._fast if isinstance(system.positions, np.ndarray) else self._differentiable
        lists = (
            self._idle.take() or self._new_lists()
        )  # as of `lists`, which takes two microseconds longer
        found = [one(copy, lists[k]) for k, copy in enumerate(copies)]
        self._idle.give(lists)
        if system.n_systems is None:
            return found[0]
        stack = namespace(system.positions).stack
        energy, forces, energies = (
            stack([getattr(e, name) for e in found]) for name in ("energy", "forces", "energies")
        )
        stress = None if found[0].stress is None else stack([e.stress for e in found])
        return Evaluation(energy, forces, stress, energies, potential=self)

    @property
    def pair_kernel(self) -> Any:
        """The compiled kernel."""
        from systems.potentials import _pair_kernels

        return _pair_kernels.lennard_jones

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        kind = float(get_args(Truncation).index(self.truncation))
        return np.array([self.epsilon, self.sigma, self.cutoff, self.onset, kind])

    @contextmanager
    def lists(self) -> Iterator[NeighborLists]:
        """The neighbour lists of the systems of an ensemble, or of a single one; nobody else uses
        them within the ``with``."""
        lists = self._idle.take() or self._new_lists()
        yield lists
        self._idle.give(lists)  # not after an error, which may have left them in the middle

    def _new_lists(self) -> NeighborLists:
        return NeighborLists(self.cutoff, self.skin, self.threads)

    def _fast(self, system: System, neighbors: NeighborList) -> Evaluation:
        """By the compiled kernel."""
        from systems.potentials.pair import VIRIAL, PairForces

        pairs, rooms = (
            neighbors(*system.geometry),
            PairForces(self.pair_kernel, self.parameters(system), system.n_particles, self.threads),
        )
        table = pairs.images @ (
            np.zeros((3, 3)) if system.cell is None else np.asarray(system.cell, dtype=float)
        )
        rooms(np.ascontiguousarray(system.positions, dtype=float), pairs, table, VIRIAL)
        stress = -rooms.virial / volume(system.cell) if all(system.pbc) else None
        return Evaluation(
            np.float64(rooms.energies.sum()), rooms.forces, stress, rooms.energies, potential=self
        )

    def _differentiable(self, system: System, neighbors: NeighborList) -> Evaluation:
        """By array operations that keep their graph; the list is of the numbers alone."""
        pairs = neighbors(*system.map(lambda a: a.detach().cpu().numpy()).geometry)
        x = system.positions
        i, j = (like(part.astype(np.int64), x) for part in (pairs.i, pairs.j))
        d = x[j] - x[i]
        if system.cell is not None:
            d = d + like(pairs.shift.astype(float), x).to(x) @ system.cell
        near = (d.detach() ** 2).sum(-1) < self.cutoff**2
        i, d = i[near], d[near]
        u, w = self.law((d**2).sum(-1))
        pull = w[:, None] * d
        energies = 0.5 * x.new_zeros(len(x)).index_add(0, i, u)
        stress = (
            0.5 * d.T @ pull / abs(namespace(x).linalg.det(system.cell))
            if all(system.pbc)
            else None
        )
        return Evaluation(
            energies.sum(),
            x.new_zeros(x.shape).index_add(0, i, pull),
            stress,
            energies,
            potential=self,
        )

    def law(self, r2: Array) -> tuple[Array, Array]:
        """u and u' / r at squared distances [...] within the cutoff."""
        i6 = (self.sigma**2 / r2) ** 3
        u, w = 4.0 * self.epsilon * (i6**2 - i6), -24.0 * self.epsilon * (2.0 * i6**2 - i6) / r2
        c6 = (self.sigma / self.cutoff) ** 6
        at_cutoff, slope = (
            4.0 * self.epsilon * (c6**2 - c6),
            -24.0 * self.epsilon * (2.0 * c6**2 - c6) / self.cutoff,
        )
        if self.truncation == "force-shift":
            r = r2**0.5
            return u - at_cutoff - (r - self.cutoff) * slope, w - slope / r
        if self.truncation == "shift":
            return u - at_cutoff, w
        width = self.cutoff**2 - self.onset**2
        t = namespace(r2).clip((self.cutoff**2 - r2) / width, 0.0, 1.0)
        switch = t**2 * (3.0 - 2.0 * t)
        return u * switch, w * switch - u * 12.0 * t * (1.0 - t) / width
