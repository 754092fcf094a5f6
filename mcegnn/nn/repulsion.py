"""The screened repulsion of nuclei at short range: a guard where no training structure goes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mcegnn.neighborhood import Neighborhood
from mcegnn.nn.radial import envelope

COULOMB = 14.399645  # eV Angstrom
# Ziegler, Biersack and Littmark 1985, The Stopping and Range of Ions in Matter: weights and exponents of the screening, and its length
WEIGHTS, EXPONENTS = (0.18175, 0.50986, 0.28022, 0.02817), (3.1998, 0.94229, 0.4029, 0.20162)
LENGTH, POWER = 0.46850, 0.23


class Repulsion(nn.Module):
    """Ziegler, Biersack and Littmark's energy of each pair, ending smoothly where the distance is the sum of both covalent radii."""

    def __init__(self, species: Sequence[int]) -> None:
        super().__init__()
        from ase.data import covalent_radii

        self._charges, self._radii = np.array(species, dtype=float), covalent_radii[list(species)]

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Z_i Z_j (eV Angstrom), screening lengths and ends (Angstrom) of the pairs of species [n_species, n_species]."""
        power = self._charges**POWER
        return (
            COULOMB * np.outer(self._charges, self._charges),
            LENGTH / (power[:, None] + power),
            self._radii[:, None] + self._radii,
        )

    def forward(self, kinds: Tensor, r: Tensor, hood: Neighborhood) -> Tensor:
        """Each atom's half of the energies of its pairs [n] (eV), from kinds [n] and distances [n, degree]."""
        own, sent = kinds.unsqueeze(1).expand_as(hood.senders), kinds[hood.senders]
        strength, length, end = (torch.as_tensor(table).to(r)[own, sent] for table in self.tables())
        screened = torch.stack([w * torch.exp(-e * r / length) for w, e in zip(WEIGHTS, EXPONENTS, strict=True)]).sum(0)
        return 0.5 * (strength / r * screened * envelope(r / end)).sum(1)
