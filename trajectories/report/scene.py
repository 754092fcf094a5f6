"""Scenes of the page: particles as whole numbers, colours, radii, bonds, cells; a run's frames
thinned to what a page holds."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from systems.cell import wrap
from systems.system import System
from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis.blocks import single_frames
from trajectories.analysis.bonding import Bonds, bonded, bonds
from trajectories.analysis.orbits import to_ecliptic
from trajectories.analysis.time_series import time_axis
from trajectories.report.looks import looks_of
from trajectories.storage.h5md import H5MDReader

_PLACES = 500_000  # of a particle in a frame: six bytes each, eight as text
_PARTICLES = 5_000
_SYSTEMS = 4
_LEVELS = 65_535  # of a coordinate
_LONGEST = 3.0  # Angstrom, of a bond that is drawn: longer ones are broken, or go through the box


def scene(run: H5MDReader, label: str) -> tuple[dict[str, Any], list[str]]:
    """The scene as plain values, and what was left out of it, in words.

    Planets are seen from the ecliptic's pole and about the heaviest body; atoms in a periodic box
    are put back into it.
    """
    part = _part_of(run)
    which, (axis, times) = part.particles, time_axis(run)
    looks = looks_of(
        run.species[which],
        [run.names[k] for k in which] if run.names else [],
        run.masses[which],
        run.charges.reshape(-1, run.n_particles)[0][which],
        atoms=run.units is METAL,
    )
    found: dict[str, Any] = {
        "label": label,
        **_packed(_positions(run, part)),
        "times": [float(t) for t in times[part.frames]],
        "timeUnit": axis.unit,
        "timed": axis.label == "time",
        **looks,
        "bonds": _bonds(run, which),
        "cell": _cell(run.cells[0].reshape(-1, 3, 3)[0]),
        "longest": _LONGEST,
        "trails": run.units is not METAL and len(which) <= 100,
        "compress": run.units is ASTRONOMICAL,
    }
    return found, _left_out(run, part)


@dataclass(frozen=True, eq=False)
class _Part:
    """What of a run a page holds: particles, how many systems, and every ``stride``-th frame with
    the last one."""

    particles: np.ndarray
    n_systems: int
    stride: int
    frames: list[int]


def _part_of(run: H5MDReader) -> _Part:
    n_systems = min(_SYSTEMS, run.n_systems or 1)
    which = np.arange(run.n_particles)
    if len(which) > _PARTICLES:
        which = np.unique(np.linspace(0, run.n_particles - 1, _PARTICLES).astype(int))
    stride = max(1, -(-len(run) * len(which) * n_systems // _PLACES))
    frames = list(range(0, len(run), stride))
    if frames[-1] != len(run) - 1:
        frames.append(len(run) - 1)
    return _Part(which, n_systems, stride, frames)


def _positions(run: H5MDReader, part: _Part) -> np.ndarray:
    """Positions [n_frames, n_systems, n_particles, 3] as they are shown."""
    cells = run.cells[part.frames]
    read = single_frames(run, "position", slice(None, None, part.stride))
    shown = [
        _shown(run, one[: part.n_systems], part.particles, cell)
        for (_, one), cell in zip(read, cells, strict=False)
    ]
    if len(shown) < len(part.frames):
        last = run.frames("position", -1).reshape(-1, run.n_particles, 3)
        shown.append(_shown(run, last[: part.n_systems], part.particles, cells[-1]))
    return np.stack(shown)


def static_scene(system: System, label: str, **other: Any) -> dict[str, Any]:
    """The scene of one system that does not move.

    ``other`` values take the place of what is found, as "colors", "legend" and "bonds", or are
    more: the particle "marked" gets a ring.
    """
    cell = np.zeros((3, 3)) if system.cell is None else np.asarray(system.cell)
    x = np.asarray(system.positions)
    inside = any(system.pbc) and bool(cell.any())
    if inside:
        x = wrap(x, cell, system.pbc)
    wanted = system.units is METAL and "bonds" not in other
    pairs = (
        _lines(bonded(system.species, x, cell if inside else None, system.pbc)) if wanted else []
    )
    looks = looks_of(system.species, [], system.masses, system.charges)
    fixed = {
        "times": [0.0],
        "timeUnit": "",
        "timed": False,
        "bonds": pairs,
        "longest": _LONGEST,
        "cell": _cell(cell),
        "trails": False,
        "compress": False,
    }
    return {"label": label, **_packed(x[None, None]), **fixed, **looks, **other}


def _packed(x: np.ndarray) -> dict[str, Any]:
    """Positions [n_frames, n_systems, n_particles, 3] as whole numbers."""
    low, high = x.min((0, 1, 2)), x.max((0, 1, 2))
    span = float(max((high - low).max(), 1e-9))
    whole = np.round((x - low) / span * _LEVELS).astype("<u2")
    frames, systems, particles, _ = x.shape
    return {
        "frames": frames,
        "systems": systems,
        "particles": particles,
        "low": low.tolist(),
        "span": span,
        "levels": _LEVELS,
        "positions": base64.b64encode(whole.tobytes()).decode(),
    }


def _left_out(run: H5MDReader, part: _Part) -> list[str]:
    left, n = [], len(part.particles)
    if n < run.n_particles:
        left.append(f"{n:,} of {run.n_particles:,} particles")
    if part.n_systems < (run.n_systems or 1):
        left.append(f"{part.n_systems} of {run.n_systems:,} systems")
    if part.stride > 1:
        left.append(f"one frame of {part.stride:,}")
    return [f"The scene shows {', '.join(left)}."] if left else []


def _shown(run: H5MDReader, x: np.ndarray, which: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Positions [n_systems, n_particles, 3] as they are shown."""
    if run.units is ASTRONOMICAL:
        return to_ecliptic(x - x[:, [int(run.masses.argmax())]])[:, which]
    cells = cell.reshape(-1, 3, 3)
    if any(run.pbc) and cells.any():
        x = np.stack([wrap(one, cells[s % len(cells)], run.pbc) for s, one in enumerate(x)])
    return np.asarray(x[:, which])


def _bonds(run: H5MDReader, which: np.ndarray) -> list[list[int]]:
    return _lines(bonds(run)) if len(which) == run.n_particles and run.units is METAL else []


def _lines(between: Bonds) -> list[list[int]]:
    """Two atoms are joined by one line, whatever the images that are bonded."""
    pairs = np.unique(between.pairs, axis=0)
    return [[i, j] for i, j in pairs.tolist() if i != j]


def _cell(cell: np.ndarray) -> list[list[float]] | None:
    return cell.tolist() if cell.any() else None
