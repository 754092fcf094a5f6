"""`Coulomb`: charges in free space."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from systems.arrays import namespace
from systems.potentials.all_pairs import check_free_space, compiled_kernel, offsets
from systems.system import Evaluation, System


@dataclass(frozen=True, eq=False)
class Coulomb:
    """Charges in free space: energy sum_{i<j} k q_i q_j / r_ij.

    ``constant`` is k (``units.coulomb``; 1 in reduced units). With ``limit`` every cartesian
    component of a particle's force is clipped to +-limit, as the charged benchmark does: the force
    is then not the energy's gradient, nor rotation symmetric. Raises ValueError if the system is
    periodic.
    """

    constant: float = 1.0
    limit: float = np.inf

    def __call__(self, system: System) -> Evaluation:
        check_free_space(system, "Coulomb")
        d, r2, off = offsets(system.positions)
        q = system.charges
        w = self.constant * q[..., :, None] * q[..., None, :] * off * r2**-1.5
        forces = namespace(d).clip((w[..., None] * d).sum(-2), -self.limit, self.limit)
        return Evaluation(0.5 * (w * r2).sum(-1).sum(-1), forces, potential=self)

    @property
    def kernel(self) -> Any:
        """The compiled kernel."""
        return compiled_kernel("coulomb")

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        check_free_space(system, "Coulomb")
        return np.array([self.constant, self.limit])
