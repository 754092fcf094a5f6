"""`MessagePassing`: energies, forces and stress of a network that passes messages
(`mcegnn.compiled.weights`), by compiled kernels."""

import warnings
from typing import Any

import numpy as np

from mcegnn.compiled._workspace import Numbers, Workspace
from mcegnn.compiled.phases import addresses
from mcegnn.compiled.stacking import stacked
from mcegnn.compiled.weights import Network
from mcegnn.compiled.workspaces import numbers_of, with_pairs, workspace_for
from systems.cell import volume
from systems.ensemble import map_ensemble
from systems.neighbors.lists import NeighborList
from systems.neighbors.nearest import NearPairWarning, nearer_than_trained
from systems.neighbors.pairs import Pairs
from systems.species import places_among
from systems.system import Evaluation, System
from systems.threads import shared
from systems.units import METAL
from systems.workspaces import Workspaces

_ALL = 64  # atoms in free space below which all their pairs are looked at
_NONE: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] = (
    np.zeros(0),
    np.zeros(0),
    np.zeros(0),
    np.zeros(0),
)


class MessagePassing:
    """The potential of a network: energy (eV), forces, energies of atoms, and stress where the cell
    is periodic in all directions.

    Numbers are float32 or float64 by ``dtype``; positions, distances, and sums of energies and
    forces are float64. ``skin`` (Angstrom) is how much farther than the cutoff the neighbour list
    looks. `NearPairWarning` is given once if a pair is nearer than any in training. Results do not
    depend on ``threads``. Arrays are kept from one call to the next; calls of several threads at
    the same time each have their own.
    """

    def __init__(
        self, network: Network, *, dtype: Any = np.float32, skin: float = 0.5, threads: int = 1
    ) -> None:
        self.network, self.dtype, self.units, self.threads, self.skin = (
            network,
            np.dtype(dtype),
            METAL,
            threads,
            skin,
        )
        self.cutoff, self.fewest = network.cutoff, network.fewest
        self._weights = stacked(network, self.dtype)
        self._tells, self._told = bool(network.short_range[5].any()), False
        self._workspaces: Workspaces[_CallState] = Workspaces()
        self._workspaces.give(self._new_state())  # refuses a skin that is none

    def __call__(self, system: System) -> Evaluation:
        return map_ensemble(self._evaluate, system)

    @property
    def fewest_neighbors(self) -> dict[float, float]:
        """By cutoff, the fewest on average that a structure of training has; empty if unknown."""
        return {self.cutoff: self.fewest} if self.fewest > 0.0 else {}

    def _new_state(self) -> "_CallState":
        return _CallState(
            self.network, self.dtype, NeighborList(self.network.cutoff, self.skin, self.threads)
        )

    def _evaluate(self, system: System) -> Evaluation:
        """Of a single system."""
        self._check_system(system)
        n = system.n_particles
        state = self._workspaces.take() or self._new_state()
        starts, j, image, images = state.fit(system)
        table = (
            images @ np.asarray(system.cell, dtype=float)
            if any(system.pbc)
            else np.zeros(images.shape)
        )
        forces, virial = np.empty((n, 3)), np.empty((3, 3))
        x = np.ascontiguousarray(system.positions, dtype=float)
        self._fill(state, x, table, starts, j, image, forces, virial)
        energies = state.workspace.energies + state.references
        closest = state.workspace.closest.copy() if self._tells else None
        self._workspaces.give(state)
        stress = virial / volume(system.cell) if all(system.pbc) else None
        if closest is not None and closest[0] < 1.0 and not self._told:
            self._told = True
            warnings.warn(
                f"{nearer_than_trained(system, closest)}: its energy and forces are extrapolated",
                NearPairWarning,
                stacklevel=2,
            )
        return Evaluation(energies.sum(), forces, stress, energies, closest=closest, potential=self)

    def _check_system(self, system: System) -> None:
        """Raise ValueError if units are others, or a system is periodic and the network was not
        trained on any."""
        if system.units is not METAL:
            raise ValueError(
                f"this potential is in metal units; the system is in {system.units.name} units"
            )
        if any(system.pbc) and not self.network.periodic:
            raise ValueError(
                "the model was trained on molecules alone, so it does not know periodic systems;"
                " set pbc to False"
            )

    def _fill(
        self,
        state: "_CallState",
        x: np.ndarray,
        table: np.ndarray,
        starts: np.ndarray,
        j: np.ndarray,
        image: np.ndarray,
        *out: np.ndarray,
    ) -> None:
        """Forces [n, 3] and virial [3, 3], on several threads where that pays; the state's
        workspace has the energies."""
        from mcegnn.compiled import _steps

        kernels: Any = _steps
        N, workspace, w = state.numbers, state.workspace, self._weights
        given = (x, table, starts, j, image, w, N, workspace, *out)
        if state.phases is None:  # once: to find the kinds of all arrays takes longer than a call
            state.phases = addresses(0, 1, 0, 1, *given)
        phases = state.phases
        threads, last = min(self.threads, N.parts), 4 * N.layers + 2
        if threads == 1:
            kernels.steps(0, last + 1, 0, N.parts, *given, phases)
            return
        edges = np.linspace(0, N.parts, threads + 1).astype(int).tolist()
        for step in range(last + 1):

            def share(k: int, step: int = step) -> None:
                kernels.steps(step, step + 1, edges[k], edges[k + 1], *given, phases)

            shared(share, 1 if step in (0, last) else threads)


