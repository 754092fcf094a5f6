"""Revised MD17, first split, 950 training and 50 validation structures: errors on the 1,000 test
structures, and what channels bring."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from record import Row

from mcegnn.data.labelled import named

COMMAND = str(Path(sys.executable).with_name("mcegnn"))
OTHERS = (
    "azobenzene",
    "benzene",
    "malonaldehyde",
    "naphthalene",
    "paracetamol",
    "salicylic",
    "toluene",
    "uracil",
)
_BATCH = 5  # the preset's
_UPDATES = 15_000  # of what is compared
_PAIRS = 2.7e7  # seen in a training of a quarter of an hour on one core
# (energy meV, force meV/Angstrom) as the models' own papers give them, trained on 950 to 1,000
# structures
PUBLISHED = {
    "ethanol": "NequIP .4/2.8, PONITA .4/2.5",
    "aspirin": "NequIP 2.3/8.2, PONITA 1.7/5.8",
}


class Trained(NamedTuple):
    """Errors in eV and Angstrom on the test structures, and minutes that the training took, by the
    clock and of a core."""

    energy: float
    force: float
    minutes: float
    busy: float = 0.0


def train(molecule: str, folder: Path, *changes: str) -> Trained:
    """A training of its own process, on one core."""
    began = time.monotonic()
    options = [part for change in changes for part in ("--set", change)]
    make = [
        COMMAND,
        "train",
        "rmd17",
        "--data",
        f"rmd17:{molecule}",
        "-o",
        str(folder),
        "--threads",
        "1",
        "--quiet",
        *options,
    ]
    process = subprocess.Popen(make)
    _, status, used = os.wait4(
        process.pid, 0
    )  # this process's own time, whatever else runs beside it
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, make)
    minutes, busy = (time.monotonic() - began) / 60, (used.ru_utime + used.ru_stime) / 60
    return scored(str(folder / "best.safetensors"), molecule)._replace(minutes=minutes, busy=busy)


def scored(model: str, molecule: str) -> Trained:
    """Of a model that is there."""
    judge = [COMMAND, "evaluate", model, f"rmd17:{molecule}", "--json"]
    said = json.loads(subprocess.run(judge, check=True, capture_output=True, text=True).stdout)
    return Trained(said["energy_mae"], said["force_mae"], 0.0)


def _together(jobs: Sequence[tuple[str, tuple[str, ...]]]) -> list[Trained]:
    """Trainings two at a time, as many as there are cores."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        made = [
            pool.submit(train, molecule, Path(folder) / str(k), *changes)
            for k, (molecule, changes) in enumerate(jobs)
        ]
        return [job.result() for job in made]


def _said(found: Trained) -> str:
    took = f", {found.busy:.0f} minutes of one core" if found.minutes else ""
    return f"energy {1e3 * found.energy:.2f} meV, force {1e3 * found.force:.2f} meV/Angstrom{took}"


def shipped() -> list[Row]:
    """The two that come with the package; `mcegnn info` tells how they were made."""
    return [
        Row(
            f"{name}, the shipped model (published: {PUBLISHED[name]})",
            _said(scored(name, name)),
            f"force at most {bar}",
        )
        for name, bar in (("ethanol", 5), ("aspirin", 15))
    ]


def molecules() -> list[Row]:
    """A quarter of an hour for each of the others."""
    jobs = []
    for name in OTHERS:
        n = int(named(f"rmd17:{name}").structures.sizes[0])
        jobs.append((name, (f"n_updates={round(_PAIRS / (n * (n - 1) * _BATCH), -3):.0f}",)))
    return [Row(name, _said(found)) for name, found in zip(OTHERS, _together(jobs), strict=True)]


def channels() -> list[Row]:
    """What channels, tensors of rank two, and couplings between the two bring: ethanol, each for as
    many updates."""
    kinds = (("1", 0), ("4", 0), ("16", 0), ("[16, 8]", 0), ("[16, 8]", 8))
    changes = [
        (
            f"model.hyperparameters.n_channels={kind}",
            f"model.hyperparameters.n_couplings={n}",
            f"n_updates={_UPDATES}",
        )
        for kind, n in kinds
    ]
    found = _together([("ethanol", change) for change in changes])
    names = [
        f"ethanol, {_UPDATES:,} updates, n_channels = {kind}{f', n_couplings = {n}' if n else ''}"
        for kind, n in kinds
    ]
    return [Row(name, _said(one)) for name, one in zip(names, found, strict=True)]
