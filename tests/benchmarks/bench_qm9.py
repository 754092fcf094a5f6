"""Properties of QM9's molecules: one channel, which is EGNN with coordinates updated, against three
and five after as many updates.

One thread a run and two runs at a time; runs are kept in ``learned/`` and not run again. A run of
2,000 small updates is about six to ten minutes; what U0 has to say beyond its mean begins after
some 800 of them.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from bench_learning import trained
from record import Row

from mcegnn.data.qm9 import qm9
from mcegnn.models.store import Stored
from mcegnn.training.properties import residuals

CHANNELS = (1, 3, 5)


def measure(
    n_updates: int = 2000,
    n_train: int = 10_000,
    n_test: int = 5_000,
    seeds: tuple[int, ...] = (0, 1),
) -> list[Row]:
    """Test errors of U0 and of the gap, run by run, and of each number of channels against one,
    molecule by molecule."""
    test = qm9(n_train, 1_000, n_test).test
    cases = [(name, m, seed) for name in ("U0", "gap") for m in CHANNELS for seed in seeds]

    def run(case: tuple[str, int, int]) -> tuple[Stored, float]:
        name, m, seed = case
        return trained(
            f"qm9-{name}-{m}-{seed}-{n_updates}x{n_train}",
            "qm9",
            f"task.property={name}",
            f"model.hyperparameters.n_channels={m}",
            f"seed={seed}",
            f"n_updates={n_updates}",
            f"validate_every={max(1, n_updates // 6)}",
            f"data.n_train={n_train}",
            "data.n_validation=1000",
            f"data.n_test={n_test}",
            "ema=0.99",
            "batch=24",
            "lr=2e-3",
        )

    with ThreadPoolExecutor(2) as pool:
        runs = dict(zip(cases, pool.map(run, cases), strict=True))
    off = {case: abs(residuals(stored.model, test)) for case, (stored, _) in runs.items()}  # type: ignore[arg-type]
    settings = f"{n_updates} updates, {n_train:,} training molecules"
    rows = [_row(case, settings, off[case], *runs[case]) for case in cases]
    return [
        *rows,
        *(_compared(name, m, seeds, off) for name in ("U0", "gap") for m in CHANNELS[1:]),
    ]


def _row(
    case: tuple[str, int, int], settings: str, off: np.ndarray, stored: Stored, minutes: float
) -> Row:
    name, m, seed = case
    error = (
        f"test MAE {1e3 * off.mean():.1f} meV, median {1e3 * np.median(off):.1f}; validation"
        f" {1e3 * stored.record['validation']:.1f}"
    )
    size = f"{sum(p.numel() for p in stored.model.parameters()):,} parameters"
    return Row(f"{name}, m = {m}, seed {seed}, {settings}", f"{error}; {size}, {minutes:.1f} min")


def _compared(
    name: str, m: int, seeds: tuple[int, ...], off: dict[tuple[str, int, int], np.ndarray]
) -> Row:
    """Means over the seeds; the molecules' spread says nothing of that between seeds, which is
    given too."""
    from scipy.stats import wilcoxon

    one, many = (np.stack([off[name, k, seed] for seed in seeds]) for k in (1, m))
    means = " and ".join(
        f"{1e3 * part.mean():.1f} meV (seeds {_listed(part)})" for part in (one, many)
    )
    a, b = one.mean(0), many.mean(0)
    better = (
        f"better on {(b < a).mean():.0%} of {len(a):,} molecules, Wilcoxon p ="
        f" {wilcoxon(a, b).pvalue:.1e}"
    )
    return Row(f"{name}: one channel and {m}", f"{means}; {better}")


def _listed(off: np.ndarray) -> str:
    return ", ".join(f"{1e3 * mean:.1f}" for mean in off.mean(1))
