"""A potential that was trained on upright ethanol, made equivariant: errors on structures that are
upright and on turned ones; trained runs are kept in ``learned/`` and not run again."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from bench_learning import RUNS, trained
from record import Row
from turned import turned

from mcegnn.data.dataset import Dataset
from mcegnn.data.registry import load as load_data
from mcegnn.data.upright import upright
from mcegnn.models.store import Stored
from mcegnn.training.options import read

SEEDS = (0, 1, 2)
PLAIN, ADAPT = "rmd17-unconstrained", "adapt-ethanol"
_UPRIGHT = "data.upright=true"
_AUGMENTED = (
    _UPRIGHT,
    "compile=false",
    "model={kind='Canonicalized', hyperparameters={model='UnconstrainedPotential',"
    " group='SO(3)', canonicalizer='uniform', hyperparameters={n_features=64, n_layers=3,"
    " architecture='graph', smoothness=1.0, cutoff=6.0}}}",
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "with prior, fine-tuned": (),
    "without prior, fine-tuned": ("task.beta=0",),
    "not canonicalized, trained on as long": (
        "task.beta=0",
        "model.hyperparameters.canonicalizer=fixed",
        "model.hyperparameters.options={}",
    ),
    "with prior, frozen": ("task.freeze=true",),
    "without prior, frozen": ("task.freeze=true", "task.beta=0"),
}


def seeds_of(name: str) -> tuple[int, ...]:
    """Three with the prior, one without."""
    return SEEDS if name.startswith("with prior") else SEEDS[:1]


def run(case: tuple[str, int]) -> tuple[Stored, float]:
    """The adapted model of a variant and a seed, and the minutes it took."""
    name, seed = case
    folder = f"adaptation-{name.replace(' ', '-').replace(',', '')}-{seed}"
    start = ("--from", str(RUNS / "adaptation-plain" / "best.safetensors"))
    return trained(folder, ADAPT, *VARIANTS[name], f"seed={seed}", arguments=start)


def measure() -> list[Row]:
    """Mean absolute errors of the force's components on the 1,000 official test structures, upright
    and each turned at random."""
    plain, minutes = trained("adaptation-plain", PLAIN, _UPRIGHT)
    augmented, longer = trained("adaptation-augmented", PLAIN, *_AUGMENTED)
    cases = [(name, seed) for name in VARIANTS for seed in seeds_of(name)]
    with ThreadPoolExecutor(2) as pool:
        runs = dict(zip(cases, pool.map(run, cases), strict=True))
    data = load_data(read(PLAIN, [_UPRIGHT]).data)
    straight = data.test
    bent, _ = turned(straight, 0)
    one = error(plain.model, straight)
    models = {
        "as it is": [plain.model],
        "trained with rotations as augmentation": [augmented.model],
        "mean over the 24 rotations of the cube": [in_poses(plain, "average")],
        **{name: [runs[name, seed][0].model for seed in seeds_of(name)] for name in VARIANTS},
    }
    times = batch_times({name: own[0] for name, own in models.items()}, straight)
    n_plain = count(plain.model)
    rows = [
        Row(
            "turned upright by the rule that aligned the data, then as it is",
            f"turned {1e3 * error(plain.model, upright(bent, data.train)):.2f} meV/Angstrom"
            f" ({1e3 * one:.2f} upright)",
        )
    ]
    for name, own in models.items():
        up = [error(model, straight) for model in own]
        around = [error(model, bent) for model in own]
        spread = max(double_difference(model, straight.take(slice(0, 100))) for model in own)
        took = {"as it is": minutes, "trained with rotations as augmentation": longer}.get(name)
        if took is None and (name, 0) in runs:
            took = float(np.mean([runs[name, seed][1] for seed in seeds_of(name)]))
        figure = (
            f"upright {_milli(up)} meV/Angstrom, {np.mean(up) / one:.3f} times the original's;"
            f" turned {_milli(around)}; largest difference of a force in double precision"
            f" {spread:.0e} of the largest; parameters {count(own[0]) / n_plain - 1.0:+.1%}, time"
            f" of a batch of 100 {times[name] / times['as it is'] - 1.0:+.0%}"
            + ("" if took is None else f"; {took:.1f} min of training")
        )
        bar = "1.01 times, 1e-6, +1 %, +10 %" if name == "with prior, fine-tuned" else ""
        rows.append(Row(name, figure, bar))
    return rows


def _milli(values: list[float]) -> str:
    each = [1e3 * value for value in values]
    spread = f" ({min(each):.2f} to {max(each):.2f})" if len(each) > 1 else ""
    return f"{np.mean(each):.2f}{spread}"


def count(model: Any) -> int:
    """Parameters of a model."""
    return sum(p.numel() for p in model.parameters())


def in_poses(plain: Stored, canonicalizer: str) -> Any:
    """A plain model's weights in the poses of a canonicalizer that learns nothing."""
    given = {"model": plain.kind, "hyperparameters": plain.hyperparameters, "group": "SO(3)"}
    made = Stored.make("Canonicalized", {**given, "canonicalizer": canonicalizer}).model
    made.adopt(plain.model)
    return made.eval().requires_grad_(False)


def forces(model: Any, structures: Dataset) -> np.ndarray:
    """Predicted forces, as the dataset's."""
    systems = [structures.system(k) for k in range(len(structures))]
    return np.concatenate([np.asarray(found.forces) for found in model.evaluate_batch(systems)])


def error(model: Any, structures: Dataset) -> float:
    """Mean absolute error of the force's components (eV/Angstrom)."""
    known = structures["forces"].reshape(-1, 3)
    return float(abs(forces(model, structures) - known).mean())


def double_difference(model: Any, structures: Dataset) -> float:
    """The largest difference, in double precision, of forces on turned structures from those on the
    structures, turned, in units of the largest force."""
    kind = next(model.parameters()).dtype
    model.double()
    bent, turns = turned(structures, 1)
    shape = (len(structures), -1, 3)
    one = forces(model, structures).reshape(shape) @ turns
    other = forces(model, bent).reshape(shape)
    model.to(kind)
    return float(abs(one - other).max() / abs(one).max())


def batch_times(models: dict[str, Any], structures: Dataset) -> dict[str, float]:
    """Seconds of energies and forces of a batch of 100 on one thread, medians of turns."""
    torch.set_num_threads(1)
    systems = [structures.system(k) for k in range(100)]
    every: dict[str, Callable[[], object]] = {
        name: lambda model=model: model.evaluate_batch(systems) for name, model in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(15):
        for name, work in every.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}
