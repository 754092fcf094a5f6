"""What the page's scenes show: particles as whole numbers, colours, radii, bonds, cells; a run's
frames thinned to what a page holds."""

import base64
from typing import Any

import numpy as np

from systems.cell import wrap
from systems.system import System
from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis.blocks import single_frames
from trajectories.analysis.bonding import Bonds, bonded, bonds
from trajectories.analysis.draw import COLORS
from trajectories.analysis.orbits import to_ecliptic
from trajectories.analysis.time_series import time_axis
from trajectories.storage.h5md import H5MDReader

_PLACES = 500_000  # of a particle in a frame: six bytes each, eight as text
_PARTICLES = 5_000
_SYSTEMS = 4
_LEVELS = 65_535  # of a coordinate
_LONGEST = 3.0  # Angstrom, of a bond that is drawn: longer ones are broken, or go through the box
_NAMED = 20  # colours that a legend explains
_TYPE = 0.5  # Angstrom, the radius of atoms whose element nobody knows
_STAR = "#e0a800"
_POSITIVE, _NEGATIVE, _NEUTRAL = "#D55E00", "#0072B2", "#8a8a8a"


def scene(run: H5MDReader, label: str) -> tuple[dict[str, Any], list[str]]:
    """The scene as plain values, and what was left out of it, in words.

    Planets are seen from the ecliptic's pole and about the heaviest body; atoms in a periodic box
    are put back into it.
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
    read = single_frames(run, "position", slice(None, None, stride))
    shown = [
        _shown(run, one[:n_systems], which, cell)
        for (_, one), cell in zip(read, cells, strict=False)
    ]
    if len(shown) < len(frames):
        shown.append(
            _shown(
                run,
                run.frames("position", -1).reshape(-1, run.n_particles, 3)[:n_systems],
                which,
                cells[-1],
            )
        )
    x = np.stack(shown)
    axis, times = time_axis(run)
    names = [run.names[k] for k in which] if run.names else []
    looks = _looks(
        run.species[which],
        names,
        run.masses[which],
        run.charges.reshape(-1, run.n_particles)[0][which],
        atoms=run.units is METAL,
    )
    found: dict[str, Any] = {
        "label": label,
        **_packed(x),
        "times": [float(t) for t in times[frames]],
        "timeUnit": axis.unit,
        "timed": axis.label == "time",
        **looks,
        "bonds": _bonds(run, which),
        "cell": _cell(run.cells[0].reshape(-1, 3, 3)[0]),
        "longest": _LONGEST,
        "trails": run.units is not METAL and len(which) <= 100,
        "compress": run.units is ASTRONOMICAL,
    }
    return found, _left_out(run, len(which), n_systems, stride)


def still(system: System, label: str, **other: Any) -> dict[str, Any]:
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
    looks = _looks(system.species, [], system.masses, system.charges)
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


def _left_out(run: H5MDReader, n: int, n_systems: int, stride: int) -> list[str]:
    left = []
    if n < run.n_particles:
        left.append(f"{n:,} of {run.n_particles:,} particles")
    if n_systems < (run.n_systems or 1):
        left.append(f"{n_systems} of {run.n_systems:,} systems")
    if stride > 1:
        left.append(f"one frame of {stride:,}")
    return [f"The scene shows {', '.join(left)}."] if left else []


def _shown(run: H5MDReader, x: np.ndarray, which: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Positions [n_systems, n_particles, 3] as they are shown."""
    if run.units is ASTRONOMICAL:
        return to_ecliptic(x - x[:, [int(run.masses.argmax())]])[:, which]
    cells = cell.reshape(-1, 3, 3)
    if any(run.pbc) and cells.any():
        x = np.stack([wrap(one, cells[s % len(cells)], run.pbc) for s, one in enumerate(x)])
    return np.asarray(x[:, which])


def _looks(
    numbers: np.ndarray,
    names: list[str],
    masses: np.ndarray,
    charges: np.ndarray,
    *,
    atoms: bool = False,
) -> dict[str, Any]:
    """Colours and radii of each particle by element, name or charge, and what colours mean.

    Names of ``atoms`` are those of types, such as LAMMPS', which have no elements.
    """
    if numbers.any():
        from ase.data import chemical_symbols, covalent_radii
        from ase.data.colors import jmol_colors

        named = {
            chemical_symbols[z]: _hexadecimal(jmol_colors[z]) for z in sorted(set(numbers.tolist()))
        }
        colors = [named[chemical_symbols[z]] for z in numbers]
        radii = [
            0.4 * float(covalent_radii[z]) if np.isfinite(covalent_radii[z]) else 0.5
            for z in numbers
        ]
        return {
            "colors": colors,
            "radii": radii,
            "names": [chemical_symbols[z] for z in numbers],
            "legend": named,
        }
    flat = [0.0] * len(numbers)
    if atoms and names:
        kinds = sorted(set(names), key=lambda name: (len(name), name))  # 2 is before 10
        of_kind = {name: COLORS[k % len(COLORS)] for k, name in enumerate(kinds)}
        return {
            "colors": [of_kind[name] for name in names],
            "radii": [_TYPE] * len(names),
            "names": names,
            "legend": of_kind if len(kinds) <= _NAMED else {},
        }
    if names:
        # the others as their curves are in the figures, which are about the heaviest
        heaviest = int(masses.argmax())
        colors = [COLORS[(k - (k > heaviest)) % len(COLORS)] for k in range(len(names))]
        colors[heaviest] = _STAR
        sizes = np.clip((masses / masses.max()) ** 0.15, 0.15, 1.0)
        legend = dict(zip(names, colors, strict=True)) if len(names) <= _NAMED else {}
        return {
            "colors": colors,
            "radii": flat,
            "sizes": sizes.tolist(),
            "names": names,
            "legend": legend,
        }
    signs = {"positive": _POSITIVE, "negative": _NEGATIVE, "neutral": _NEUTRAL}
    words = ["positive" if q > 0 else "negative" if q < 0 else "neutral" for q in charges]
    legend = {word: color for word, color in signs.items() if word in words}
    return {
        "colors": [signs[word] for word in words],
        "radii": flat,
        "names": [str(k) for k in range(len(words))],
        "legend": legend,
    }


def _hexadecimal(color: np.ndarray) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in color)


def _bonds(run: H5MDReader, which: np.ndarray) -> list[list[int]]:
    return _lines(bonds(run)) if len(which) == run.n_particles and run.units is METAL else []


def _lines(between: Bonds) -> list[list[int]]:
    """Two atoms are joined by one line, whatever the images that are bonded."""
    pairs = np.unique(between.pairs, axis=0)
    return [[i, j] for i, j in pairs.tolist() if i != j]


def _cell(cell: np.ndarray) -> list[list[float]] | None:
    return cell.tolist() if cell.any() else None
