"""Training a potential on labelled structures: batches, gradients, fine-tuning, and the commands around it."""

import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mcegnn.datasets.labelled import from_file
from mcegnn.datasets.structures import Structures, StructureSplit, split
from mcegnn.models.potential import ConservativePotential
from mcegnn.models.store import Stored, load
from mcegnn.training.compilation import compiled
from mcegnn.training.energies_forces import EnergiesForces, _step
from mcegnn.training.options import TrainingOptions, parse
from mcegnn.training.prediction import measures, predicted
from mcegnn.training.prepared import Prepared
from mcegnn.training.setup import potential
from mcegnn.training.trainer import Trainer
from tests_commands import invoke  # noqa: F401

CPU = torch.device("cpu")
SMALL = {"n_features": 8, "n_channels": [3, 2], "n_layers": 2, "n_radial": 5, "cutoff": 4.0}


def labelled(atoms: Atoms, stress: bool = False) -> Atoms:
    """By ASE's effective medium theory."""
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if stress:
        results["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def clusters(n: int, seed: int = 0) -> list[Atoms]:
    """Of copper and oxygen, three to five atoms."""
    stream = np.random.default_rng(seed)
    made = []
    for k in range(n):
        size = 3 + k % 3
        x = 2.2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])[:size] + stream.normal(size=(size, 3)) * 0.15
        made.append(labelled(Atoms("Cu" * (size - 1) + "O", x)))
    return made


def crystals(n: int, seed: int = 0) -> list[Atoms]:
    stream = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell @ (np.eye(3) + 0.03 * stream.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += 0.1 * stream.normal(size=atoms.positions.shape)
        made.append(labelled(atoms, stress=True))
    return made
