"""Root mean square deviation of a molecule from its initial shape after superposition, by
MDAnalysis."""

import numpy as np

from trajectories.analysis.blocks import Group, single_frames, some_systems
from trajectories.analysis.results import Axis, Curves
from trajectories.analysis.time_series import over_systems, time_axis
from trajectories.storage.h5md import H5MDReader

_LOOKS = 10_000  # frames, of all systems together


def deviations(run: H5MDReader, group: Group, frames: slice = slice(None)) -> np.ndarray:
    """Root mean square distances of a group's particles from where they were in the first frame,
    [frames, n_systems].

    Each frame is turned and moved onto the first, both weighted by masses; of an ensemble the first
    eight systems.
    """
    from MDAnalysis.analysis.rms import rmsd

    weights, n_systems = run.masses[group], some_systems(run)
    start = run.frames("position", 0).reshape(-1, run.n_particles, 3)[:, group]
    found = [
        [rmsd(x[s, group], start[s], weights=weights, superposition=True) for s in range(n_systems)]
        for _, x in single_frames(run, "position", frames)
    ]
    return np.array(found)


def deviation_curve(run: H5MDReader, group: Group) -> Curves:
    """The root mean square deviation against time."""
    every = max(1, -(-len(run) * some_systems(run) // _LOOKS))
    values = deviations(run, group, slice(None, None, every))
    axis, times = time_axis(run)
    unit = f" {run.units.length}".rstrip()
    said = f"At most {values.max():.3g}{unit}, {np.median(values[-1]):.3g}{unit} at the end."
    title = "RMSD from the first frame"
    return Curves(
        "rmsd",
        title,
        axis,
        times[::every],
        Axis("RMSD", run.units.length),
        over_systems(values),
        said,
    )
