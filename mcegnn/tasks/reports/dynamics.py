"""Report on predicted positions of a dynamics model or a learned force: errors, parity of
displacements, the worst samples."""

from typing import Any

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.tasks.reports.shares import WORST, error_distribution, parity
from mcegnn.training.scoring import errors_of, floors, forecast, spread
from systems.system import System
from trajectories.analysis.draw import COLORS
from trajectories.analysis.results import Analysis, Number
from trajectories.report import static_scene

_BASELINES = {"stand_still": "no motion", "linear": "constant velocity"}


def look(
    model: Any, samples: Dataset, options: Any, part: str, found: Analysis
) -> list[dict[str, Any]]:
    """Add numbers and curves to ``found``; return scenes of the worst samples, in which each true
    position is joined with the predicted one."""
    before, true = samples.ensemble().positions, samples.of_ensemble("positions")
    predicted = forecast(model, samples, options)
    errors = errors_of(predicted, samples, options)
    finite = np.isfinite(errors)
    if not finite.all():
        found.warnings.append(
            f"{(~finite).sum():,} of {len(errors):,} forecasts of the {part} are not finite."
        )
    found.numbers += numbers(errors, samples, options, part)
    length = samples.ensemble().units.length
    found.curves += [
        parity(
            "parity",
            f"Displacements, {part}",
            "displacement",
            length,
            (true - before).ravel(),
            (predicted - before).ravel(),
        ),
        error_distribution("errors", f"Errors, {part}", {"": errors[finite]}, ""),
    ]
    ranked = np.argsort(np.where(finite, -errors, np.inf), kind="stable")[
        : min(WORST, int(finite.sum()))
    ]
    return [
        _both(
            samples, predicted, int(k), f"Sample {k} of the {part}: {options.error} {errors[k]:.3g}"
        )
        for k in ranked
    ]


def numbers(errors: np.ndarray, samples: Dataset, options: Any, part: str) -> list[Number]:
    """How errors of samples are spread, and those of two baselines without a model."""
    said = {"q90": "90 % quantile", "q99": "99 % quantile"}
    found = [
        Number(
            f"{part}_{name}",
            f"{part}, {options.error}",
            value,
            note=f"{said.get(name, name)} of {len(errors):,} samples",
        )
        for name, value in spread(errors).items()
    ]
    return found + [
        Number(
            f"{part}_{name}",
            f"{part}, {_BASELINES[name]}",
            value,
            note="mean, without a model",
        )
        for name, value in floors(samples, options).items()
    ]


def _both(samples: Dataset, predicted: np.ndarray, k: int, label: str) -> dict[str, Any]:
    """True and predicted places at the end of a sample."""
    n = samples.ensemble().n_particles
    system = System.create(
        np.concatenate([samples.of_ensemble("positions")[k], predicted[k]]),
        units=samples.ensemble().units,
    )
    colors = {"true": COLORS[0], "predicted": COLORS[1]}
    pairs = [[i, n + i] for i in range(n)]
    return static_scene(
        system,
        label,
        colors=[color for color in colors.values() for _ in range(n)],
        legend=colors,
        bonds=pairs,
        longest=1e9,
    )
