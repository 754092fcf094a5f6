"""`Springs`: harmonic bonds between pairs of particles."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from systems.arrays import like, mask
from systems.potentials.all_pairs import compiled_kernel
from systems.system import Evaluation, System


@dataclass(frozen=True, eq=False)
class Springs:
    """Harmonic springs between pairs of particles: energy sum stiffness (r_ij - length)^2 / 2.

    ``pairs`` [n_springs, 2] of particle indices; stiffness and length are numbers or [n_springs].
    """

    pairs: np.ndarray
    stiffness: Any = 1.0
    length: Any = 0.0

    @cached_property
    def _table(self) -> np.ndarray:
        pairs = np.asarray(self.pairs).reshape(-1, 2)
        k, length = (
            np.broadcast_to(np.asarray(v, dtype=float), len(pairs))
            for v in (self.stiffness, self.length)
        )
        return np.column_stack([pairs, k, length])

    def __call__(self, system: System) -> Evaluation:
        x = system.positions
        i, j = self._table[:, 0].astype(int), self._table[:, 1].astype(int)
        k, length = like(self._table[:, 2], x), like(self._table[:, 3], x)
        d = x[..., i, :] - x[..., j, :]
        loose = mask(self._table[:, 3] == 0.0, x)
        r = (
            (d**2).sum(-1) + loose
        ) ** 0.5  # a spring without length pulls along d itself and never divides by r
        w = k * (loose + (1.0 - loose) * (1.0 - length / r))
        ends = np.zeros((system.n_particles, len(i)))
        np.add.at(ends, (i, np.arange(len(i))), -1.0)
        np.add.at(ends, (j, np.arange(len(j))), 1.0)
        stretch2 = loose * (r**2 - loose) + (1.0 - loose) * (r - length) ** 2
        return Evaluation(
            0.5 * (k * stretch2).sum(-1), like(ends, x) @ (w[..., None] * d), potential=self
        )

    @property
    def kernel(self) -> Any:
        """The compiled kernel."""
        return compiled_kernel("springs")

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        return self._table.ravel()
