"""`EnergiesInPoses`: a network of atoms' energies, with their neighbourhoods in canonical poses."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mcegnn.neighborhood import Neighborhood
from mcegnn.nn.canonical.canonicalization import Canonicalization
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.kinds import KINDS
from mcegnn.nn.canonical.points import Poses
from mcegnn.nn.radial import BesselBasis

_N_VECTORS, _N_RADIAL = 2, 6


class EnergiesInPoses(nn.Module):
    """A network of energies of atoms that takes directions as the numbers they are, evaluated with
    each system's in canonical poses; energies are averages over poses.

    Poses are told by vectors of atoms, u_i = sum_j w(r_ij, species of j) r_ij / r_ij with learned
    functions w of the distance that end at the cutoff: they are the same wherever a system is, and
    for all periodic images; translations of the group have nothing to do. Raises ValueError if the
    group has permutations, which change no energy.
    """

    def __init__(
        self,
        network: Any,
        group: Group,
        canonicalizer: str,
        *,
        n_species: int,
        cutoff: float,
        **options: Any,
    ) -> None:
        super().__init__()
        if group.permutations:
            raise ValueError(
                f"{group.name} permutes atoms, whose order changes no energy; leave that out"
            )
        self.network, self.n_species = network, n_species
        self.basis = BesselBasis(_N_RADIAL, cutoff)
        self.weigh = nn.Embedding(n_species, _N_VECTORS * _N_RADIAL)
        kinds = [KINDS["vector"]] * _N_VECTORS
        still = replace(group, translations=False)
        self.canonicalization = Canonicalization(still, canonicalizer, kinds, n_species, **options)

    @property
    def readout(self) -> Any:
        """The network's last part."""
        return self.network.readout

    def forward(
        self,
        kinds: Tensor,
        offsets: Tensor,
        hood: Neighborhood,
        heard: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Energies of atoms [n], as the network's."""
        r = offsets.square().sum(-1).sqrt()
        known = r if heard is None else heard(r)
        poses: Poses = self.canonicalization(*self._seen(kinds, offsets, known, r, hood))
        energies: Tensor = self.network(
            kinds[poses.node],
            offsets[poses.node] @ poses.rotations[poses.pose],
            _copied(hood, poses),
            lambda _: known[poses.node],
        )
        return poses.leave(energies, KINDS["scalar"])

    def _seen(
        self, kinds: Tensor, offsets: Tensor, known: Tensor, r: Tensor, hood: Neighborhood
    ) -> tuple[list[Tensor], Tensor, Tensor, int]:
        """What the canonicalization takes: vectors of atoms, their species, whose they are."""
        radial, _ = self.basis(known.unsqueeze(-1))
        weights = self.weigh(kinds)[hood.senders].unflatten(-1, (_N_VECTORS, _N_RADIAL))
        strength = (weights * radial.unsqueeze(-2)).sum(-1)  # [n, degree, vectors]
        vectors = ((offsets / r.unsqueeze(-1)).unsqueeze(2) * strength.unsqueeze(-1)).sum(1)
        species = functional.one_hot(kinds, self.n_species).to(offsets)
        owner, n_systems = hood.owners()
        return list(vectors.unbind(1)), species, owner, n_systems


def _copied(hood: Neighborhood, poses: Poses) -> Neighborhood:
    """The neighbourhoods of all copies of systems in their poses."""
    if poses.single:
        return hood
    degree = hood.senders.shape[1]
    # from a node of the given ones to its copy in a pose
    shift = torch.arange(len(poses.node), device=poses.node.device) - poses.node
    senders = hood.senders[poses.node] + shift.unsqueeze(1)
    mirror = hood.mirror.view(-1, degree)[poses.node] + degree * shift.unsqueeze(1)
    return Neighborhood(senders, mirror.flatten(), poses.pose)
