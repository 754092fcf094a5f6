"""Ethanol at constant energy under graph networks in canonical poses, smooth ones and single ones;
trained runs are kept in ``learned/`` and not run again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from ase import units
from ase.build import molecule
from bench_learning import trained
from record import Row
from scipy.spatial.transform import Rotation

from integrators.ensembles import velocity_verlet
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from systems.observables import kinetic_energy
from systems.sources.atoms import from_atoms
from systems.system import System
from trajectories.rollout import rollout

CASES = {"smooth": (), "direct": ("model.hyperparameters.canonicalizer=direct",)}
N_STEPS = 200_000  # of half a femtosecond
_FS = units.fs
_JUMP = 20.0  # times the median change of the energy in a step


def measure() -> list[Row]:
    """100 ps at 300 K, the order of the energy's error in the time step, and trajectories of turned
    molecules."""
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(
            lambda name: trained(f"ethanol-{name}", "rmd17-canonical", *CASES[name]), CASES
        )
    models: dict[str, Any] = {
        name: stored.model.double() for name, (stored, _) in zip(CASES, runs, strict=True)
    }
    return [row for name, model in models.items() for row in _rows(name, model)]


def _rows(name: str, model: Any) -> list[Row]:
    start = State(relaxed_and_hot(model))
    total = energies(model, start, 0.5, N_STEPS)
    per_atom = 1e3 * (total - total[0]) / 9
    line = np.polynomial.Polynomial.fit(np.linspace(0.0, 1.0, len(total)), per_atom, 1).convert()
    steps = abs(np.diff(total))
    jumps = int((steps > _JUMP * np.median(steps)).sum())
    spread = [
        float(np.std(energies(model, start, dt, round(2000 / dt)))) for dt in (1.0, 0.5, 0.25)
    ]
    orders = ", ".join(f"{order:.2f}" for order in np.log2(np.divide(spread[:-1], spread[1:])))
    sizes = " / ".join(f"{1e3 * size / 9:.2g}" for size in spread)
    smooth = name == "smooth"
    return [
        Row(
            f"{name}: NVE of ethanol, 300 K, 0.5 fs, {N_STEPS * 0.5e-3:g} ps",
            f"drift {line.coef[1]:.2g} meV an atom, largest deviation {abs(per_atom).max():.2g};"
            f" {jumps} steps change the energy by more than {_JUMP:g} times the median step,"
            f" {1e3 * steps.max():.2g} meV at most",
            "below 1 meV an atom" if smooth else "",
        ),
        Row(
            f"{name}, 2 ps: fluctuation of the energy at 1 / 0.5 / 0.25 fs",
            f"{sizes} meV an atom, orders {orders}",
            "order 2" if smooth else "",
        ),
        Row(
            f"{name}: 100 steps in a turned frame",
            f"atoms differ by {apart(model, start):.1e} Angstrom at most",
            "at most 1e-6",
        ),
    ]


def relaxed_and_hot(model: Any) -> System:
    """Ethanol at its minimum with twice the kinetic energy of 300 K, half of which becomes
    potential."""
    from mcegnn.interfaces.ase import relaxation

    *_, relaxed = relaxation(from_atoms(molecule("CH3CH2OH")), model, 0.01)
    return maxwell_boltzmann(relaxed.system, temperature=600.0, random=Random(2))


def energies(model: Any, start: State, dt: float, n_steps: int) -> np.ndarray:
    """Total energies (eV) after each step of ``dt`` femtoseconds."""
    run = rollout(velocity_verlet(model.as_potential()), start, dt * _FS, n_steps, 1)
    return np.array([float(s.evaluation.energy) + kinetic_energy(s.system) for s in run])


def apart(model: Any, start: State) -> float:
    """The largest distance of an atom from where it is in a turned run, turned back (Angstrom)."""
    r, system = Rotation.random(random_state=3).as_matrix().T, start.system
    turned = replace(system, positions=system.positions @ r, momenta=system.momenta @ r)
    ends = []
    for begin in (system, turned):
        flow = velocity_verlet(model.as_potential())
        *_, end = rollout(flow, State(begin), 0.5 * _FS, 100, 100)
        ends.append(np.asarray(end.system.positions))
    return float(np.linalg.norm(ends[0] @ r - ends[1], axis=-1).max())
