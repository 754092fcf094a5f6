"""Runs that analyses are tested on: random motions of known laws, written as files of ours."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integrators.state import State
from systems.system import System
from systems.units import METAL
from trajectories.writer import H5MDWriter


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Positions [frames, (n_systems,) n, 3], and velocities, as a file: frames a picosecond apart in metal units."""

    def write(x: np.ndarray, v: Any = 0.0, *, name: str = "run.h5md", cell: Any = None, spacing: float = 1.0, **options: Any) -> Path:
        fixed = {key: options.pop(key) for key in ("masses", "species", "charges", "units") if key in options}
        units = fixed.setdefault("units", METAL)
        step = METAL.convert(spacing, "ps") if units is METAL else spacing
        v = np.broadcast_to(v, x.shape)
        path = tmp_path / name
        pbc = (cell is not None,) * 3
        first = replace(System.create(x[0], velocities=v[0], **fixed), cell=cell, pbc=pbc)
        with H5MDWriter(path, first, n_frames=len(x), **options) as writer:
            for k in range(len(x)):
                writer.write(State(replace(System.create(x[k], velocities=v[k], **fixed), cell=cell, pbc=pbc), k * step, k))
        return path

    return write
