"""Atoms pressed together: energies of trained potentials below the nearest distances of their
training, what that costs, and molybdenum heated until it melts.

The trained models and the run are kept in ``learned/`` and not made again.
"""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase.build import bulk
from ase.data import chemical_symbols
from bench_learning import RUNS, trained
from bench_rmd17 import COMMAND
from record import Row, ratio, shown

from mcegnn.data.dataset import Dataset
from mcegnn.data.labelled import named
from mcegnn.models.store import Stored, load
from mcegnn.training.prediction import measures
from systems.neighbors.lists import NeighborList
from systems.system import System

SHARES = np.linspace(
    1.2, 0.3, 181
)  # of the nearest distance, from which and to which pairs are pressed
_MO = (
    "n_updates=2800",
    "batch=2",
    "lr=4e-3",
    "validate_every=200",
    "data.n_train=184",
    "data.n_validation=10",
)
_ETHANOL = (
    "n_updates=5000",
    "lr=4e-3",
    "validate_every=500",
    "data.n_train=950",
    "data.n_validation=50",
)
_SITE = 3.167  # Angstrom


def measure() -> list[Row]:
    """Needs ``MCEGNN_DATA``."""
    data = Path(os.environ["MCEGNN_DATA"]) / "crystals"
    training, test = (str(data / f"mlearn_Mo_{part}.xyz") for part in ("training", "test"))
    rows = []
    for name, own, other, settings in (
        ("molybdenum", training, test, _MO),
        ("ethanol", "rmd17:ethanol", "rmd17:ethanol", _ETHANOL),
    ):
        stored, _ = trained(f"short-{name}", "extxyz", f'data.name="{own}"', *settings)
        looked_at, held_out = named(own).structures, named(other)
        rows += of_model(
            name, stored, looked_at, held_out.structures if held_out.test is None else held_out.test
        )
    return [
        *rows,
        *heated(
            RUNS / "short-molybdenum" / "best.safetensors",
            RUNS / "short-molybdenum" / "heated.h5md",
        ),
    ]


def of_model(name: str, stored: Stored, looked_at: Dataset, test: Dataset) -> list[Row]:
    """Pressed pairs of each two elements, errors on the test part and time of a call, the last two
    with repulsion and without."""
    rows = [
        Row(
            f"{name}, {pair}: pressed from 1.2 to 0.3 of the nearest distance in training",
            said,
            "rises, by more than 5 eV",
        )
        for pair, said in pressed_pairs(stored, looked_at)
    ]
    plain = without(stored)
    errors = [measures(one.model, test) for one in (stored, plain)]
    for key in ("force_mae", "energy_mae"):
        had, has = errors[1][key], errors[0][key]
        rows.append(
            Row(
                f"{name}, test part, {key} with repulsion over without",
                f"{has / had:.4f} ({1e3 * had:.2f} meV)",
                "within 2 %",
            )
        )
    return [*rows, cost(name, stored, plain, test.system(0))]


def without(stored: Stored) -> Stored:
    """The same weights without repulsion: those that training without it ends with, to the last bit
    (see the tests)."""
    made = Stored.make(stored.kind, {**stored.hyperparameters, "repulsion": False})
    made.model.load_state_dict(stored.model.state_dict())
    return made


def pressed_pairs(stored: Stored, structures: Dataset, many: int = 5) -> list[tuple[str, str]]:
    """Of each two elements, in the structures where they are nearest and in some where they are
    not: how the energy goes."""
    model: Any = stored.model
    potential, found = model.as_potential(), []
    systems = [
        structures.system(int(k))
        for k in np.unique(np.linspace(0, len(structures) - 1, 200).astype(int))
    ]
    for a, one in enumerate(model.species):
        for b, other in enumerate(model.species[a:], a):
            if not model.nearest[a, b]:
                continue
            near = [
                (system, pair)
                for system in systems
                if (pair := _nearest_pair(system, one, other)) is not None
            ]
            near.sort(key=lambda each: float(np.linalg.norm(each[1][2])))
            chosen = [near[k] for k in np.unique(np.linspace(0, len(near) - 1, many).astype(int))]
            said = [
                _pressed(potential, system, pair, model.nearest[a, b]) for system, pair in chosen
            ]
            rises, heights, lowest = zip(*said, strict=True)
            words = (
                f"{sum(rises)} of {len(said)} rise from their lowest on ({min(lowest):.2f} to"
                f" {max(lowest):.2f})"
            )
            pair_of = (
                f"{chemical_symbols[one]}-{chemical_symbols[other]} ({model.nearest[a, b]:.2f}"
                " Angstrom)"
            )
            found.append((pair_of, f"{words}, by {min(heights):.0f} eV at least"))
    return found