class _CallState:
    """What one call at a time works in: arrays for atoms of the species that it had last, their
    pairs, and the list these come from."""

    def __init__(self, network: Network, dtype: np.dtype[Any], neighbors: NeighborList) -> None:
        self._network, self._dtype, self.neighbors = network, dtype, neighbors
        self._pairs: Pairs | None = (
            None  # what the halves are of; None where they are all pairs of so many atoms
        )
        self._halves = _NONE
        self._species = np.zeros(0, int)
        self.numbers: Numbers
        self.workspace: Workspace
        self.phases: np.ndarray | None = None
        self.references = np.zeros(0)

    def fit(self, system: System) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Prepare for a system; its pairs of which no near one is missing, each once, as starts,
        neighbours and images.

        Raises ValueError if the network does not know a species.
        """
        if len(self._species) != system.n_particles or not np.array_equal(
            self._species, system.species
        ):
            self._admit(np.array(system.species))
        halves = self._each_once(system)
        if len(self.workspace.pairs) < len(halves[1]):
            self.workspace = with_pairs(self.workspace, self.numbers, len(halves[1]), self._dtype)
            self.numbers = self.numbers._replace(kept=len(self.workspace.kept))
        return halves

    def _admit(self, species: np.ndarray) -> None:
        species_index, network = places_among(self._network.species, species), self._network
        self.references = (network.reference_energies + network.scale * network.energy_bias)[
            species_index
        ]
        self.numbers = numbers_of(network, self._dtype, len(species_index))
        self.workspace = workspace_for(species_index, self.numbers, self._dtype)
        self._pairs, self._halves, self._species = None, _NONE, species

    def _each_once(self, system: System) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        n = system.n_particles
        if n <= _ALL and not any(system.pbc):
            if self._pairs is not None or len(self._halves[0]) != n + 1:
                first, second = np.triu_indices(n, 1)
                starts = np.searchsorted(first, np.arange(n + 1))
                self._halves = (
                    starts,
                    second.astype(np.int32),
                    np.zeros(len(second), np.int32),
                    np.zeros((1, 3), np.int64),
                )
                self._pairs = None
        elif (pairs := self.neighbors(*system.geometry)) is not self._pairs:
            from mcegnn.compiled import _steps

            kernels: Any = _steps
            self._halves, self._pairs = (
                (
                    *kernels.halved(pairs.starts, pairs.j, pairs.image, pairs.images),
                    pairs.images,
                ),
                pairs,
            )
        return self._halves
