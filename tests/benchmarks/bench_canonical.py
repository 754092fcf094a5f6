"""Canonicalized networks on the charged benchmark beside equivariant ones; trained runs are kept in
``learned/`` and not run again."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from bench_learning import trained
from record import Row

from mcegnn.data.charged import charged
from mcegnn.graph import complete
from mcegnn.models.store import Stored
from mcegnn.training.options import parse_recorded
from mcegnn.training.scoring import errors

SEEDS = (0, 1, 2)
_OWN = "model.hyperparameters.hyperparameters"
_OPTIONS = "model.hyperparameters.options"
_WHICH = "model.hyperparameters.canonicalizer"
_OURS = "canonicalized graph network"
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "EGNN": ("charged-egnn", ()),
    "MC-EGNN, m = 5": ("charged-mcegnn", ()),
    _OURS: ("charged-canonical", ()),
    "canonicalized transformer": ("charged-canonical", (f"{_OWN}.architecture=transformer",)),
    "without augmentation": ("charged-canonical", (f"{_OPTIONS}.augmentation=0",)),
    "random frozen canonicalizer": ("charged-canonical", (f"{_WHICH}=random",)),
    "principal axes": (
        "charged-canonical",
        (f"{_WHICH}=principal-axes", f"{_OPTIONS}={{augmentation=3.0}}"),
    ),
    "none": ("charged-canonical", (f"{_WHICH}=fixed", f"{_OPTIONS}={{}}")),
    "none, with rotations as augmentation": (
        "charged-canonical",
        (f"{_WHICH}=uniform", f"{_OPTIONS}={{}}"),
    ),
    "EGNN at the rate of these": ("charged-egnn", ("lr=4e-3",)),
    "MC-EGNN, m = 5, at the rate of these": ("charged-mcegnn", ("lr=4e-3",)),
}


#: cases of one seed, beside the others
_ONE = ("without augmentation", "EGNN at the rate of these", "MC-EGNN, m = 5, at the rate of these")


def seeds_of(name: str) -> tuple[int, ...]:
    """The seeds of a case."""
    return SEEDS[:1] if name in _ONE else SEEDS


def run(case: tuple[str, int]) -> tuple[Stored, float]:
    """The trained model of a case's name and seed, and the minutes it took."""
    name, seed = case
    preset, changes = CASES[name]
    folder = f"canonical-{name.replace(' ', '-').replace(',', '')}-{seed}"
    return trained(folder, preset, *changes, f"seed={seed}")


def measure() -> list[Row]:
    """Three seeds of each case, or one, 6,000 updates each: errors on the official test samples,
    paired with EGNN's, and the time of a batch."""
    from scipy.stats import wilcoxon

    test = charged().test

    cases = [(name, seed) for name in CASES for seed in seeds_of(name)]
    with ThreadPoolExecutor(2) as pool:
        runs = dict(zip(cases, pool.map(run, cases), strict=True))
    found = {
        case: errors(stored.model, test, parse_recorded(stored.record["options"]).task)
        for case, (stored, _) in runs.items()
    }

    def mean(name: str, seeds: tuple[int, ...]) -> np.ndarray:
        return np.asarray(np.mean([found[name, seed] for seed in seeds], 0))

    times = batch_times({name: runs[name, 0][0] for name in CASES})
    rows = []
    for name in CASES:
        each = [found[name, seed].mean() for seed in seeds_of(name)]
        median = np.median([np.median(found[name, seed]) for seed in seeds_of(name)])
        own, egnn = (mean(one, seeds_of(name)) for one in (name, "EGNN"))  # of the same seeds
        p = 1.0 if name == "EGNN" else wilcoxon(own, egnn).pvalue
        better = (own < egnn).mean()
        n = sum(weight.numel() for weight in runs[name, 0][0].model.parameters())
        minutes = np.median([runs[name, seed][1] for seed in seeds_of(name)])
        figure = (
            f"mean {np.mean(each):.4f} ({min(each):.4f} to {max(each):.4f}), median {median:.1e};"
            f" better than EGNN on {better:.0%}, Wilcoxon p = {p:.0e}; a batch of 100"
            f" {times[name]:.1f} ms; {n:,} parameters; {minutes:.1f} min"
        )
        bar = "at most .0050, aim .0040, faster than EGNN" if name == _OURS else ""
        rows.append(Row(name, figure, bar))
    return rows


def batch_times(models: dict[str, Stored]) -> dict[str, float]:
    """Milliseconds of predicting a batch of 100 on one thread, medians of turns."""
    torch.set_num_threads(1)
    x, v = torch.randn(5, 100, 3), torch.randn(5, 100, 3)
    charges = torch.randint(0, 2, (5, 100)).float() * 2 - 1
    seconds: dict[str, list[float]] = {name: [] for name in models}
    with torch.no_grad():
        for _ in range(21):
            for name, stored in models.items():
                began = time.perf_counter()
                stored.model.predict(x, v, charges, complete(5))
                seconds[name].append(time.perf_counter() - began)
    return {name: 1e3 * statistics.median(every) for name, every in seconds.items()}
