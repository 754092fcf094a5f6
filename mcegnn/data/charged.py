"""The charged N-body benchmark's task: positions and velocities of frame 30 in, those of frame 40
out, 1,000 steps later.

Source: Satorras, Hoogeboom and Welling 2021 (arXiv 2102.09844). One stream of seed 43 gives 10,000
training, 2,000 validation and 2,000 test samples; the first 3,000 train. All are rolled out anew in
a few seconds, so nothing is stored.
"""

from dataclasses import replace

import numpy as np

from integrators.ensembles import symplectic_euler
from integrators.state import State
from mcegnn.data.assembly import dataset_of_pairs
from mcegnn.data.dataset import Dataset
from mcegnn.data.split import Split
from systems.sources.charged import (
    BENCHMARK_SEED,
    STEPS_PER_FRAME,
    TIME_STEP,
    benchmark_coulomb,
    charged_systems,
)
from systems.system import System
from trajectories.rollout import rollout

N_TRAIN, N_STREAM, N_VALIDATION, N_TEST = 3_000, 10_000, 2_000, 2_000
FIRST_FRAME, LAST_FRAME = 30, 40
INTERVAL = (
    (LAST_FRAME - FIRST_FRAME) * STEPS_PER_FRAME * TIME_STEP
)  #: from a sample's start to its end


def frames(systems: System, threads: int | None = None) -> Dataset:
    """Frames 30 and 40 of each system, by the benchmark's own scheme; frame f is step 100 (f +
    1)."""
    first, last = ((frame + 1) * STEPS_PER_FRAME for frame in (FIRST_FRAME, LAST_FRAME))
    flow, start = symplectic_euler(benchmark_coulomb()), State(systems)
    *_, before = rollout(flow, start, TIME_STEP, first, first, threads=threads)
    *_, after = rollout(flow, before, TIME_STEP, last - first, last - first, threads=threads)
    return dataset_of_pairs(before.system, after.system, INTERVAL)


def charged(n_train: int = N_TRAIN, threads: int | None = None) -> Split:
    """The official split with the first ``n_train`` of 10,000 training samples. Raises ValueError
    if ``n_train`` is not in 1 ... 10,000."""
    if not 1 <= n_train <= N_STREAM:
        raise ValueError(f"the benchmark has 1 to {N_STREAM} training samples, not {n_train}")
    every = charged_systems(N_STREAM + N_VALIDATION + N_TEST, BENCHMARK_SEED)
    kept = np.r_[0:n_train, N_STREAM : N_STREAM + N_VALIDATION + N_TEST]
    samples = frames(
        System.create(
            every.positions[kept],
            velocities=every.velocities[kept],
            charges=every.charges[kept],
        ),
        threads,
    )
    return replace(
        Split.at(samples, n_train, n_train + N_VALIDATION), whole=N_STREAM + N_VALIDATION + N_TEST
    )