def _nearest_pair(system: System, one: int, other: int) -> tuple[int, int, np.ndarray] | None:
    """Two atoms of these elements, not images of each other, and the way from one to the other."""
    pairs, species = NeighborList(5.0)(*system.geometry), np.asarray(system.species)
    wanted = np.flatnonzero(
        (species[pairs.i] == one) & (species[pairs.j] == other) & (pairs.i != pairs.j)
    )
    if not len(wanted):
        return None
    offsets = pairs.offsets(system.positions, system.cell)
    k = wanted[np.linalg.norm(offsets[wanted], axis=-1).argmin()]
    return int(pairs.i[k]), int(pairs.j[k]), offsets[k]


def _pressed(
    potential: Any, system: System, pair: tuple[int, int, np.ndarray], nearest: float
) -> tuple[bool, float, float]:
    """A pair moved along its line, both atoms as far, the others left: whether the energy rises all
    the way from its lowest on, by how much, and where that is, as a share of the nearest distance:
    1.2 but where the atoms are bonded, whose bond it is.
    """
    i, j, offset = pair
    middle, unit, energies = system.positions[i] + 0.5 * offset, offset / np.linalg.norm(offset), []
    for r in SHARES * nearest:
        x = system.positions.copy()
        x[i], x[j] = middle - 0.5 * r * unit, middle + 0.5 * r * unit
        energies.append(float(potential(replace(system, positions=x)).energy))
    lowest = int(np.argmin(energies))
    sound = bool((np.diff(energies[lowest:]) > 0.0).all()) and SHARES[lowest] >= 1.0
    return sound, energies[-1] - energies[lowest], float(SHARES[lowest])


def cost(name: str, stored: Stored, plain: Stored, system: System) -> Row:
    """A call of the compiled potentials in turn."""
    works = []
    for one in (stored, plain):
        model: Any = one.model
        potential = model.as_potential()
        potential(system)

        def work(potential: Any = potential) -> None:
            for _ in range(20):
                potential(system)

        works.append(work)
    return Row(
        f"{name}, {system.n_particles} atoms: time of a call with repulsion over without",
        shown(ratio(works[1], works[0], 31)),
        "within 2 %",
    )


def heated(model: Path, run: Path, repeat: int = 4, time: str = "50 ps") -> list[Row]:
    """Molybdenum from 300 to 4,000 K at 1 bar."""
    said = run.with_suffix(".txt")
    if not said.is_file():
        start = run.with_suffix(".extxyz")
        ase.io.write(start, bulk("Mo", cubic=True, a=_SITE) * repeat)
        done = subprocess.run(
            [
                COMMAND,
                "rollout",
                start,
                "--model",
                model,
                "--ensemble",
                "npt",
                "--temperature",
                "300 K to 4000 K",
                "--pressure",
                "1 bar",
                "--dt",
                "2 fs",
                "--time",
                time,
                "--every",
                "50",
                "--seed",
                "1",
                "--force",
                "-o",
                run,
            ],
            capture_output=True,
            text=True,
        )
        said.write_text(f"exit code {done.returncode}\n{done.stderr}")
    lines = [
        line
        for line in said.read_text().splitlines()
        if not line.startswith(("writing", "rolling out"))
    ]  # of progress
    words = re.sub(r"\s+", " ", " ".join(lines))
    found = json.loads(
        subprocess.run(
            [COMMAND, "analyse", run, "--json", "--all-frames"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    return [
        Row(
            f"Mo, {2 * repeat**3} atoms, NPT from 300 to 4,000 K over {time}",
            f"{found['time']:.1f} ps; {words}",
            "melts without collapse, or is stopped in words",
        )
    ]


if __name__ == "__main__":
    import sys

    chosen = load(sys.argv[1])
    own = named(sys.argv[2])
    held = named(sys.argv[3]) if len(sys.argv) > 3 else own
    for row in of_model(
        sys.argv[2], chosen, own.structures, held.structures if held.test is None else held.test
    ):
        print(*row, sep=" | ", flush=True)
