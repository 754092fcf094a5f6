"""`Random`: state of counter-based random numbers, which depend on integers alone: threads, batches
and stops change nothing."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Random:
    """A seed (0 to 2^64 - 1) and the number of draws made. Raises ValueError if the seed is out of
    range."""

    seed: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.seed < 2**64 and self.count >= 0):
            raise ValueError(
                f"a seed lies between 0 and 2^64 - 1 and draws are counted from 0; not {self.seed}"
                f" and {self.count}"
            )

    def normals(self, shape: tuple[int, ...]) -> tuple[np.ndarray, "Random"]:
        """Draw normal numbers [n_particles, 3] or [n_systems, n_particles, 3]; return them and the
        `Random` after the draw."""
        from integrators.compiled import _philox

        out = np.empty((1, *shape) if len(shape) == 2 else shape)
        fill: Any = _philox.normals
        fill(np.uint64(self.seed), self.count, 0, out)
        return out.reshape(shape), replace(self, count=self.count + 1)
