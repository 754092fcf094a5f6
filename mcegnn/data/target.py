"""`Target`: named values of systems or of their atoms, which a model is to predict."""

from typing import Literal, NamedTuple

import numpy as np

Per = Literal["system", "atom", "vector"]


class Target(NamedTuple):
    """A target of predictions: ``values``, NaN if unknown, in ``unit``.

    They are one ``per`` system [n, ...], one per atom [n_atoms, ...], or a vector of each atom
    [n_atoms, 3].
    """

    values: np.ndarray
    unit: str
    per: Per = "system"

    def check(self, name: str, n: int, n_atoms: int) -> None:
        """Raise ValueError if the values are not of ``n`` systems or their ``n_atoms`` atoms."""
        values, wanted = self.values, n if self.per == "system" else n_atoms
        if len(values) != wanted:
            of = "systems" if self.per == "system" else "atoms"
            raise ValueError(f"the target {name!r} has {len(values)} values for {wanted} {of}")
        if self.per == "vector" and values.shape != (n_atoms, 3):
            raise ValueError(f"the target {name!r} has shape {values.shape}, not {(n_atoms, 3)}")
