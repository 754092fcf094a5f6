"""Energies and forces along paths through symmetric shapes, in single poses and in smooth ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ase.build import molecule
from record import Row

from mcegnn.models.store import Stored
from systems.sources.atoms import from_atoms
from systems.system import System

STEPS = (2_500, 5_000, 10_000)
_FAR = 0.03  # Angstrom on either side of the symmetric shape
_BLOCK = 500  # structures evaluated at once
SHAPES = {
    "CO2": "collinear",
    "BF3": "coplanar, a symmetric top",
    "NH3": "a symmetric top",
    "CH4": "a spherical top",
}


def measure() -> list[Row]:
    """The largest change from step to step of the energy and of a force's component, on straight
    paths through the shapes, of a graph network with fresh weights in double precision."""
    rows = []
    for name, shape in SHAPES.items():
        for canonicalizer in ("direct", "smooth"):
            jumps = [largest(name, canonicalizer, n) for n in STEPS]
            energies, forces = (", ".join(f"{jump[k]:.1e}" for jump in jumps) for k in (0, 1))
            figure = f"energies {energies} eV, forces {forces} eV/Angstrom"
            bar = "falls linearly" if canonicalizer == "smooth" else ""
            steps = ", ".join(f"{n:,}" for n in STEPS)
            rows.append(Row(f"{name}, {shape}, {canonicalizer}, {steps} steps", figure, bar))
    return rows


def symmetric(name: str) -> System:
    """The molecule, in its symmetry to the last digit."""
    atoms = molecule(name)
    if name in ("NH3", "BF3"):
        angles = 2.0 * np.pi * np.arange(3) / 3.0
        height = -0.27 if name == "NH3" else 0.0
        ring = np.stack([np.cos(angles), np.sin(angles), 0.0 * angles], 1)
        atoms.positions[0] = [0.0, 0.0, 0.1 if height else 0.0]
        atoms.positions[1:] = (0.94 if height else 1.31) * ring + [0.0, 0.0, height]
    return from_atoms(atoms)


def largest(name: str, canonicalizer: str, n_steps: int) -> tuple[float, float]:
    """The largest change of the energy (eV) and of a force's component (eV/Angstrom) in a step."""
    torch.manual_seed(0)
    system = symmetric(name)
    inner = {"n_features": 16, "n_layers": 2, "cutoff": 5.0}
    inner |= {"species": sorted({int(z) for z in system.species})}
    given = {"model": "UnconstrainedPotential", "group": "O(3)", "canonicalizer": canonicalizer}
    model: Any = Stored.make("Canonicalized", {**given, "hyperparameters": inner}).model
    model.double().eval().requires_grad_(False)
    start = np.asarray(system.positions)
    way = np.random.default_rng(1).normal(size=start.shape)
    # the middle one is the symmetric shape
    path = [
        replace(system, positions=start + s * way) for s in np.linspace(-_FAR, _FAR, n_steps + 1)
    ]
    energies, forces = [], []
    for first in range(0, len(path), _BLOCK):
        for found in model.evaluate_batch(path[first : first + _BLOCK]):
            energies.append(float(found.energy))
            forces.append(np.asarray(found.forces))
    return float(abs(np.diff(energies)).max()), float(abs(np.diff(forces, axis=0)).max())
