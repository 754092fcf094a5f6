"""The whole charged benchmark set against a NumPy twin, on one thread and on two."""

import statistics

import numpy as np
from record import Row, ratio, seconds, shown

from integrators.ensembles import symplectic_euler
from integrators.state import State
from systems.sources.charged import benchmark_coulomb, charged_systems
from systems.system import System
from trajectories.rollout import rollout

N_SYSTEMS, N_STEPS, DT, LIMIT = 14_000, 5_000, 0.001, 100.0


def numpy_twin(
    positions: np.ndarray, velocities: np.ndarray, charges: np.ndarray, n_steps: int
) -> np.ndarray:
    """One trajectory of the benchmark's scheme, vectorised over its particles."""
    x, v = positions.copy(), velocities.copy()
    products = charges[:, None] * charges
    np.fill_diagonal(products, 0.0)
    eye = np.eye(len(x))
    for _ in range(n_steps):
        d = x[:, None] - x
        r2 = np.einsum("ija,ija->ij", d, d) + eye
        force = np.einsum("ij,ija->ia", products / (r2 * np.sqrt(r2)), d)
        v += DT * np.clip(force, -LIMIT, LIMIT)
        x += DT * v
    return x


def ours(systems: System, threads: int) -> System:
    """The last state of all systems."""
    *_, last = rollout(
        symplectic_euler(benchmark_coulomb()), State(systems), DT, N_STEPS, 100, threads=threads
    )
    return last.system


def measure() -> list[Row]:
    """Rows of the charged benchmark set."""
    systems = charged_systems(N_SYSTEMS, seed=43)
    few = charged_systems(7, seed=43)
    ours(few, 1)
    own, twin = [], []
    x, v, q = few.positions, few.velocities, few.charges
    for k in range(few.positions.shape[0]):  # in turn: a quiet second of the machine serves both
        own.append(seconds(lambda: ours(systems, 1)) / N_SYSTEMS)
        twin.append(seconds(lambda k=k: numpy_twin(x[k], v[k], q[k], N_STEPS)))
    ratios = sorted(b / a for a, b in zip(own, twin, strict=True))
    one, other = statistics.median(own), statistics.median(twin)
    threads = ratio(lambda: ours(systems, 2), lambda: ours(systems, 1), repeats=5)
    difference = np.median(
        abs(
            ours(few, 1).positions
            - np.stack([numpy_twin(x[k], v[k], q[k], N_STEPS) for k in range(7)])
        )
    )
    return [
        Row(
            "14,000 charged trajectories of 5,000 steps, one thread",
            f"{one * N_SYSTEMS:.1f} s, {one * 1e3:.3f} ms each",
        ),
        Row(
            "NumPy twin, one trajectory of 5,000 steps",
            f"{other * 1e3:.0f} ms; same end, median difference {difference:.0e}",
        ),
        Row(
            "speed over the twin, one thread, median of 7 in turn",
            shown((statistics.median(ratios), ratios[0], ratios[-1])),
            "at least 150",
        ),
        Row("two threads over one, median of 5", shown(threads), "at least 1.7"),
    ]
