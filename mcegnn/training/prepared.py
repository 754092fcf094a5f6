"""Labelled structures as tensors with their neighbourhoods, from which batches are cut without a
loop over atoms."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from mcegnn.data.dataset import Dataset
from mcegnn.neighborhood import Neighborhood, Places, places

_DRAWN = 500  # batches of which the largest tells how much room most need


class Batch(NamedTuple):
    """Structures side by side: what they are (kinds and ``owner``, whose each atom is, [n_atoms];
    offsets [n_atoms, degree, 3] and `Neighborhood`'s senders and mirror), what they should give
    (energies [n] without the reference energies, forces [n_atoms, 3] and stresses [n, 3, 3], NaN
    where unknown), and how large they are (``sizes``, ``volumes`` [n]).

    Atoms that only fill a batch up are far from all others, owned by nobody (``owner`` n), and
    ``real`` [n_atoms] is zero for them.
    """

    kinds: Tensor
    owner: Tensor
    offsets: Tensor
    senders: Tensor
    mirror: Tensor
    energies: Tensor
    forces: Tensor
    stresses: Tensor
    sizes: Tensor
    volumes: Tensor
    real: Tensor

    @property
    def hood(self) -> Neighborhood:
        """Who is near whom."""
        return Neighborhood(self.senders, self.mirror, self.owner)


class Knowing(Protocol):
    """Interface of a model for preparing structures: its cutoff, its species and their energies."""

    cutoff: float
    reference_energies: np.ndarray

    def kinds(self, numbers: np.ndarray) -> np.ndarray:
        """The place of each atomic number among the species."""


class Prepared:
    """All of the structures, their pairs within the model's cutoff found once; memory is that of
    all pairs."""

    def __init__(
        self, structures: Dataset, model: Knowing, dtype: torch.dtype, device: torch.device
    ) -> None:
        pairs = _joined_pairs(structures, model.cutoff)
        kinds = model.kinds(structures.species)
        reference = np.add.reduceat(model.reference_energies[kinds], structures.starts[:-1])
        self.structures, self._cutoff = structures, model.cutoff
        self.degree = pairs.senders.shape[1]
        self._starts = torch.from_numpy(structures.starts)
        self._sizes = torch.from_numpy(structures.sizes)
        self._kinds, self._senders, self._mirror = (
            torch.from_numpy(a).to(device) for a in (kinds, pairs.senders, pairs.mirror)
        )
        solid = np.asarray(structures.periodic.all(1))  # others have no volume
        volumes = np.where(solid, abs(np.linalg.det(structures.cells)), 1.0)
        stresses = np.where(solid[:, None, None], structures["stress"], np.nan)
        energies = structures["energy"] - reference
        numbers = (pairs.offsets, energies, structures["forces"], stresses, volumes)
        self._floats = tuple(torch.from_numpy(np.asarray(a)).to(device, dtype) for a in numbers)

    def __len__(self) -> int:
        return len(self.structures)

    def room(self, n: int) -> int:
        """How many atoms most batches of n structures have at most."""
        stream = np.random.default_rng(0)
        sizes = self.structures.sizes
        return int(max(sizes[stream.permutation(len(sizes))[:n]].sum() for _ in range(_DRAWN)))

    def batch(self, which: np.ndarray, n_atoms: int | None = None) -> Batch:
        """These structures side by side, filled up to ``n_atoms`` where they have fewer."""
        chosen = torch.from_numpy(np.asarray(which))
        sizes, starts = self._sizes[chosen], self._starts[chosen]
        first = sizes.cumsum(0) - sizes
        owner = torch.repeat_interleave(torch.arange(len(chosen)), sizes)
        at = torch.arange(len(owner)) + (starts - first)[owner]
        device = self._kinds.device
        at, owner, first, chosen = (index.to(device) for index in (at, owner, first, chosen))
        offsets, energies, forces, stresses, volumes = self._floats
        here = first[owner].unsqueeze(1)
        made = Batch(
            self._kinds[at],
            owner,
            offsets[at],
            self._senders[at] + here,
            (self._mirror[at] + here * self.degree).flatten(),
            energies[chosen],
            forces[at],
            stresses[chosen],
            sizes.to(offsets),
            volumes[chosen],
            torch.ones_like(owner).to(offsets),
        )
        more = 0 if n_atoms is None else n_atoms - len(owner)
        return _filled(made, more, self._cutoff) if more > 0 else made


def _joined_pairs(structures: Dataset, cutoff: float) -> Places:
    """The pairs of all structures, atoms and places numbered from each structure's own first.

    Empty places are their own atom's and their own mirror images, at the cutoff.
    """
    parts = [places(structures.system(k), cutoff) for k in range(len(structures))]
    degree, n = max(part.senders.shape[1] for part in parts), int(structures.starts[-1])
    own = np.arange(n) - np.repeat(structures.starts[:-1], structures.sizes)
    senders = np.repeat(own[:, None], degree, 1)
    mirror = own[:, None] * degree + np.arange(degree)
    offsets = np.zeros((n, degree, 3))
    offsets[..., 0] = cutoff
    bounds = zip(structures.starts[:-1], structures.starts[1:], strict=True)
    for part, (first, last) in zip(parts, bounds, strict=True):
        there = part.senders.shape[1]
        node, place = np.divmod(part.mirror, there)
        senders[first:last, :there], offsets[first:last, :there] = part.senders, part.offsets
        mirror[first:last, :there] = node * degree + place
    return Places(senders, mirror, offsets)


def _filled(batch: Batch, more: int, cutoff: float) -> Batch:
    """The batch with so many atoms more that count nothing."""
    n, degree = batch.senders.shape
    nodes = torch.arange(n, n + more, device=batch.senders.device).unsqueeze(1)
    places = nodes * degree + torch.arange(degree, device=nodes.device)
    # as empty places are: at the cutoff, where nothing acts any more
    far = batch.offsets.new_zeros(more, degree, 3)
    far[..., 0] = cutoff
    return batch._replace(
        kinds=torch.cat([batch.kinds, batch.kinds.new_zeros(more)]),
        owner=torch.cat([batch.owner, batch.owner.new_full((more,), len(batch.energies))]),
        offsets=torch.cat([batch.offsets, far]),
        senders=torch.cat([batch.senders, nodes.expand(-1, degree)]),
        mirror=torch.cat([batch.mirror, places.flatten()]),
        forces=torch.cat([batch.forces, batch.forces.new_zeros(more, 3)]),
        real=torch.cat([batch.real, batch.real.new_zeros(more)]),
    )
