"""`AtomicPotential`: what potentials have in common whose energy is a sum over atoms and their
neighbourhoods, with forces and stress as its derivatives."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mcegnn.models.batches import evaluate_together
from mcegnn.models.describe import nearest_rows
from mcegnn.models.hyperparameters import distances_of, one_of_each
from mcegnn.models.model import Model, Role, energies_and_forces
from mcegnn.names import check_number, check_positive
from mcegnn.neighborhood import Neighborhood
from mcegnn.nn.energy import derivative
from mcegnn.nn.repulsion import Repulsion, estimated
from mcegnn.radius import Method
from systems.ensemble import singles, stack_evaluations
from systems.species import checked, places_among
from systems.system import Evaluation, Potential, System
from systems.units import METAL


class OfTraining(NamedTuple):
    """What a potential keeps of its training, as `AtomicPotential` says."""

    reference_energies: Sequence[float] = ()
    periodic: bool = False
    nearest: Sequence[Sequence[float]] = ()
    repulsion: bool = False
    fewest: float = 0.0


class AtomicPotential(Model):
    """Base class of potentials that are a sum over atoms of a ``network``'s numbers, in units of
    ``scale`` (eV), and ``reference_energies`` (eV) of the ``species``, one number each, which are
    added in float64.

    Atoms interact within ``cutoff`` (Angstrom); ``periodic`` tells whether it was trained on
    crystals: others are refused periodic systems. ``nearest`` [n_species, n_species] are the
    shortest distances (Angstrom) of training, zero for pairs that it has not within the cutoff:
    runs warn of nearer pairs. ``repulsion`` keeps atoms apart there (`Repulsion`). ``fewest`` is
    the least mean number of neighbours an atom that a structure of training has, zero if unknown:
    runs warn of fewer. Raises ValueError if a species occurs twice, ``fewest`` is negative, or the
    numbers of reference energies or nearest distances do not fit.

    A subclass makes the ``network`` after this, which maps kinds, offsets, a neighbourhood and
    distances as `mcegnn.nn.energy.EnergyNetwork` does.
    """

    role = Role.POTENTIAL
    #: hyper-parameters that the data of a training decide, where they are not given
    of_data: ClassVar[tuple[str, ...]] = (
        *("species", "scale", "n_neighbors", "reference_energies", "periodic", "repulsion"),
        *("nearest", "fewest"),
    )
    network: Any
    repulsion: Repulsion | None

    def __init__(
        self, species: Sequence[int], cutoff: float, scale: float, known: "OfTraining"
    ) -> None:
        super().__init__()
        check_number(
            "fewest", known.fewest, np.inf, "a mean number of neighbours, never below zero"
        )
        check_positive(cutoff=cutoff, scale=scale)
        self.species, self.units = checked(species), METAL
        self.cutoff, self.scale = float(cutoff), float(scale)
        self.periodic, self.fewest = known.periodic, float(known.fewest)
        n_species = len(self.species)
        self.reference_energies = one_of_each(known.reference_energies, n_species)
        self.nearest = distances_of(known.nearest, n_species) if len(known.nearest) else None
        apart = None if self.nearest is None else estimated(self.species, self.nearest, self.cutoff)
        self.repulsion = None
        if known.repulsion:
            self.repulsion = Repulsion(self.species, apart, force=self.scale)

    @property
    def fewest_neighbors(self) -> dict[float, float]:
        """Least mean number of neighbours of a training structure, by cutoff; empty if unknown."""
        return {self.cutoff: self.fewest} if self.fewest > 0.0 else {}

    def kinds(self, numbers: np.ndarray) -> np.ndarray:
        """Index of each atomic number among the model's species. Raises ValueError if one is
        unknown."""
        return places_among(self.species, numbers)

    def check_structures(self, species: np.ndarray, periodic: np.ndarray) -> None:
        """Raise ValueError if structures, with these atomic numbers [n_atoms] and directions in
        which they are periodic [n_structures, 3], hold what the model does not know."""
        self.kinds(species)

    @torch.no_grad()
    def begin_at(self, energy: float) -> None:
        """Add an energy (eV) to that of each atom, by the bias of the network's readout."""
        self.network.readout[-1].bias += energy / self.scale

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

    def rows(self) -> list[tuple[str, str]]:
        """How near atoms were in training, and how many neighbours they had."""
        return nearest_rows(self)

    def predict_targets(self, systems: Sequence[System]) -> Mapping[str, tuple[Any, str]]:
        """Energies (eV), and the largest force on an atom of each system (eV/Angstrom)."""
        return energies_and_forces(self.as_potential(), systems, self.units)

    def as_potential(self, threads: int = 1) -> Potential:
        """The model itself, by torch."""
        return self

    def forward(self, system: System) -> Evaluation:
        """Energy (eV), forces, stress where the cell is periodic in all directions, and energies of
        atoms, of NumPy systems, single ones or ensembles. Raises ValueError if the model is not
        made for the system."""
        return self.differentiated(system)

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
