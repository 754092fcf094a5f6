"""Errors of a trained model on samples, for all kinds of models."""

from typing import Any

import numpy as np

from integrators.ensembles import integrator
from integrators.state import State
from mcegnn.data.dataset import Dataset
from mcegnn.losses import ERRORS
from trajectories.rollout import rollout

_BLOCK = 500  # samples predicted at once


def forecast(model: Any, samples: Dataset, options: Any) -> np.ndarray:
    """Positions [n, n_particles, 3] of the samples after the interval according to the model: by
    its own steps, or by its forces and the task's scheme, compiled."""
    flow, n = (
        model.as_flow(lambda potential: integrator(options.scheme)(potential)),
        options.n_steps,
    )
    ends = []
    for first in range(0, len(samples), _BLOCK):
        block = samples.take(slice(first, first + _BLOCK)).ensemble()
        start = State(model.with_learned_masses(block))
        *_, end = rollout(flow, start, samples.interval / n, n, n)
        ends.append(end.system.positions)
    return np.concatenate(ends)


def check_fits(model: Any, samples: Dataset) -> None:
    """Raise ValueError if the model is not made for samples like these: units, interval, what tells
    particles apart, their number."""
    system = samples.ensemble()
    if model.units != system.units:
        raise ValueError(
            f"the model is in {model.units.name} units, the data in {system.units.name} units"
        )
    (label,) = model.requires
    same = (
        not system.charges.any()
        if label == "charges"
        else len(system.masses) > 1 and np.ptp(system.masses) == 0.0
    )
    if same:
        other = "charges" if label == "masses" else "masses"
        raise ValueError(
            f"the model tells particles apart by their {label}, which are all the same in the data;"
            f" try the {other}"
        )
    interval = samples.interval
    if model.interval is not None and abs(model.interval - interval) > 1e-9 * interval:
        raise ValueError(
            f"the model's interval is {model.interval:g}, the data's {interval:g}"
            f" {system.units.time}".rstrip()
        )
    model.with_learned_masses(system)


def errors(model: Any, samples: Dataset, options: Any) -> np.ndarray:
    """The task's error of the forecast for each sample; infinite if the forecast is not finite."""
    return errors_of(forecast(model, samples, options), samples, options)


def errors_of(end: np.ndarray, samples: Dataset, options: Any) -> np.ndarray:
    """The same error of a given forecast."""
    found = ERRORS[options.error](
        end, samples.of_ensemble("positions"), samples.ensemble().positions
    ).mean(-1)
    return np.where(np.isfinite(found), found, np.inf)


def spread(errors: np.ndarray) -> dict[str, float]:
    """Mean, median, the errors that one in ten and one in a hundred are above, and the largest."""
    with np.errstate(invalid="ignore"):  # between two that are infinite
        q50, q90, q99 = (float(q) for q in np.quantile(errors, (0.5, 0.9, 0.99)))
    return {
        "mean": float(errors.mean()),
        "median": q50,
        "q90": q90,
        "q99": q99,
        "largest": float(errors.max()),
    }


def floors(samples: Dataset, options: Any) -> dict[str, float]:
    """Mean errors of two baselines without a model: no motion, and constant velocity."""
    x, flight = (
        samples.ensemble().positions,
        samples.ensemble().positions + samples.interval * samples.ensemble().velocities,
    )
    return {
        name: float(ERRORS[options.error](guess, samples.of_ensemble("positions"), x).mean())
        for name, guess in (("stand_still", x), ("linear", flight))
    }
