"""`ConservativePotential`: energies of atoms from their neighbourhoods, forces and stress as their
derivatives."""

from collections.abc import Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from mcegnn.compiled.potential import MessagePassing
from mcegnn.models.batches import evaluate_together
from mcegnn.models.describe import nearest_rows
from mcegnn.models.hyperparameters import (
    channels_of,
    check_channels,
    check_number,
    distances_of,
    one_of_each,
)
from mcegnn.models.model import Model, Role, energies_and_forces
from mcegnn.models.packing import packed
from mcegnn.names import check_counts, check_positive
from mcegnn.neighborhood import Neighborhood
from mcegnn.nn.energy import EnergyNetwork, derivative
from mcegnn.nn.radial import BesselBasis
from mcegnn.nn.repulsion import Repulsion, estimated
from mcegnn.radius import Method
from systems.ensemble import singles, stack_evaluations
from systems.species import checked, places_among
from systems.system import Evaluation, System
from systems.units import METAL


class ConservativePotential(Model):
    """The energy of molecules and materials as a sum over atoms, by MC-EGNN with channels that
    start at zero (see `Interaction`).

    ``n_channels`` is the number of vector channels, or the numbers of channels of vectors, of
    tensors of rank two, and of rank three; the first ``n_couplings`` of each are multiplied with
    each other to make others. ``smoothness`` makes radial functions smaller that vary fast
    (`BesselBasis`): the larger, the more slowly vary functions learned from few structures.
    ``species`` are the atomic numbers it knows, ``reference_energies`` (eV) one number for each of
    them, which are added in float64; the network's output is in units of ``scale`` (eV). Atoms
    interact within ``cutoff`` (Angstrom) in each of the layers; ``n_neighbors`` is how many of them
    an atom has on average. ``periodic`` tells whether it was trained on crystals: others are
    refused periodic systems. ``nearest`` [n_species, n_species] are the shortest distances
    (Angstrom) of training, zero for pairs that it has not within the cutoff: runs warn of nearer
    pairs. ``repulsion`` keeps atoms apart there (`Repulsion`). ``fewest`` is the least mean number
    of neighbours an atom that a structure of training has, zero if unknown: runs warn of fewer.
    Raises ValueError if a count is below one, a species occurs twice, ``fewest`` is negative, or
    the numbers of reference energies or nearest distances do not fit.
    """

    role = Role.POTENTIAL

    def __init__(
        self,
        species: Sequence[int],
        n_features: int = 64,
        n_channels: int | Sequence[int] = (16, 8),
        n_layers: int = 3,
        *,
        n_couplings: int = 0,
        n_radial: int = 16,
        smoothness: float = 0.0,
        cutoff: float = 6.0,
        n_neighbors: float = 10.0,
        scale: float = 1.0,
        reference_energies: Sequence[float] = (),
        periodic: bool = False,
        repulsion: bool = False,
        nearest: Sequence[Sequence[float]] = (),
        fewest: float = 0.0,
    ) -> None:
        super().__init__()
        channels = channels_of(n_channels)
        check_counts(n_features=n_features, n_layers=n_layers, n_radial=n_radial)
        check_channels(channels, n_couplings)
        check_number("smoothness", smoothness, 2.0, "a power between 0 and 2")
        check_number("fewest", fewest, np.inf, "a mean number of neighbours, never below zero")
        check_positive(cutoff=cutoff, n_neighbors=n_neighbors, scale=scale)
        self.species, self.units = checked(species), METAL
        self.cutoff, self.scale = float(cutoff), float(scale)
        self.periodic, self.fewest = periodic, float(fewest)
        n_species = len(self.species)
        self.reference_energies = one_of_each(reference_energies, n_species)
        self.network = EnergyNetwork(
            n_species,
            n_features,
            channels,
            n_layers,
            BesselBasis(n_radial, self.cutoff, float(smoothness)),
            n_neighbors=float(n_neighbors),
            n_couplings=n_couplings,
        )
        self.nearest = distances_of(nearest, n_species) if len(nearest) else None
        known = None if self.nearest is None else estimated(self.species, self.nearest, self.cutoff)
        self.repulsion = Repulsion(self.species, known, force=self.scale) if repulsion else None

    @property
    def fewest_neighbors(self) -> dict[float, float]:
        """Least mean number of neighbours of a training structure, by cutoff; empty if unknown."""
        return {self.cutoff: self.fewest} if self.fewest > 0.0 else {}

    def kinds(self, numbers: np.ndarray) -> np.ndarray:
        """Index of each atomic number among the model's species. Raises ValueError if one is
        unknown."""
        return places_among(self.species, numbers)

    def energies_and_gradient(
        self,
        kinds: Tensor,
        offsets: Tensor,
        hood: Neighborhood,
        weights: Mapping[str, Tensor] | None = None,
        *,
        differentiable: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Energies of atoms [n] (eV), without the reference energies, and the derivative of their
        sum by each offset [n, degree, 3].

        ``kinds`` [n] says which species each atom is, offsets are r_j - r_i [n, degree, 3];
        ``weights`` replace the network's own.
        """
        with torch.enable_grad():
            offsets = offsets.detach().requires_grad_(True)
            guard, r = self.repulsion, offsets.square().sum(-1).sqrt()
            inputs = (
                kinds,
                offsets,
                hood,
                None if guard is None else partial(guard.heard, kinds, hood),
            )
            said = (
                self.network(*inputs)
                if weights is None
                else torch.func.functional_call(self.network, dict(weights), inputs)
            )
            energies = said * self.scale
            if guard is not None:
                energies = energies + guard(kinds, r, hood)
            return energies, derivative(energies, offsets, differentiable=differentiable)

    def as_potential(self, threads: int = 1) -> MessagePassing:
        """The potential as it is now, compiled for dynamics: without torch, in the precision of the
        weights, on the CPU."""
        return MessagePassing(
            packed(self),
            dtype=str(next(self.parameters()).dtype).removeprefix("torch."),
            threads=threads,
        )

    def rows(self) -> list[tuple[str, str]]:
        """How near atoms were in training, and how many neighbours they had."""
        return nearest_rows(self)

    def predict_targets(self, systems: Sequence[System]) -> Mapping[str, tuple[Any, str]]:
        """Energies (eV), and the largest force on an atom of each system (eV/Angstrom)."""
        return energies_and_forces(self.as_potential(), systems, self.units)

    def forward(self, system: System) -> Evaluation:
        """Energy (eV), forces, stress where the cell is periodic in all directions, and energies of
        atoms.

        Of NumPy systems, single ones or ensembles, by `as_potential`, which is compiled anew if
        weights have changed; on other devices than the CPU by `differentiated`. Raises ValueError
        if the model is not made for the system.
        """
        if next(self.parameters()).device.type != "cpu":
            return self.differentiated(system)
        kept = _COMPILED.get(self)
        if kept is None or kept.state != _state(kept.weights):
            kept = self._compiled_anew()
        return kept.potential(system)._replace(potential=self)

    def _compiled_anew(self) -> "_Kept":
        """Made once, whatever the threads: the others wait for it."""
        with _LOCK:
            kept = _COMPILED.get(self)
            if kept is None or kept.state != _state(kept.weights):
                weights = list(self.parameters())
                kept = _COMPILED[self] = _Kept(weights, _state(weights), self.as_potential())
        return kept

    def differentiated(self, system: System) -> Evaluation:
        """The same by torch, on whatever device the weights are; an ensemble's systems together."""
        found = self.evaluate_batch(singles(system))
        return found[0] if system.n_systems is None else stack_evaluations(found)

    def evaluate_batch(
        self, systems: Sequence[System], *, method: Method | None = None
    ) -> list[Evaluation]:
        """Evaluations of NumPy systems of any sizes, by torch, on whatever device the weights are.

        They are one graph without edges between them, or several where they have many atoms.
        ``method`` says how the edges are found (`mcegnn.radius.radius_graph`). Raises ValueError
        if the model is not made for one of the systems.
        """
        return evaluate_together(self, systems, method)


class _Kept(NamedTuple):
    """A compiled potential, and the weights that it was made of, as they were."""

    weights: list[nn.Parameter]
    state: list[int]
    potential: MessagePassing


def _state(weights: list[nn.Parameter]) -> list[int]:
    """What changes where weights change, in place or for others."""
    return [weights[0].data_ptr(), *(weight._version for weight in weights)]


_LOCK = Lock()
_COMPILED: WeakKeyDictionary[ConservativePotential, _Kept] = WeakKeyDictionary()
