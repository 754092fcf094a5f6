"""`MessagePassing`: energies, forces and stress of a network that passes messages (`systems.messages.network`), by compiled kernels."""

import warnings
from typing import Any

import numpy as np

from systems.cell import volume
from systems.cell_list import shared
from systems.copies import one_by_one
from systems.messages._room import BLOCK, NODES, Numbers, Room, scratch_size, slot_size
from systems.messages.network import Network, aligned, sizes, stacked
from systems.nearest import Near, nearer_than_trained
from systems.neighbors import NeighborList
from systems.pairs import Pairs
from systems.species import places_among
from systems.system import Evaluation, System
from systems.units import METAL

_ALL = 64  # atoms in free space below which all their pairs are looked at
_PARTS, _FEW = 8, 100  # sums of pairs that are made side by side, whatever the threads; one for a few atoms
_KEPT = 1 << 25  # bytes that may be kept of the way forth
_NONE: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] = (np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))


class MessagePassing:
    """The potential of a network: energy (eV), forces, energies of atoms, and stress where the cell is periodic in all directions.

    Numbers are float32 or float64 by ``dtype``; positions, distances, and sums of energies and forces are float64. ``skin`` (Angstrom) is
    how much farther than the cutoff the neighbour list looks. Where a pair is nearer than any in training, `Near` is warned of once.
    Results do not depend on ``threads``. Room is kept from one call to the next, so one object serves one thread at a time.
    """

    def __init__(self, network: Network, *, dtype: Any = np.float32, skin: float = 0.5, threads: int = 1) -> None:
        self.network, self.dtype, self.units, self.threads = network, np.dtype(dtype), METAL, threads
        self.neighbors = NeighborList(network.cutoff, skin, threads)
        self._weights = stacked(network, self.dtype)
        self._tells, self._told = bool(network.short_range[5].any()), False
        self._pairs: Pairs | None = None  # what the halves are of; None where they are all pairs of so many atoms
        self._halves = _NONE
        self._room: Room | None = None
        self._species = self._known = np.zeros(0, int)
        self._references = np.zeros(0)

    def __call__(self, system: System) -> Evaluation:
        return one_by_one(self._evaluate, system)

    def _evaluate(self, system: System) -> Evaluation:
        """Of a single system."""
        self._refuse_unfit(system)
        n = system.n_particles
        if len(self._species) != n or not np.array_equal(self._species, system.species):
            self._admit(np.array(system.species))
        starts, j, image, images = self._each_once(system)
        table = images @ np.asarray(system.cell, dtype=float) if any(system.pbc) else np.zeros(images.shape)
        forces, virial = np.empty((n, 3)), np.empty((3, 3))
        room = self._fill(np.ascontiguousarray(system.positions, dtype=float), table, starts, j, image, forces, virial)
        energies = room.energies + self._references
        stress = virial / volume(system.cell) if all(system.pbc) else None
        closest = room.closest.copy() if self._tells else None
        if closest is not None and closest[0] < 1.0 and not self._told:
            self._told = True
            warnings.warn(f"{nearer_than_trained(system, closest)}: what is said of it is a guess", Near, stacklevel=2)
        return Evaluation(energies.sum(), forces, stress, energies, closest=closest, potential=self)

    def _refuse_unfit(self, system: System) -> None:
        """ValueError for other units, and for a periodic system where the network does not know any."""
        if system.units is not METAL:
            raise ValueError(f"this potential is in metal units; the system is in {system.units.name} units")
        if any(system.pbc) and not self.network.periodic:
            raise ValueError("the model was trained on molecules alone, so it does not know periodic systems; set pbc to False")

    def _admit(self, species: np.ndarray) -> None:
        """Make room for atoms of these species. ValueError for one that the network does not know."""
        kinds = places_among(self.network.species, species)
        self._references = (self.network.reference_energies + self.network.scale * self.network.energy_bias)[kinds]
        self._numbers = numbers_of(self.network, self.dtype, len(kinds))
        self._room = room_for(kinds, self._numbers, self.dtype)
        self._pairs, self._halves, self._species, self._known = None, _NONE, species, species

    def _each_once(self, system: System) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of which no near one is missing, each once, as starts, neighbours and images."""
        n = system.n_particles
        if n <= _ALL and not any(system.pbc):
            if self._pairs is not None or len(self._halves[0]) != n + 1:
                first, second = np.triu_indices(n, 1)
                starts = np.searchsorted(first, np.arange(n + 1))
                self._halves = (starts, second.astype(np.int32), np.zeros(len(second), np.int32), np.zeros((1, 3), np.int64))
                self._pairs = None
        elif (pairs := self.neighbors(system)) is not self._pairs:
            from systems.messages import _kernels

            kernels: Any = _kernels
            self._halves, self._pairs = (*kernels.halved(pairs.starts, pairs.j, pairs.image, pairs.images), pairs.images), pairs
        assert self._room is not None
        if len(self._room.pairs) < len(self._halves[1]):
            self._room = with_pairs(self._room, self._numbers, len(self._halves[1]), self.dtype)
            self._numbers = self._numbers._replace(kept=len(self._room.kept))
        return self._halves

    def _fill(self, x: np.ndarray, table: np.ndarray, starts: np.ndarray, j: np.ndarray, image: np.ndarray, *out: np.ndarray) -> Room:
        """Forces [n, 3] and virial [3, 3], on several threads where that pays; the room has the energies."""
        from systems.messages import _kernels

        kernels: Any = _kernels
        room, N, w = self._room, self._numbers, self._weights
        assert room is not None
        self._species = np.zeros(0, int)  # a room that is left in the middle is not used again
        threads, last = min(self.threads, N.parts), 4 * N.layers + 2
        if threads == 1:
            kernels.steps(0, last + 1, 0, N.parts, x, table, starts, j, image, w, N, room, *out)
        else:
            edges = np.linspace(0, N.parts, threads + 1).astype(int).tolist()
            for step in range(last + 1):

                def share(k: int, step: int = step) -> None:
                    kernels.steps(step, step + 1, edges[k], edges[k + 1], x, table, starts, j, image, w, N, room, *out)

                shared(share, 1 if step in (0, last) else threads)
        self._species = self._known
        return room


def numbers_of(network: Network, dtype: Any, n: int) -> Numbers:
    """The sizes of a network, and of room for n atoms."""
    own = sizes(network, dtype)
    scratch = scratch_size(*(own[name] for name in ("F", "B", "E", "E2", "heard", "W", "components", "C")))
    return Numbers(**own, parts=_PARTS if n > _FEW else 1, nodes=n, scratch=scratch, kept=0)


def room_for(kinds: np.ndarray, N: Numbers, dtype: Any) -> Room:
    """Room for atoms of these kinds, and as yet no pairs."""
    F, W, L, P = N.F, N.W, N.layers, N.parts
    n, blocks = len(kinds), -(-len(kinds) // NODES)
    none: Any = np.zeros(0)
    room = Room(
        counts=np.zeros(1, np.int64), kinds=kinds, energies=np.zeros(n), pairs=none, offsets=none, closest=np.zeros(4), geometry=none,
        basis=none, gradient=none,
        h=aligned((n, F), dtype), sides=aligned((L, n, 2 * F), dtype), x=aligned((L + 1, n * W), dtype),
        factors=aligned((L, 2 * n * W), dtype), slopes=aligned((L, n, F), dtype), by_h=aligned((n, F), dtype),
        by_messages=aligned((n, F), dtype), by_x=aligned((n * W,), dtype), sums=aligned((P, n, 2 * F + W), dtype),
        touched=np.zeros((P, blocks), np.uint8), scratch=aligned((P, N.scratch), dtype), kept=none,
    )  # fmt: skip
    return with_pairs(room, N, 0, dtype)


def with_pairs(room: Room, N: Numbers, pairs: int, dtype: Any) -> Room:
    """The same with room for so many pairs, and a few more."""
    m, slot = pairs + pairs // 8, slot_size(N.F, N.E2)
    kept = min(-(-m // BLOCK), _KEPT // (N.layers * slot * np.dtype(dtype).itemsize))
    return room._replace(
        pairs=np.zeros((m, 2), np.int32), offsets=np.zeros((m, 7)), geometry=aligned((m, N.components + 2), dtype),
        basis=aligned((m, 2 * N.B), dtype), gradient=aligned((m, N.components + 1), dtype), kept=aligned((kept, N.layers, slot), dtype),
    )  # fmt: skip
