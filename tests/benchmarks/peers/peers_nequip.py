"""NequIP with l = 1, by `nequip-train`, and compiled ahead of time by `nequip-compile` for its
calls."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import write
from molecule import Molecule, Peer, main

_CONFIGURATION = Path(__file__).with_name("nequip.yaml")
_CELL = 100.0  # Angstrom
_BIN = Path(sys.executable).parent


def train(molecule: Molecule, folder: Path, n_epochs: int) -> None:
    """Cosine decay of the rate over all epochs."""
    for part in ("train", "validation"):
        write(folder / f"{part}.xyz", [_celled(atoms) for atoms in getattr(molecule, part)])
    where = [
        "-cp",
        str(_CONFIGURATION.parent),
        "-cn",
        _CONFIGURATION.stem,
        f"hydra.run.dir={folder}",
        f"folder={folder}",
    ]
    _run(folder, "nequip-train", *where, f"max_epochs={n_epochs}")


def calculator(folder: Path) -> Any:
    """In float32, as it was trained, by AOTInductor."""
    from nequip.integrations.ase import NequIPCalculator

    made = folder / "training" / "compiled.nequip.pt2"
    if not made.exists():
        _run(
            made.parent,
            "nequip-compile",
            "best.ckpt",
            str(made),
            "--device",
            "cpu",
            "--mode",
            "aotinductor",
            "--target",
            "ase",
        )
    return NequIPCalculator.from_compiled_model(str(made), device="cpu")


def parameters(folder: Path) -> int:
    """Numbers that were trained."""
    weights = torch.load(folder / "training" / "best.ckpt", weights_only=False)
    return sum(part["exp_avg"].numel() for part in weights["optimizer_states"][0]["state"].values())


def _celled(atoms: Atoms) -> Atoms:
    """In a cell, though not periodic: nequip-compile compares stresses too, which are not numbers
    without a volume."""
    copy = atoms.copy()
    copy.cell = _CELL * np.eye(3)
    return copy


def _run(folder: Path, tool: str, *arguments: str) -> None:
    with (folder / f"{tool}.log").open("w") as log:
        subprocess.run(
            [str(_BIN / tool), *arguments], cwd=folder, check=True, stdout=log, stderr=log
        )


if __name__ == "__main__":
    said = (
        "4 layers, l = 1, no odd parity, 32 features, cutoff 5, batch 5, Adam, lr 0.01 by cosine to"
        " zero, EMA 0.999, float32"
    )
    main(
        Peer(
            "NequIP",
            "nequip",
            f"{said}; calls by AOTInductor",
            train,
            calculator,
            calculator,
            parameters,
        )
    )
