"""Figures of learned forces."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from mcegnn.data.dataset import Dataset
from mcegnn.models.force import LearnedForce


def pair_distances(samples: Dataset) -> np.ndarray:
    """Distances of all pairs at both ends of the samples."""
    found = []
    for x in (samples.ensemble().positions, samples.of_ensemble("positions")):
        i, j = np.triu_indices(x.shape[1], 1)
        found.append(np.linalg.norm(x[:, i] - x[:, j], axis=-1).ravel())
    return np.concatenate(found)


def draw_law(model: LearnedForce, samples: Dataset, path: str | Path) -> None:
    """The learned force between two unit charges or masses against distance, beside the exact law,
    and by how much it is off.

    The grey band holds all but the nearest and the farthest thousandth of the samples' pairs.
    """
    distances = pair_distances(samples)
    nearest, farthest = np.quantile(distances, [0.001, 0.999])
    r = np.geomspace(distances.min() / 3, distances.max() * 3, 400)
    with torch.no_grad():
        learned = deepcopy(model).double().law(torch.from_numpy(r).square()).numpy() * r
    units = model.units
    exact = (units.coulomb if model.coupling == "charges" else -units.gravitation) / r**2
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(2, 1), sharex=True)
    for axes in (above, below):
        axes.axvspan(
            nearest,
            farthest,
            color="0.92",
            zorder=0,
            label="training data" if axes is above else None,
        )
    what = "Coulomb" if model.coupling == "charges" else "Newton"
    above.loglog(r, np.abs(exact), color="0.5", linewidth=3, label=what)
    above.loglog(r, np.abs(learned), color="C0", linewidth=1.2, label="learned")
    above.set_ylabel("size of the force")
    above.legend()
    below.loglog(r, np.abs(learned / exact - 1.0), color="C0", linewidth=1.2)
    below.set(
        xlabel=f"distance, {units.length}" if units.length else "distance",
        ylabel=f"relative difference\nfrom {what}",
    )
    figure.savefig(path, dpi=150)
