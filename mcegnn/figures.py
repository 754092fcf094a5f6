"""Pictures of what was learned."""

from pathlib import Path

import numpy as np

from mcegnn.datasets.split import Samples
from mcegnn.models.force import LearnedForce


def pair_distances(samples: Samples) -> np.ndarray:
    """Distances of all pairs at both ends of the samples."""
    found = []
    for system in (samples.before, samples.after):
        i, j = np.triu_indices(system.n_particles, 1)
        found.append(np.linalg.norm(system.positions[:, i] - system.positions[:, j], axis=-1).ravel())
    return np.concatenate(found)


def draw_law(model: LearnedForce, samples: Samples, path: str | Path) -> None:
    """The learned force between two unit charges or masses against distance, beside the exact law, and the ratio of the two.

    The grey band holds all but the nearest and the farthest thousandth of the samples' pairs.
    """
    distances = pair_distances(samples)
    nearest, farthest = np.quantile(distances, [0.001, 0.999])
    r = np.geomspace(distances.min() / 3, distances.max() * 3, 400)
    table = model.tabulated()
    learned = np.interp(np.log(r), np.log(table.radii), table.values) * r
    units = model.units
    exact = (units.coulomb if model.coupling == "charges" else -units.gravitation) / r**2
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(2, 1), sharex=True)
    for axes in (above, below):
        axes.axvspan(nearest, farthest, color="0.92", zorder=0, label="training data" if axes is above else None)
    what = "Coulomb" if model.coupling == "charges" else "Newton"
    above.loglog(r, np.abs(exact), color="0.5", linewidth=3, label=what)
    above.loglog(r, np.abs(learned), color="C0", linewidth=1.2, label="learned")
    above.set_ylabel("size of the force")
    above.legend()
    below.semilogx(r, learned / exact, color="C0", linewidth=1.2)
    below.axhline(1.0, color="0.5", linewidth=1)
    below.set(xlabel=f"distance, {units.length}" if units.length else "distance", ylabel=f"learned / {what}", ylim=(0.5, 1.5))
    figure.savefig(path, dpi=150)
