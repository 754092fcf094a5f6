"""The operation codes of scheme tables and what a table holds: one for both compiled drivers."""

from typing import NamedTuple

import numpy as np

(
    # of both drivers
    DRIFT,
    KICK,
    NOISE,
    CHAIN,
    # of the driver of all pairs
    JUMP,
    KEPLER,
    POST_NEWTONIAN,
    POST_NEWTONIAN_HELIOCENTRIC,
    RELATIVITY_OF_ALL,
    # of the driver with neighbour lists
    CELL_KICK,
    CELL_KINETIC,
    STRETCH,
    CELL_NOISE,
) = range(13)

# Columns of an operation's settings: temperature and pressure (each first, last, duration and
# beginning of its ramp), then the others.
KT, PRESSURE, PERIOD, FRICTION, FLEXIBLE, DEGREES, ABOUT_CENTER = 0, 4, 8, 9, 10, 11, 12
SETTINGS = 13


class Table(NamedTuple):
    """What a compiled driver is told of a scheme for one time step."""

    operations: np.ndarray  # int64 [n_operations]
    durations: np.ndarray  # [n_operations]
    settings: np.ndarray  # [n_operations, SETTINGS]
    # star, GM of the conics, GM and squared speed of light of relativity, sweeps, G of relativity
    constants: np.ndarray
    limits: np.ndarray  # of `integrators.encounters.Halved`; none where steps are never halved
    fixed: np.ndarray  # int64: numbers of particles that feel no force
    stopped: np.ndarray  # int64: numbers of particles that get no momentum from noise
    dt: float
    time: float  # of step 0
    seed: np.uint64
