"""MACE, the small model, by `mace_run_train`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from ase.io import write
from molecule import ENERGY, FORCES, Molecule, Peer, main

_CHANNELS, _MAX_L, _CUTOFF = 128, 0, 5.0
_BATCH, _LR, _LAST_LR = 5, 0.01, 1e-3
_STAGE_TWO, _STAGE_TWO_LR = (
    0.75,
    2.5e-4,
)  # where energies come to weigh as MACE's documentation advises, and the rate from there
_ENERGY_WEIGHTS, _FORCES_WEIGHT = (10, 1000), 100
_TOOL = str(Path(sys.executable).with_name("mace_run_train"))


def train(molecule: Molecule, folder: Path, n_epochs: int) -> None:
    """Exponential decay of the rate to stage two: the default, on plateaus of 50 epochs, would not
    come to act."""
    for part in ("train", "validation"):
        write(folder / f"{part}.xyz", getattr(molecule, part))
    second = max(1, int(_STAGE_TWO * n_epochs))
    options = {
        "name": "mace",
        "train_file": "train.xyz",
        "valid_file": "validation.xyz",
        "energy_key": ENERGY,
        "forces_key": FORCES,
        "E0s": "average",
        "model": "MACE",
        "num_channels": _CHANNELS,
        "max_L": _MAX_L,
        "r_max": _CUTOFF,
        "batch_size": _BATCH,
        "valid_batch_size": 50,
        "lr": _LR,
        "scheduler": "ExponentialLR",
        "lr_scheduler_gamma": (_LAST_LR / _LR) ** (1 / second),
        "energy_weight": _ENERGY_WEIGHTS[0],
        "forces_weight": _FORCES_WEIGHT,
        "start_swa": second,
        "swa_lr": _STAGE_TWO_LR,
        "swa_energy_weight": _ENERGY_WEIGHTS[1],
        "swa_forces_weight": _FORCES_WEIGHT,
        "ema_decay": 0.99,
        "max_num_epochs": n_epochs,
        "default_dtype": "float32",
        "device": "cpu",
        "error_table": "TotalMAE",
        "plot": False,
        "seed": 1,
    }
    command = [
        _TOOL,
        "--ema",
        "--amsgrad",
        "--swa",
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    with (folder / "log").open("w") as log:
        subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log)


def calculator(folder: Path, compile_mode: str | None = None) -> Any:
    """In float32, as it was trained."""
    from mace.calculators import MACECalculator

    return MACECalculator(
        model_paths=str(_model(folder)),
        device="cpu",
        default_dtype="float32",
        compile_mode=compile_mode,
    )


def fastest(folder: Path) -> Any:
    """By torch.compile, which is a minute or two at its first call, and again where there are other
    atoms."""
    return calculator(folder, "default")


def parameters(folder: Path) -> int:
    """Numbers that were trained."""
    return sum(part.numel() for part in torch.load(_model(folder), weights_only=False).parameters())


def _model(folder: Path) -> Path:
    """Of stage two, which a training of one epoch has not."""
    first, second = (folder / "training" / f"mace{stage}.model" for stage in ("", "_stagetwo"))
    return second if second.exists() else first


if __name__ == "__main__":
    stages = (
        f"lr {_LR:g} to {_LAST_LR:g} exponentially, for the last quarter {_STAGE_TWO_LR:g} with"
        " energies weighing more (--swa)"
    )
    rate = f"Adam with amsgrad, {stages}, EMA 0.99"
    said = (
        f"{_CHANNELS} channels, max_L {_MAX_L}, cutoff {_CUTOFF:g}, batch {_BATCH}, {rate},"
        " float32; calls by torch.compile"
    )
    main(Peer("MACE", "mace-torch", said, train, calculator, fastest, parameters))
