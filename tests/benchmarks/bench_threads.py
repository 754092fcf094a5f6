"""One potential in four Python threads: whether it says what it says in one, to the bit, and what a
call of a single thread costs.

`python tests/benchmarks/bench_threads.py` prints the microseconds of calls of a single thread, for
a comparison with another version.
"""

import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.mep import NEB
from record import Row

from integrators.compiled.driver import available_cores
from mcegnn import LennardJones, PotentialCalculator, from_atoms, load
from systems.potentials.committee import Committee
from systems.system import System

CASES = Path(__file__).parents[1] / "cases"
N_CALLS, N_THREADS, N_IMAGES = 1000, 4, 9


def trained(folder: Path) -> str:
    """A small periodic potential after a few updates on 60 crystals of copper and gold."""
    from typer.testing import CliRunner

    from mcegnn.cli.app import app

    small = "{n_features = 16, n_channels = [4, 2], n_layers = 2, n_radial = 5, cutoff = 4.0}"
    settings = (
        f"model.hyperparameters={small}",
        "n_updates=20",
        "validate_every=10",
        "warmup=2",
        "compile=false",
    )
    command = [
        "train",
        "extxyz",
        "--data",
        str(CASES / "cuau.xyz"),
        "-o",
        str(folder / "model"),
        "--quiet",
    ]
    result = CliRunner().invoke(
        app, [*command, *(word for setting in settings for word in ("--set", setting))]
    )
    if result.exit_code:
        raise RuntimeError(result.output)
    return str(folder / "model" / "best.safetensors")


def shaken(atoms: list[Atoms], n: int) -> list[System]:
    """Systems of the atoms in turn, each shaken in its own way."""
    found, rng = [from_atoms(one) for one in atoms], np.random.default_rng(0)
    chosen = [found[k % len(found)] for k in range(n)]
    return [
        replace(one, positions=one.positions + rng.normal(0.0, 0.05, one.positions.shape))
        for one in chosen
    ]


MOLECULES = [molecule("CH3CH2OH"), molecule("CH3OH"), molecule("H2O")]
COPPER = [bulk("Cu", "fcc", 3.6, cubic=True) * (2, 2, k) for k in (1, 2)]
ARGON = [bulk("Ar", "fcc", 5.3, cubic=True) * (2, 2, k) for k in (1, 2)]


def measure() -> list[Row]:
    """Calls that differ from those of one thread, and images of bands that do."""
    with TemporaryDirectory() as folder:
        model = trained(Path(folder))
        shared: dict[str, tuple[Callable[[], Any], list[Atoms]]] = {
            "shipped ethanol": (lambda: load("ethanol"), MOLECULES),
            "trained on 60 crystals": (lambda: load(model), COPPER),
            "LennardJones": (lambda: LennardJones(epsilon=0.0104, sigma=3.4), ARGON),
            "committee of two": (
                lambda: Committee([load("ethanol"), load("ethanol").as_potential()]),
                MOLECULES,
            ),
        }
        rows = [
            _calls(name, make, shaken(atoms, N_CALLS)) for name, (make, atoms) in shared.items()
        ]
        return rows + [_band(lambda: load(model), repeat) for repeat in (2, 3)]


def _calls(name: str, make: Callable[[], Any], systems: list[System]) -> Row:
    alone, together = make(), make()
    began = time.perf_counter()
    wanted = [alone(system) for system in systems]
    serial = time.perf_counter() - began
    with ThreadPoolExecutor(N_THREADS) as pool:
        began = time.perf_counter()
        found = list(pool.map(together, systems))
        parallel = time.perf_counter() - began
    wrong = sum(not _same(one, other) for one, other in zip(found, wanted, strict=True))
    speed = f"{serial / parallel:.2f} times as fast on {available_cores()} cores"
    return Row(
        f"{name}: of {N_CALLS:,} calls from {N_THREADS} threads, those with other bits",
        f"{wrong}; {speed}",
        "0",
    )


def _same(one: Any, other: Any) -> bool:
    stress = (one.stress is None and other.stress is None) or np.array_equal(
        one.stress, other.stress
    )
    return stress and np.array_equal(one.forces, other.forces) and one.energy == other.energy


def _band(make: Callable[[], Any], repeat: int) -> Row:
    """A vacancy's neighbour hops into it: ASE's band with a thread for each image, all of one
    model."""
    first = bulk("Cu", "fcc", 3.6, cubic=True) * repeat
    del first[0]
    last = first.copy()
    last.positions[np.linalg.norm(last.positions, axis=1).argmin()] = 0.0
    first.rattle(0.02, seed=1)
    last.rattle(0.02, seed=2)

    def forces(parallel: bool, models: list[Any]) -> np.ndarray:
        images = [*(first.copy() for _ in range(N_IMAGES)), last.copy()]
        for image, model in zip(images, models, strict=True):
            image.calc = PotentialCalculator(model)
        band = NEB(images, parallel=parallel, method="improvedtangent")
        band.interpolate(mic=True)
        return np.concatenate([np.ravel(band.get_forces()), band.energies])

    wanted, model = forces(False, [make() for _ in range(N_IMAGES + 1)]), make()
    wrong = sum(
        not np.array_equal(forces(True, [model] * (N_IMAGES + 1)), wanted) for _ in range(20)
    )
    what = f"parallel NEB of {len(first)} atoms, {N_IMAGES + 1} images of one model"
    return Row(f"{what}: of 20 bands, those with other bits", str(wrong), "0")


def single() -> dict[str, float]:
    """Median microseconds of a call."""
    model, copper = load("ethanol"), shaken(COPPER[1:], 20)
    ethanol, argon = shaken(MOLECULES[:1], 20), shaken(ARGON[1:], 20)
    committee = Committee([model.as_potential(), model.as_potential()])
    lennard_jones = LennardJones(epsilon=0.0104, sigma=3.4)
    with TemporaryDirectory() as folder:
        crystals = load(trained(Path(folder)))
    return {
        "shipped ethanol": _median(model, ethanol, 2000),
        "trained on 60 crystals": _median(crystals, copper, 200),
        "LennardJones": _median(lennard_jones, argon, 2000),
        "committee of two": _median(committee, ethanol, 1000),
    }


def _median(potential: Any, systems: list[System], n: int) -> float:
    taken = []
    for k in range(n):
        began = time.perf_counter()
        potential(systems[k % len(systems)])
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


if __name__ == "__main__":
    print(json.dumps(single()))
