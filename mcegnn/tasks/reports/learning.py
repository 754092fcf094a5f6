"""Curves of a training against its updates, and how long it took."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajectories.analysis.results import Analysis, Axis, Curves, Number

# the others are errors of parts, by name
_COLUMNS = ("update", "loss", "error", "median", "best", "lr", "seconds", "starting")
_UPDATES = Axis("updates")
_MEASURE = "mean absolute error"


def in_thousandths(what: str) -> str:
    """The unit in which an error of a potential or a property is reported."""
    return {"forces": "meV/Angstrom", "force": "meV/Angstrom", "stress": "meV/Angstrom^3"}.get(
        what, "meV"
    )


def learning(metrics: Sequence[Mapping[str, str]], found: Analysis) -> None:
    """Loss, validation errors, learning rate and pace, from the rows of a training's metrics."""
    if not metrics:
        found.notes.append("there are no metrics of the training, so there are no curves of it")
        return
    columns = {
        name: np.array([float(row[name] or "nan") for row in metrics]) for name in metrics[0]
    }
    updates, loss, rate = columns["update"], columns["loss"], columns["lr"]
    best = _best(columns["error"])
    said = f"From {loss[0]:.3g} to {loss[-1]:.3g}."
    axis = Axis("loss", "", True)
    found.curves.append(
        Curves("loss", "Training loss", _UPDATES, updates, axis, {"": _positive(loss)}, said)
    )
    parts = [name for name in columns if name not in _COLUMNS]
    for name in parts:
        _validation_of_part(name, 1e3 * columns[name], updates, best, found)
    if not parts:
        _validation(columns, best, found)
    said, axis = f"From {rate[0]:.2g} to {rate[-1]:.2g}.", Axis("learning rate")
    found.curves.append(Curves("lr", "Learning rate", _UPDATES, updates, axis, {"": rate}, said))
    starting = columns.get("starting", np.full(len(updates), np.nan))
    _timing(updates, columns["seconds"], starting, best, found)


def _validation_of_part(
    name: str, values: np.ndarray, updates: np.ndarray, best: int, found: Analysis
) -> None:
    """The validation errors of a part, such as the forces, in thousandths."""
    key, unit, measure = f"validation_{name.replace(' ', '_')}", in_thousandths(name), _MEASURE
    value, update = float(values[best]), float(updates[best])
    said = f"{value:.4g} {unit} at the best validation, after {update:,.0f} updates."
    axis, title = Axis(measure, unit, True), f"Validation, {name}"
    found.curves.append(
        Curves(key, title, _UPDATES, updates, axis, {"": values}, said, marks={"best": update})
    )
    found.numbers.append(Number(key, f"validation, {name}", value, unit, note=measure))


def _validation(columns: Mapping[str, np.ndarray], best: int, found: Analysis) -> None:
    """The validation errors of a task that has one kind of them, mean and median."""
    updates = columns["update"]
    value, update = float(columns["error"][best]), float(updates[best])
    said = f"Mean {value:.3g} at the best validation, after {update:,.0f} updates."
    shown = {
        name: _positive(columns[column])
        for name, column in (("mean", "error"), ("median", "median"))
    }
    axis, marks = Axis("error", "", True), {"best": update}
    found.curves.append(
        Curves("validation", "Validation error", _UPDATES, updates, axis, shown, said, marks=marks)
    )
    found.numbers.append(Number("validation", "validation, error", value, note="mean"))


def _best(errors: np.ndarray) -> int:
    """The row of the least error, which is not one that is no number."""
    return int(np.where(np.isfinite(errors), errors, np.inf).argmin())


def _positive(values: np.ndarray) -> np.ndarray:
    """Zero has no logarithm, and what is not finite has no place."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _timing(
    updates: np.ndarray, seconds: np.ndarray, starting: np.ndarray, best: int, found: Analysis
) -> None:
    """How long it took, of that the first update of each start, and the pace without these;
    ``starting`` is NaN if unknown."""
    found.numbers.append(Number("seconds", "time", round(float(seconds[-1]) / 60.0, 2), "minutes"))
    compiling = np.diff(np.nan_to_num(starting), prepend=0.0)
    if np.isfinite(starting[-1]):
        many = "first updates, one of each start" if (compiling > 0).sum() > 1 else "first update"
        note = "compiling included"
        found.numbers.append(
            Number(
                "starting",
                f"time of the {many}",
                round(float(starting[-1]) / 60.0, 2),
                "minutes",
                note=note,
            )
        )
    found.numbers.append(
        Number(
            "until_best",
            "time to the best validation",
            round(float(seconds[best]) / 60.0, 2),
            "minutes",
        )
    )
    counted = np.diff(updates, prepend=0.0) - (compiling > 0)
    if np.isnan(starting[0]):
        counted[0] = 0  # its time is mostly that of compiling, perhaps
    pace = counted / np.maximum(np.diff(seconds, prepend=0.0) - compiling, 1e-9)
    if (counted > 0).any():
        updates, pace = updates[counted > 0], pace[counted > 0]
        median, note = float(np.median(pace)), "validations included, first updates not"
        found.numbers.append(Number("pace", "updates a second", median, note=f"median, {note}"))
        said = f"Median {median:.3g} updates a second, {note}."
        found.curves.append(
            Curves("pace", "Pace", _UPDATES, updates, Axis("updates", "1/s"), {"": pace}, said)
        )
