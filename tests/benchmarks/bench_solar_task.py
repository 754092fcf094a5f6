"""The solar task: where bodies are a thousand half hours later, by models trained on DE440's year
and on that of 27 bodies with J2."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from bench_learning import trained
from record import Row

from integrators.ensembles import yoshida_8
from integrators.state import State
from mcegnn.data.dataset import Dataset
from mcegnn.data.pairs import split
from mcegnn.data.split import Split
from mcegnn.models.force import LearnedForce
from mcegnn.models.store import load
from mcegnn.training.options import parse_recorded
from mcegnn.training.scoring import errors, floors
from systems.potentials.gravity import Gravity
from systems.system import Potential
from systems.units import ASTRONOMICAL
from trajectories.forecast import displacement_error
from trajectories.rollout import rollout

CHANNELS = (1, 3, 5)
# the paper's bodies among those of the file: the Sun, the planets and the moons of at least 1e18 kg
SMALL = ("Pluto", "Charon", "Phobos", "Deimos", "Ceres", "Vesta", "Eris")
N_UPDATES = {"de440": 3000, "27": 1500}
SEEDS = {"de440": (0, 1, 2), "27": (0,)}
N_STEPS = {"de440": 42, "27": 2000}  # of the eighth order, for forces


def datasets() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name and left-out bodies of each data set."""
    bodies = Path(os.environ["MCEGNN_DATA"]) / "solar" / "bodies_j2000.csv"
    return {"de440": ("solar-de440", ()), "27": (f"solar:{bodies}", SMALL)}


def measure() -> list[Row]:
    """Both tables."""
    sets = datasets()

    def run(case: tuple[str, int, int]) -> None:
        key, m, seed = case
        name, without = sets[key]
        trained(
            _folder(*case),
            "solar-mcegnn",
            f"seed={seed}",
            f"data.name={name}",
            f"data.without={list(without)}",
            f"n_updates={N_UPDATES[key]}",
            f"model.hyperparameters.n_channels={m}",
        )

    cases = [
        (key, m, seed) for key in ("27", "de440") for seed in SEEDS[key] for m in reversed(CHANNELS)
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, cases))
    return [
        row
        for key, (name, without) in sets.items()
        for row in _table(key, split(name, without=without))
    ]


def _folder(key: str, m: int, seed: int) -> str:
    return f"solar-{key}-{m}" + (f"-{seed}" if seed else "")


def _table(key: str, data: Split) -> list[Row]:
    where = "DE440, 11 bodies" if key == "de440" else "a simulated year of 27 bodies with J2"
    options = parse_recorded(trained(_folder(key, 3, 0), "solar-mcegnn")[0].record["options"]).task
    rows = [
        Row(f"{where}: {what.replace('_', ' ')}", f"{error:.3g}", "")
        for what, error in floors(data.test, options).items()
    ]
    for m in CHANNELS:
        runs = [trained(_folder(key, m, seed), "solar-mcegnn") for seed in SEEDS[key]]
        found = [errors(stored.model, data.test, options) for stored, _ in runs]
        means, chosen = (
            " ".join(f"{e.mean():.1e}" for e in found),
            " ".join(f"{stored.record['validation']:.1e}" for stored, _ in runs),
        )
        figure = (
            f"mean {means}, median {np.median(found[0]):.1e}; validation {chosen};"
            f" {sum(t for _, t in runs):.0f} min"
        )
        rows.append(
            Row(
                f"{where}: {'EGNN' if m == 1 else f'MC-EGNN, m = {m}'}, {N_UPDATES[key]:,} updates",
                figure,
                "",
            )
        )
    few = data.test.take(slice(0, None, 1 if key == "de440" else 50))
    model = load("solar-force").model
    assert isinstance(model, LearnedForce)
    own = model.masses is not None and len(model.masses) == few.ensemble().n_particles
    what = (
        "learned force and masses (solar-force)"
        if own
        else "learned force (solar-force, of 11 bodies), masses given"
    )
    rows.append(
        Row(
            f"{where}: {what}",
            _forced(model.tabulated(), few, N_STEPS[key], model if own else None),
            "at most 1e-6" if own else "",
        )
    )
    rows.append(
        Row(f"{where}: Newton", _forced(Gravity(ASTRONOMICAL.gravitation), few, N_STEPS[key]), "")
    )
    return rows


def _forced(
    potential: Potential, samples: Dataset, n_steps: int, masses_of: LearnedForce | None = None
) -> str:
    torch.set_num_threads(2)
    before = samples.ensemble()
    start = before if masses_of is None else masses_of.with_learned_masses(before)
    *_, end = rollout(
        yoshida_8(potential), State(start), samples.interval / n_steps, n_steps, n_steps
    )
    found = displacement_error(
        end.system.positions, samples.of_ensemble("positions"), start.positions
    ).mean(-1)
    return f"mean {found.mean():.2e}, median {np.median(found):.1e} of {len(found):,} samples"
