"""What every peer is trained on, judged by and timed with: a molecule of revised MD17, read without
any of our packages.

Each peer runs in an environment of its own, so this needs NumPy and ASE only. A peer's script is
called as ``train NPZ FOLDER MINUTES``, which prints one line of JSON, or ``time FOLDER NPZ [NPZ]``,
which answers every line it is sent by a line of milliseconds a call.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units

N_TRAIN, N_VALIDATION = 950, 50  # of the official thousand, as `mcegnn train rmd17` cuts them
ENERGY, FORCES = (
    "REF_energy",
    "REF_forces",
)  # names that neither ASE nor a peer takes for results of a calculator
_CALLS, _WARM = 100, 10
_MOVE = 0.01  # Angstrom, so that no call meets the positions of the last
_PROBE = 3  # epochs of the longer of two trainings that tell how long an epoch takes


class Molecule(NamedTuple):
    """Structures with energies [eV] in ``info`` and forces [eV/Angstrom] in ``arrays``."""

    train: list[Atoms]
    validation: list[Atoms]
    test: list[Atoms]


class Peer(NamedTuple):
    """A package: how it is trained for a number of epochs into a folder, and the calculators that
    it gives of what is there.

    ``calculator`` takes any structure; ``fastest``, where it is another, may be slow to meet a new
    number of atoms or neighbours.
    """

    name: str
    package: str
    settings: str
    train: Callable[[Molecule, Path, int], None]
    calculator: Callable[[Path], Any]
    fastest: Callable[[Path], Any]
    parameters: Callable[[Path], int]


def read(npz: Path) -> Molecule:
    """A molecule of the first split, energies from the mean of those to train on.

    Float32, in which all peers are trained, has half a millielectronvolt left at an ethanol's
    -4,200 eV.
    """
    with np.load(npz) as file:
        train, test = (
            _structures(file, part, float(file["energies_train"][:N_TRAIN].mean()))
            for part in ("train", "test")
        )
    return Molecule(train[:N_TRAIN], train[N_TRAIN : N_TRAIN + N_VALIDATION], test)


def _structures(file: Any, part: str, zero: float) -> list[Atoms]:
    made = []
    for positions, energy, forces in zip(
        *(file[f"{key}_{part}"] for key in ("positions", "energies", "forces")), strict=True
    ):
        atoms = Atoms(file["species"], positions)
        atoms.info[ENERGY] = (float(energy) - zero) * units.kcal / units.mol
        atoms.arrays[FORCES] = forces * units.kcal / units.mol
        made.append(atoms)
    return made


def scores(calculator: Any, structures: list[Atoms]) -> tuple[float, float]:
    """Mean absolute errors of forces [meV/Angstrom] and of energies [meV]."""
    forces, energies = [], []
    for atoms in structures:
        calculator.calculate(
            atoms, ["energy", "forces"]
        )  # both at once: not every calculator keeps what it was not asked for
        forces.append(np.abs(calculator.results["forces"] - atoms.arrays[FORCES]).mean())
        energies.append(abs(float(calculator.results["energy"]) - atoms.info[ENERGY]))
    return 1e3 * float(np.mean(forces)), 1e3 * float(np.mean(energies))


def milliseconds(calculator: Any, atoms: Atoms, n_calls: int = _CALLS) -> float:
    """Of a call for energy and forces, its positions new each time, after some that are not
    counted."""
    atoms = Atoms(
        atoms.numbers, atoms.positions
    )  # without the labels, which ASE would compare at every call
    atoms.calc = calculator
    moved = atoms.positions + np.random.default_rng(0).normal(
        scale=_MOVE, size=(_WARM + n_calls, len(atoms), 3)
    )
    for k, positions in enumerate(moved):
        if k == _WARM:
            began = time.perf_counter()
        atoms.positions = positions
        atoms.get_forces()
    return 1e3 * (time.perf_counter() - began) / n_calls


def main(peer: Peer) -> None:
    """What the command line asks of a peer."""
    verb, *rest = sys.argv[1:]
    if verb == "train":
        print(
            json.dumps(_trained(peer, Path(rest[0]), Path(rest[1]).resolve(), float(rest[2]))),
            flush=True,
        )
    else:
        # a calculator for each molecule: a compiled one pads the smaller to the larger
        _answer(
            [(peer.fastest(Path(rest[0]).resolve()), read(Path(npz)).test[0]) for npz in rest[1:]]
        )


def _trained(peer: Peer, npz: Path, folder: Path, minutes: float) -> dict[str, Any]:
    """Train for as many epochs as fit into minutes of one core, the tool's own start included, and
    score.

    On a machine that others use too, minutes of a core are the same work at any hour; where nobody
    else is, they are minutes.
    """
    molecule = read(npz)
    start, epoch = _pace(peer, molecule, folder / "probe")
    n_epochs = max(2, int((60 * minutes - start) / epoch))
    began, before = time.perf_counter(), _busy()
    peer.train(molecule, _empty(folder / "training"), n_epochs)
    took, busy = (time.perf_counter() - began) / 60, (_busy() - before) / 60
    force, energy = scores(peer.calculator(folder), molecule.test)
    return {
        "name": peer.name,
        "version": f"{peer.package} {version(peer.package)}",
        "parameters": peer.parameters(folder),
        "minutes": took,
        "cpu_minutes": busy,
        "force_mae_mev": force,
        "energy_mae_mev": energy,
        "ms_per_call": milliseconds(peer.fastest(folder), molecule.test[0]),
        "settings": peer.settings,
        "epochs": n_epochs,
        "cpu_seconds_per_epoch": epoch,
    }


def _pace(peer: Peer, molecule: Molecule, folder: Path) -> tuple[float, float]:
    """Seconds of a core that a training takes to start and to end, and those of one epoch."""
    peer.train(molecule, _empty(folder), 1)  # fills caches of compiled code, and is not counted
    taken = []
    for n in (1, _PROBE):
        before = _busy()
        peer.train(molecule, _empty(folder), n)
        taken.append(_busy() - before)
    epoch = max((taken[1] - taken[0]) / (_PROBE - 1), 1e-3)
    return max(taken[0] - epoch, 0.0), epoch


def _busy() -> float:
    """Seconds of a core that ended child processes have used."""
    spent = os.times()
    return spent.children_user + spent.children_system


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _answer(pairs: list[tuple[Any, Atoms]]) -> None:
    """One turn of timing for each line that comes in, until there are no more."""
    for _ in sys.stdin:
        print(
            json.dumps([milliseconds(calculator, atoms) for calculator, atoms in pairs]), flush=True
        )
