"""Short-range repulsion, below the distances of training: there the network's input is a constant
distance, and atoms repel each other."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mcegnn.neighborhood import Neighborhood
from mcegnn.nn.radial import envelope

COULOMB = 14.399645  # eV Angstrom
# Ziegler, Biersack and Littmark 1985, The Stopping and Range of Ions in Matter: weights and
# exponents of the screening, and its length
WEIGHTS, EXPONENTS = (0.18175, 0.50986, 0.28022, 0.02817), (3.1998, 0.94229, 0.4029, 0.20162)
LENGTH, POWER = 0.46850, 0.23
# of the wall: its height is so many eV, and so many times the usual force over the whole distance
LEAST, STEEP = 20.0, 200.0
WIDTH = 0.1  # of the nearest distance, over which the distance that is heard comes to rest


def estimated(species: Sequence[int], nearest: np.ndarray, cutoff: float) -> np.ndarray:
    """The nearest distances (Angstrom), of pairs that training has nowhere (zero) the sum of both
    covalent radii."""
    from ase.data import covalent_radii

    radii = covalent_radii[list(species)]
    return np.where(nearest > 0.0, nearest, np.minimum(radii[:, None] + radii, cutoff))


class Repulsion(nn.Module):
    """The guard of a potential at short range, from the ``nearest`` distances of its training
    [n_species, n_species] (Angstrom).

    Below them the network gets `heard` in place of the distance, so that its energy of a pair is
    constant as the pair is pressed, and each pair has an energy that rises all the way from there:
    Ziegler, Biersack and Littmark's, which is that of nuclei, and a wall (1 - r / end)^3, for light
    elements, whose nuclei are felt only far below. The wall's height comes from the ``force`` (eV /
    Angstrom) that is usual in training. The energy of pairs that training has only far from each
    other begins where their atoms touch (Alvarez 2013, doi 10.1039/c3dt50599e).

    Without nearest distances it is Ziegler, Biersack and Littmark's energy alone, from the sum of
    both covalent radii on, as older models have it.
    """

    def __init__(
        self, species: Sequence[int], nearest: np.ndarray | None = None, *, force: float = 1.0
    ) -> None:
        super().__init__()
        from ase.data import covalent_radii
        from ase.data.vdw_alvarez import vdw_radii

        charges, radii = np.array(species, dtype=float), covalent_radii[list(species)]
        if nearest is None:
            self.inner, ends = None, radii[:, None] + radii
            walls = np.zeros_like(ends)
        else:
            touch = vdw_radii[[z if z < len(vdw_radii) else 0 for z in species]]
            self.inner, ends = nearest, np.fmin(nearest, touch[:, None] + touch)
            walls = LEAST + STEEP * force * ends
        power = charges**POWER
        self._tables = (
            COULOMB * np.outer(charges, charges),
            LENGTH / (power[:, None] + power),
            ends,
            walls,
        )

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Z_i Z_j (eV Angstrom), screening lengths, ends (Angstrom) and heights of the wall (eV) of
        the pairs of species."""
        return self._tables

    def heard(self, kinds: Tensor, hood: Neighborhood, r: Tensor) -> Tensor:
        """The distances [n, degree] that are the network's input: r down to the nearest, and
        constant a little below it.

        Its slope falls from one to zero as t^2 (3 - 2 t), so energies have two continuous
        derivatives.
        """
        if self.inner is None:
            return r
        nearest = self._of_pairs(self.inner, kinds, r, hood)
        t = ((r / nearest - (1.0 - WIDTH)) / WIDTH).clamp(0.0, 1.0)
        held = nearest * (1.0 - WIDTH + WIDTH * (0.5 + t * t * t * (1.0 - 0.5 * t)))
        return torch.where(r < nearest, held, r)

    def forward(self, kinds: Tensor, r: Tensor, hood: Neighborhood) -> Tensor:
        """Each atom's half of the energies of its pairs [n] (eV), from kinds [n] and distances [n,
        degree]."""
        strength, length, end, wall = (
            self._of_pairs(table, kinds, r, hood) for table in self._tables
        )
        screened = torch.stack(
            [w * torch.exp(-e * r / length) for w, e in zip(WEIGHTS, EXPONENTS, strict=True)]
        ).sum(0)
        return 0.5 * (
            strength / r * screened * envelope(r / end) + wall * (1.0 - r / end).clamp(min=0.0) ** 3
        ).sum(1)

    @staticmethod
    def _of_pairs(table: np.ndarray, kinds: Tensor, r: Tensor, hood: Neighborhood) -> Tensor:
        """A table's entry for each pair [n, degree]."""
        own, sent = kinds.unsqueeze(1).expand_as(hood.senders), kinds[hood.senders]
        return torch.as_tensor(table).to(r)[own, sent]
