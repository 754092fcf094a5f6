"""PaiNN of SchNetPack, by `spktrain` and its own experiment for revised MD17."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from molecule import ENERGY, FORCES, N_TRAIN, N_VALIDATION, Molecule, Peer, main

_FEATURES, _LAYERS, _CUTOFF = 128, 3, 5.0
_BATCH, _LR = 10, 1e-3
# SchNetPack 2.1.1 asks torch for a type variable that torch no longer has under this name, for
# annotations only
_SHIM = "import torch.utils.data.dataloader as loader; loader.T_co = loader._T_co"
_TOOL = [sys.executable, "-c", f"{_SHIM}; from schnetpack.cli import train; train()"]


def train(molecule: Molecule, folder: Path, n_epochs: int) -> None:
    """Cosine decay of the rate over all epochs: the default, on plateaus of 75 epochs, would not
    come to act."""
    _database(molecule, folder)
    options = {
        "experiment": "rmd17",
        "data": "custom",
        "data.datapath": folder / "molecule.db",
        "data.num_train": N_TRAIN,
        "data.num_val": N_VALIDATION,
        "data.num_workers": 0,
        "+data.split_file": folder / "split.npz",
        "data.batch_size": _BATCH,
        "run.path": folder,
        "run.id": "run",
        "run.experiment": "rmd17",
        "+seed": 1,
        "print_config": False,
        "globals.lr": _LR,
        "model.representation.n_atom_basis": _FEATURES,
        "model.representation.n_interactions": _LAYERS,
        "globals.cutoff": _CUTOFF,
        "trainer.max_epochs": n_epochs,
        "trainer.accelerator": "cpu",
        "+trainer.enable_progress_bar": False,
        "logger": "csv",
        "task.scheduler_cls": "torch.optim.lr_scheduler.CosineAnnealingLR",
        "task.scheduler_monitor": "null",
        "+task.scheduler_args.T_max": n_epochs,
    }
    command = [
        *_TOOL,
        "~task.scheduler_args",
        *(f"{name}={value}" for name, value in options.items()),
    ]
    with (folder / "log").open("w") as log:
        subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log)


def _database(molecule: Molecule, folder: Path) -> None:
    """SchNetPack's own format, and which structures are for what; its trainer tests too, for which
    validation structures serve."""
    _import_schnetpack()
    from schnetpack.data import ASEAtomsData

    units = {"energy": "eV", "forces": "eV/Ang"}
    data = ASEAtomsData.create(
        str(folder / "molecule.db"), distance_unit="Ang", property_unit_dict=units
    )
    rows = [*molecule.train, *molecule.validation]
    labels = [
        {"energy": np.array([atoms.info[ENERGY]]), "forces": atoms.arrays[FORCES]} for atoms in rows
    ]
    data.add_systems(labels, [Atoms(atoms.numbers, atoms.positions) for atoms in rows])
    last = np.arange(N_TRAIN, N_TRAIN + N_VALIDATION)
    np.savez(folder / "split.npz", train_idx=np.arange(N_TRAIN), val_idx=last, test_idx=last)


def calculator(folder: Path) -> Any:
    """In float32, as it was trained; its energies are in kcal/mol, as its experiment has them."""
    _import_schnetpack()
    from schnetpack.interfaces import SpkCalculator
    from schnetpack.transform import MatScipyNeighborList

    return SpkCalculator(
        str(_model(folder)),
        MatScipyNeighborList(_CUTOFF),
        energy_unit="kcal/mol",
        dtype=torch.float32,
    )


def parameters(folder: Path) -> int:
    """Numbers that were trained."""
    _import_schnetpack()
    return sum(part.numel() for part in torch.load(_model(folder), weights_only=False).parameters())


def _model(folder: Path) -> Path:
    return folder / "training" / "run" / "best_model"


def _import_schnetpack() -> None:
    from torch.utils.data import dataloader

    dataloader.T_co = dataloader._T_co  # type: ignore[attr-defined]


if __name__ == "__main__":
    rate = f"AdamW, lr {_LR:g} by cosine to zero, weights .01 and .99, EMA 0.995"
    said = (
        f"{_FEATURES} features, {_LAYERS} interactions, cutoff {_CUTOFF:g}, batch {_BATCH}, {rate},"
        " float32"
    )
    main(Peer("PaiNN", "schnetpack", said, train, calculator, calculator, parameters))
