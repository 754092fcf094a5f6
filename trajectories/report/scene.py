"""What the page's scene shows: frames of some particles as whole numbers, colours, radii, bonds, cells; thinned to what a page can hold."""

import base64
from typing import Any

import numpy as np

from systems.cell import wrap
from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis.draw import COLORS
from trajectories.analysis.orbits import to_ecliptic
from trajectories.analysis.structure import bonds
from trajectories.analysis.thermo import time_axis
from trajectories.h5md import H5MDReader

_PLACES = 500_000  # of a particle in a frame: six bytes each, eight as text
_PARTICLES = 5_000
_SYSTEMS = 4
_LEVELS = 65_535  # of a coordinate
_STAR = "#e0a800"
_POSITIVE, _NEGATIVE, _NEUTRAL = "#D55E00", "#0072B2", "#8a8a8a"


def scene(run: H5MDReader, label: str) -> tuple[dict[str, Any], list[str]]:
    """The scene as plain values, and what was left out of it, in words.

    Planets are seen from the ecliptic's pole and about the heaviest body; atoms in a periodic box are put back into it.
    """
    n_systems = min(_SYSTEMS, run.n_systems or 1)
    which = np.arange(run.n_particles)
    if len(which) > _PARTICLES:
        which = np.unique(np.linspace(0, run.n_particles - 1, _PARTICLES).astype(int))
    stride = max(1, -(-len(run) * len(which) * n_systems // _PLACES))
    frames = list(range(0, len(run), stride))
    if frames[-1] != len(run) - 1:
        frames.append(len(run) - 1)
    cells = run.cells[frames]
    x = np.stack([_positions(run, k, n_systems, which, cell) for k, cell in zip(frames, cells, strict=True)])
    low, high = x.min((0, 1, 2)), x.max((0, 1, 2))
    span = float(max((high - low).max(), 1e-9))
    whole = np.round((x - low) / span * _LEVELS).astype("<u2")
    axis, times = time_axis(run)
    found: dict[str, Any] = {
        "label": label, "frames": len(frames), "systems": n_systems, "particles": len(which), "low": low.tolist(), "span": span,
        "levels": _LEVELS, "positions": base64.b64encode(whole.tobytes()).decode(), "times": [float(t) for t in times[frames]],
        "timeUnit": axis.unit, **_looks(run, which), "bonds": _bonds(run, which), "cell": _cell(run),
        "trails": run.units is not METAL and len(which) <= 100, "compress": run.units is ASTRONOMICAL,
    }  # fmt: skip
    return found, _left_out(run, len(which), n_systems, stride)


def _left_out(run: H5MDReader, n: int, n_systems: int, stride: int) -> list[str]:
    left = []
    if n < run.n_particles:
        left.append(f"{n:,} of {run.n_particles:,} particles")
    if n_systems < (run.n_systems or 1):
        left.append(f"{n_systems} of {run.n_systems:,} systems")
    if stride > 1:
        left.append(f"one frame of {stride:,}")
    return [f"The scene shows {', '.join(left)}."] if left else []


def _positions(run: H5MDReader, k: int, n_systems: int, which: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """[n_systems, n_particles, 3] of frame k, as they are shown."""
    x = run.frames("position", k).reshape(-1, run.n_particles, 3)[:n_systems]
    if run.units is ASTRONOMICAL:
        return to_ecliptic(x - x[:, [int(run.masses.argmax())]])[:, which]
    cells = cell.reshape(-1, 3, 3)
    if any(run.pbc) and cells.any():
        x = np.stack([wrap(one, cells[s % len(cells)], run.pbc) for s, one in enumerate(x)])
    return np.asarray(x[:, which])


def _looks(run: H5MDReader, which: np.ndarray) -> dict[str, Any]:
    """Colours and radii of each particle, and what colours mean."""
    if run.species.any():
        from ase.data import chemical_symbols, covalent_radii
        from ase.data.colors import jmol_colors

        numbers = run.species[which]
        names = {chemical_symbols[z]: _hexadecimal(jmol_colors[z]) for z in sorted(set(numbers.tolist()))}
        colors = [names[chemical_symbols[z]] for z in numbers]
        radii = [0.4 * float(covalent_radii[z]) if np.isfinite(covalent_radii[z]) else 0.5 for z in numbers]
        return {"colors": colors, "radii": radii, "names": [chemical_symbols[z] for z in numbers], "legend": names}
    if run.names:
        # the others as their curves are in the figures, which are about the heaviest
        heaviest = int(run.masses.argmax())
        others = [k for k in which if k != heaviest]
        names = {run.names[heaviest]: _STAR} | {run.names[k]: COLORS[i % len(COLORS)] for i, k in enumerate(others)}
        names = {run.names[k]: names[run.names[k]] for k in which}
        sizes = np.clip((np.asarray(run.masses[which]) / run.masses.max()) ** 0.15, 0.15, 1.0)
        shown = names if len(names) <= 20 else {}
        return {"colors": list(names.values()), "radii": [0.0] * len(which), "sizes": sizes.tolist(), "names": list(names), "legend": shown}
    charges = run.charges.reshape(-1, run.n_particles)[0][which]
    kinds = {"positive": _POSITIVE, "negative": _NEGATIVE, "neutral": _NEUTRAL}
    words = ["positive" if q > 0 else "negative" if q < 0 else "neutral" for q in charges]
    legend = {word: color for word, color in kinds.items() if word in words}
    return {"colors": [kinds[word] for word in words], "radii": [0.0] * len(which), "names": [str(k) for k in which], "legend": legend}


def _hexadecimal(color: np.ndarray) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in color)


def _bonds(run: H5MDReader, which: np.ndarray) -> list[list[int]]:
    return bonds(run).tolist() if len(which) == run.n_particles and run.units is METAL else []


def _cell(run: H5MDReader) -> list[list[float]] | None:
    cell = run.cells[0].reshape(-1, 3, 3)[0]
    return cell.tolist() if cell.any() else None
