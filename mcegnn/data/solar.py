"""The solar task of arXiv 2309.03139: a year in steps of half an hour; states in, positions a
thousand steps (20.83 days) later out.

The first 14,016 steps (0.8 years) train, the next 1,752 validate and the last 1,752 test. The year
is rolled out from a table of bodies by Yoshida's eighth order with J2 and the Sun's relativity, or
read from JPL DE440.
"""

import math
from dataclasses import replace

import numpy as np

from integrators.ensembles import yoshida_8
from integrators.relativity import PostNewtonian
from integrators.state import State
from mcegnn.data.assembly import dataset_of_pairs
from mcegnn.data.split import Split
from systems.sources.solar import SolarSystem
from systems.system import System
from systems.units import ASTRONOMICAL
from trajectories.rollout import rollout

STEP = 0.5 / 24.0  #: days
N_TRAIN, N_VALIDATION, N_TEST, N_AHEAD = 14_016, 1_752, 1_752, 1_000
INTERVAL = N_AHEAD * STEP  #: days from a sample's start to its end


def simulated(bodies: SolarSystem, threads: int | None = None) -> Split:
    """Simulate a year from these bodies' states."""
    relativity = PostNewtonian(bodies.star, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)
    per_step = math.ceil(STEP / bodies.default_time_step())
    n_steps = (N_TRAIN + N_VALIDATION + N_TEST + N_AHEAD) * per_step
    flow = yoshida_8(bodies.gravity(), relativity=relativity)
    states = [
        s.system
        for s in rollout(
            flow, State(bodies.system), STEP / per_step, n_steps, per_step, threads=threads
        )
    ]
    return _split(
        bodies.system,
        np.stack([s.positions for s in states]),
        np.stack([s.momenta for s in states]),
    )


def from_de440(epoch: float) -> Split:
    """A year of JPL DE440 from a TDB Julian day on. Raises RuntimeError without the extra
    ``ephemeris``, and ValueError outside the kernel's span."""
    from systems.sources import ephemeris

    system = ephemeris.solar_system(epoch).system
    days = STEP * np.arange(N_TRAIN + N_VALIDATION + N_TEST + N_AHEAD + 1)
    x, v = ephemeris.states(epoch, days)
    momenta = v * ASTRONOMICAL.convert(1.0, "km/s") * system.masses[:, None]
    return _split(system, x * ASTRONOMICAL.convert(1.0, "km"), momenta)


def _split(system: System, x: np.ndarray, p: np.ndarray) -> Split:
    """Pairs of states ``N_AHEAD`` steps apart, cut in time."""

    def ensemble(first: int, last: int) -> System:
        charges = np.zeros((last - first, system.n_particles))
        return replace(system, positions=x[first:last], momenta=p[first:last], charges=charges)

    n = N_TRAIN + N_VALIDATION + N_TEST
    return Split.at(
        dataset_of_pairs(ensemble(0, n), ensemble(N_AHEAD, N_AHEAD + n), INTERVAL),
        N_TRAIN,
        N_TRAIN + N_VALIDATION,
    )
