"""Data sets whose systems are each turned at random."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from mcegnn.data.dataset import Dataset


def turned(samples: Dataset, seed: int) -> tuple[Dataset, np.ndarray]:
    """Systems of as many particles each, turned about the origin with all of their vectors, and the
    rotations [n, 3, 3], by which rows are multiplied from the right."""
    n = len(samples)
    turns = Rotation.random(n, np.random.default_rng(seed)).as_matrix()

    def rows(values: np.ndarray) -> np.ndarray:
        return np.asarray((values.reshape(n, -1, 3) @ turns).reshape(values.shape))

    targets = {
        name: one._replace(values=rows(one.values)) if one.per == "vector" else one
        for name, one in samples.targets.items()
    }
    momenta = None if samples.momenta is None else rows(samples.momenta)
    moved = replace(samples, positions=rows(samples.positions), momenta=momenta, targets=targets)
    return moved, turns
