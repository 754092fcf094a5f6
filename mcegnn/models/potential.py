"""`ConservativePotential`: energies of atoms from their neighbourhoods, forces and stress as their
derivatives."""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

from torch import nn

from mcegnn.compiled.potential import MessagePassing
from mcegnn.models.atomic import AtomicPotential, OfTraining
from mcegnn.models.hyperparameters import (
    channels_of,
    check_channels,
)
from mcegnn.models.packing import packed
from mcegnn.names import check_counts, check_number, check_positive
from mcegnn.nn.energy import EnergyNetwork
from mcegnn.nn.radial import BesselBasis
from systems.system import Evaluation, System


class ConservativePotential(AtomicPotential):
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
        channels = channels_of(n_channels)
        check_counts(n_features=n_features, n_layers=n_layers, n_radial=n_radial)
        check_channels(channels, n_couplings)
        check_number("smoothness", smoothness, 2.0, "a power between 0 and 2")
        check_positive(n_neighbors=n_neighbors)
        known = OfTraining(reference_energies, periodic, nearest, repulsion, fewest)
        super().__init__(species, cutoff, scale, known)
        self.network = EnergyNetwork(
            len(self.species),
            n_features,
            channels,
            n_layers,
            BesselBasis(n_radial, self.cutoff, float(smoothness)),
            n_neighbors=float(n_neighbors),
            n_couplings=n_couplings,
        )

    def as_potential(self, threads: int = 1) -> MessagePassing:
        """The potential as it is now, compiled for dynamics: without torch, in the precision of the
        weights, on the CPU."""
        return MessagePassing(
            packed(self),
            dtype=str(next(self.parameters()).dtype).removeprefix("torch."),
            threads=threads,
        )

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
