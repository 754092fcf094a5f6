"""Curves of a training against its updates, and how long it took."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajectories.analysis.results import Analysis, Axis, Curves, Number

_COLUMNS = ("update", "loss", "error", "median", "best", "lr", "seconds")  # the others are errors of parts, by name
_UPDATES = Axis("updates")


def in_thousandths(what: str) -> str:
    """The unit in which an error of a potential or a property is told."""
    return {"forces": "meV/Angstrom", "force": "meV/Angstrom", "stress": "meV/Angstrom^3"}.get(what, "meV")


def learning(metrics: Sequence[Mapping[str, str]], found: Analysis) -> None:
    """Loss, validation errors, learning rate and pace, from the rows of a training's metrics."""
    if not metrics:
        found.notes.append("there are no metrics of the training, so there are no curves of it")
        return
    columns = {name: np.array([float(row[name] or "nan") for row in metrics]) for name in metrics[0]}
    updates, seconds, best = columns["update"], columns["seconds"], _best(columns["error"])
    mark = {"best": float(updates[best])}
    loss = columns["loss"]
    said = f"From {loss[0]:.3g} to {loss[-1]:.3g}."
    found.curves.append(Curves("loss", "Training loss", _UPDATES, updates, Axis("loss", "", True), {"": _positive(loss)}, said))
    parts = {name: 1e3 * values for name, values in columns.items() if name not in _COLUMNS}
    for name, values in parts.items():
        unit = in_thousandths(name)
        said = f"{values[best]:.4g} {unit} at the best validation, after {updates[best]:,.0f} updates."
        axis = Axis("mean absolute error", unit, True)
        found.curves.append(
            Curves(f"validation_{name.replace(' ', '_')}", f"Validation, {name}", _UPDATES, updates, axis, {"": values}, said, marks=mark)
        )
        note = "mean absolute error"
        found.numbers.append(Number(f"validation_{name.replace(' ', '_')}", f"validation, {name}", float(values[best]), unit, note=note))
    if not parts:
        said = f"Mean {columns['error'][best]:.3g} at the best validation, after {updates[best]:,.0f} updates."
        shown = {name: _positive(columns[column]) for name, column in (("mean", "error"), ("median", "median"))}
        found.curves.append(Curves("validation", "Validation error", _UPDATES, updates, Axis("error", "", True), shown, said, marks=mark))
        found.numbers.append(Number("validation", "validation, error", float(columns["error"][best]), note="mean"))
    rate = columns["lr"]
    found.curves.append(
        Curves("lr", "Learning rate", _UPDATES, updates, Axis("learning rate"), {"": rate}, f"From {rate[0]:.2g} to {rate[-1]:.2g}.")
    )
    _timing(updates, seconds, best, found)


def _best(errors: np.ndarray) -> int:
    """The row of the least error, which is not one that is no number."""
    return int(np.where(np.isfinite(errors), errors, np.inf).argmin())


def _positive(values: np.ndarray) -> np.ndarray:
    """Zero has no logarithm, and what is not finite has no place."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _timing(updates: np.ndarray, seconds: np.ndarray, best: int, found: Analysis) -> None:
    found.numbers.append(Number("seconds", "time", round(float(seconds[-1]) / 60.0, 2), "minutes"))
    found.numbers.append(Number("until_best", "time to the best validation", round(float(seconds[best]) / 60.0, 2), "minutes"))
    steps = np.diff(updates) / np.maximum(np.diff(seconds), 1e-9)
    if len(steps):
        pace = float(np.median(steps))
        found.numbers.append(Number("pace", "updates a second", pace, note="median, validations included"))
        said = f"Median {pace:.3g} updates a second, validations included."
        found.curves.append(Curves("pace", "Pace", _UPDATES, updates[1:], Axis("updates", "1/s"), {"": steps}, said))
