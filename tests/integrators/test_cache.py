"""Compiled copies on disk: an edit to any file that the driver is made of must not leave the old
machine code in use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import integrators

RUN = """
from integrators.ensembles import wisdom_holman
from integrators.state import State
from systems.potentials.gravity import Gravity
from systems.system import System
from trajectories.rollout import rollout
x, v = [[0, 0, 0], [1.0, 0, 0], [0, 2.0, 0]], [[0, 0, 0], [0, 1.0, 0], [0.7, 0, 0]]
start = State(System.create(x, velocities=v, masses=[1.0, 1e-3, 1e-3]))
*_, last = rollout(wisdom_holman(Gravity()), start, 0.25, 4, 4)
print(*last.system.positions.ravel())
"""

# a planet that stands still, instead of its conic
EDIT = """

@inlined_jit
def kepler_coefficients(qx, qy, qz, vx, vy, vz, mu, dt):
    return 0.0 * mu * qx * dt, 0.0 * qy * vx, 0.0 * qz * vy, 0.0 * vz
"""


def run(folder: Path) -> np.ndarray:
    environment = os.environ | {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return np.array(done.stdout.split(), dtype=float)


@pytest.mark.slow
def test_an_edited_solver_is_compiled_anew(tmp_path: Path) -> None:
    """As by ``git pull``: one file changes, and the files that call it do not."""
    root = Path(integrators.__file__).parents[1]
    for package in ("systems", "integrators", "trajectories"):
        shutil.copytree(
            root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    before = run(tmp_path)
    with open(tmp_path / "integrators" / "compiled" / "_kepler.py", "a") as solver:
        solver.write(EDIT)
    assert abs(run(tmp_path) - before).max() > 0.1
