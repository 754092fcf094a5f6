"""The charged N-body benchmark's initial conditions, draw for draw as its public generator makes
them.

Source: the N-body data set of Satorras, Hoogeboom and Welling 2021 (arXiv 2102.09844). One legacy
NumPy stream serves all samples, so sample k depends on those before it; numbers of frames and steps
do not change the draws.
"""

import numpy as np

from systems.potentials.coulomb import Coulomb
from systems.system import System

BENCHMARK_SEED = 43  #: of the published data
TIME_STEP = 0.001  #: of the benchmark's symplectic Euler
N_STEPS = 5000  #: of a trajectory
STEPS_PER_FRAME = 100  #: of which the benchmark keeps one
FORCE_LIMIT = 100.0  #: of each cartesian component, to which forces are clipped
_BOX = 5.0  # positions are reflected at +-5 once, at the start
_SPEED = 0.5
_NOISE_FRAMES = 49  # frames of (zero) measurement noise that the generator draws after each sample


def _sample(stream: np.random.RandomState, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Charges [n], positions and velocities [n, 3] of the stream's next sample."""
    charges = stream.choice([-1.0, 0.0, 1.0], size=(n, 1), p=[0.5, 0.0, 0.5])[:, 0]
    positions = stream.randn(3, n) * (n / 5.0) ** (1.0 / 3.0)
    velocities = stream.randn(3, n)
    velocities = velocities * _SPEED / np.sqrt((velocities**2).sum(0))
    over, under = positions > _BOX, positions < -_BOX
    positions = np.where(
        over, 2 * _BOX - positions, np.where(under, -2 * _BOX - positions, positions)
    )
    velocities = np.where(over, -abs(velocities), np.where(under, abs(velocities), velocities))
    for _ in range(2):
        stream.randn(_NOISE_FRAMES, 3, n)
    return charges, positions.T, velocities.T


def charged_systems(n_systems: int, seed: int = 0, n_particles: int = 5) -> System:
    """The first ``n_systems`` samples of the stream of ``seed`` as an ensemble: [n_systems,
    n_particles, 3], reduced units.

    Seed 43 is the benchmark's: 10,000 training, 2,000 validation and 2,000 test samples in this
    order. Raises ValueError if a count is below one (a single particle has nothing to interact
    with, but is allowed).
    """
    for name, count in (("systems", n_systems), ("particles", n_particles)):
        if count < 1:
            raise ValueError(f"the number of {name} must be at least 1, not {count}")
    stream = np.random.RandomState(seed)
    samples = [_sample(stream, n_particles) for _ in range(n_systems)]
    charges, positions, velocities = (np.stack(part) for part in zip(*samples, strict=True))
    return System.create(positions, velocities=velocities, charges=charges)


def benchmark_coulomb() -> Coulomb:
    """The benchmark's force: unit constant, each component of a particle's force clipped to
    +-100."""
    return Coulomb(limit=FORCE_LIMIT)
