"""Pictures of rollouts: orbits seen from above the ecliptic, paths of some charged particles,
temperature and energy of atoms."""

from pathlib import Path
from typing import Any

import numpy as np

from systems.units import METAL, PASCALS
from trajectories.analysis.known import Known
from trajectories.analysis.orbits import to_ecliptic
from trajectories.analysis.thermo import pressures, temperatures
from trajectories.analysis.time_series import time_axis
from trajectories.storage.h5md import H5MDReader

_PANELS = 6
_SMALL = 2.0  # a dot that does not hide the Earth's


def why_undrawable(reader: H5MDReader) -> str:
    """Reason why a run cannot be drawn against time; "" if it can."""
    if reader.units is not METAL or reader.observable("potential_energy", 0) is not None:
        return ""
    if not reader.has_velocities:
        return f"{reader.name} holds neither velocities nor energies to draw against time"
    if "masses" in reader.missing:
        return (
            f"{reader.name} holds no energies to draw against time, and no temperature without all"
            " masses, which --masses tells"
        )
    return ""


def draw_trajectory(reader: H5MDReader, path: str | Path, known: Known | None = None) -> None:
    """Draw a run into a PNG, SVG or PDF file, as `trajectory_figure`."""
    trajectory_figure(reader, known).savefig(path, dpi=150)


def trajectory_figure(reader: H5MDReader, known: Known | None = None) -> Any:
    """A figure of a run: bodies as orbits, charges in six panels, atoms by temperature, energy,
    pressure.

    ``known`` gives the degrees of freedom for temperatures. Raises ValueError, with the reason of
    `why_undrawable`, if there is nothing to draw.
    """
    from trajectories.analysis._notebook_figure import NotebookFigure

    if why := why_undrawable(reader):
        raise ValueError(why)
    figure = NotebookFigure(figsize=(9.0, 5.4), layout="constrained")
    if reader.units is METAL:
        _matter(figure, reader, known or Known())
    elif reader.names:
        _orbits(figure, reader)
    else:
        _swarm(figure, reader)
    return figure


def _matter(figure: Any, reader: H5MDReader, known: Known) -> None:
    """Temperature, energy an atom, and pressure, as far as they are there, of each system against
    time."""
    axis_of_times, times = time_axis(reader)
    shape = (len(reader), -1)
    kinetic, potential = (
        reader.observable(name) for name in ("kinetic_energy", "potential_energy")
    )
    kelvin, pressure = temperatures(reader, known), pressures(reader, known)
    rows: list[tuple[str, np.ndarray]] = []
    if kelvin is not None:
        rows.append(("temperature, K", kelvin.reshape(shape)))
    if potential is not None:
        total = (potential if kinetic is None else potential + kinetic).reshape(shape)
        first = total[int(reader.moving.argmax())] if kinetic is not None else total[0]
        rows.append(("energy change,\nmeV an atom", 1000.0 * (total - first) / reader.n_particles))
    if pressure is not None:
        rows.append(("pressure, kbar", pressure.reshape(shape) * PASCALS / 1e8))
    panels = np.ravel(figure.subplots(len(rows), 1, sharex=True))
    for axis, (name, values) in zip(panels, rows, strict=True):
        for k in range(min(_PANELS, values.shape[1])):
            axis.plot(times, values[:, k], lw=0.9)
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    panels[-1].set_xlabel(f"{axis_of_times.label}, {axis_of_times.unit}".removesuffix(", "))
    n_systems = rows[0][1].shape[1]
    many = f", {_shown(n_systems)}" if n_systems > 1 else ""
    over = f"{times[-1] - times[0]:.4g} ps" if axis_of_times.unit else f"{len(reader):,} frames"
    figure.suptitle(f"{reader.n_particles:,} atoms over {over}{many}")


def _orbits(figure: Any, reader: H5MDReader) -> None:
    """Inner and outer bodies about the heaviest one, seen along the ecliptic's pole."""
    from matplotlib import colormaps

    x = reader.frames("position")
    x = to_ecliptic(x - x[:, [int(np.argmax(reader.masses))]])
    y = x[..., 1]
    reach = np.hypot(x[..., 0], y).max(0)
    many = len(reach) > 20
    map_of_colors = colormaps["turbo"].resampled(len(reach)) if many else colormaps["tab20"]
    inner, outer = figure.subplots(1, 2)
    for axis, title, limit in (
        (inner, "inner planets", 1.8),
        (outer, "the whole", max(2.0, 1.08 * reach.max())),
    ):
        for k, name in enumerate(reader.names):
            _orbit(axis, name, x[:, k, 0], y[:, k], map_of_colors(k))
        within = (-limit, limit)
        axis.set(title=title, xlim=within, ylim=within, aspect="equal", xlabel="x, au")
        axis.set_ylabel("y, au")
    handles, labels = outer.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    figure.suptitle(
        f"{len(reach)} bodies over {reader.times[-1] / 365.25:.4g} years, ecliptic from above"
    )


def _orbit(axis: Any, name: str, x: np.ndarray, y: np.ndarray, color: Any) -> None:
    """A body's path, and a dot where it is at the end; frames too far apart for a line to follow
    the orbit are dots."""
    jump, reach = np.hypot(np.diff(x), np.diff(y)).max(initial=0.0), np.hypot(x, y).max()
    dots = {"ls": "", "marker": ".", "ms": 1.5}
    style: dict[str, Any] = {"lw": 0.9} if jump < 0.7 * reach or reach == 0 else dots
    moon = name == "Moon"
    axis.plot(x, y, color=color, zorder=1 if moon else 2, **style)
    size = _SMALL if moon else 4
    axis.plot(x[-1], y[-1], "o", ms=size, color=color, label=name, zorder=3)


def _swarm(figure: Any, reader: H5MDReader) -> None:
    """x and y of the particles of the first systems; colour is the sign of the charge, a dot the
    end."""
    x = reader.frames("position").reshape(len(reader), -1, reader.n_particles, 3)
    charges = np.reshape(reader[0].system.charges, (-1, reader.n_particles))
    panels = figure.subplots(2, 3) if x.shape[1] > 1 else np.array([figure.subplots()])
    for s, axis in zip(range(min(_PANELS, x.shape[1])), np.ravel(panels), strict=False):
        for k in range(reader.n_particles):
            color = _color(charges[s, k])
            axis.plot(x[:, s, k, 0], x[:, s, k, 1], lw=0.9, color=color)
            axis.plot(x[-1, s, k, 0], x[-1, s, k, 1], "o", ms=4, color=color)
        axis.set(title=f"system {s}", aspect="equal")
        axis.set_adjustable("datalim")
    figure.supxlabel("x")
    figure.supylabel("y")
    figure.suptitle(
        f"{reader.n_particles} particles (red +, blue -, gray neutral), {_shown(x.shape[1])}, time"
        f" 0 to {reader.times[-1]:g}"
    )


def _color(charge: float) -> str:
    return "tab:red" if charge > 0 else "tab:blue" if charge < 0 else "tab:gray"


def _shown(n_systems: int) -> str:
    return f"{min(_PANELS, n_systems)} of {n_systems} systems"
