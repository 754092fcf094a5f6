"""Curves of a training against its updates, and how long it took."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajectories.analysis.results import Analysis, Axis, Curves, Number

_COLUMNS = (
    "update",
    "loss",
    "error",
    "median",
    "best",
    "lr",
    "seconds",
    "starting",
)  # the others are errors of parts, by name
_UPDATES = Axis("updates")


def in_thousandths(what: str) -> str:
    """The unit in which an error of a potential or a property is told."""
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
    updates, seconds, best = columns["update"], columns["seconds"], _best(columns["error"])
    mark = {"best": float(updates[best])}
    loss = columns["loss"]
    said = f"From {loss[0]:.3g} to {loss[-1]:.3g}."
    found.curves.append(
        Curves(
            "loss",
            "Training loss",
            _UPDATES,
            updates,
            Axis("loss", "", True),
            {"": _positive(loss)},
            said,
        )
    )
    parts = {name: 1e3 * values for name, values in columns.items() if name not in _COLUMNS}
    for name, values in parts.items():
        unit = in_thousandths(name)
        said = (
            f"{values[best]:.4g} {unit} at the best validation, after {updates[best]:,.0f} updates."
        )
        axis = Axis("mean absolute error", unit, True)
        found.curves.append(
            Curves(
                f"validation_{name.replace(' ', '_')}",
                f"Validation, {name}",
                _UPDATES,
                updates,
                axis,
                {"": values},
                said,
                marks=mark,
            )
        )
        note = "mean absolute error"
        found.numbers.append(
            Number(
                f"validation_{name.replace(' ', '_')}",
                f"validation, {name}",
                float(values[best]),
                unit,
                note=note,
            )
        )
    if not parts:
        said = (
            f"Mean {columns['error'][best]:.3g} at the best validation, after {updates[best]:,.0f}"
            " updates."
        )
        shown = {
            name: _positive(columns[column])
            for name, column in (("mean", "error"), ("median", "median"))
        }
        found.curves.append(
            Curves(
                "validation",
                "Validation error",
                _UPDATES,
                updates,
                Axis("error", "", True),
                shown,
                said,
                marks=mark,
            )
        )
        found.numbers.append(
            Number("validation", "validation, error", float(columns["error"][best]), note="mean")
        )
    rate = columns["lr"]
    found.curves.append(
        Curves(
            "lr",
            "Learning rate",
            _UPDATES,
            updates,
            Axis("learning rate"),
            {"": rate},
            f"From {rate[0]:.2g} to {rate[-1]:.2g}.",
        )
    )
    _timing(updates, seconds, columns.get("starting", np.full(len(updates), np.nan)), best, found)


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
    ``starting`` is NaN where nobody knows it."""
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
