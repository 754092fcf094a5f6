"""`Fixed`: particles that feel no force."""

from dataclasses import dataclass

import numpy as np

from systems.arrays import mask
from systems.system import Evaluation, Potential, System


@dataclass(frozen=True, eq=False)
class Fixed:
    """A potential whose forces do not act on the particles of which ``which`` [n_particles] is
    true: at rest, they stay where they are."""

    potential: Potential
    which: np.ndarray

    def __call__(self, system: System) -> Evaluation:
        return self.held(self.potential(system))

    def held(self, evaluation: Evaluation) -> Evaluation:
        """The potential's evaluation without the forces on those particles."""
        free = mask(~np.asarray(self.which, dtype=bool), evaluation.forces)
        return evaluation._replace(forces=evaluation.forces * free[:, None], potential=self)
