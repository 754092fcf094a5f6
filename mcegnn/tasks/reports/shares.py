"""Figures that reviews share: distributions of errors, and what is predicted against what is
true."""

from collections.abc import Mapping

import numpy as np

from trajectories.analysis.results import Axis, Curves

WORST = 10  # samples that are shown
_DRAWN = 200_000  # points of a parity plot


def error_distribution(key: str, title: str, errors: Mapping[str, np.ndarray], unit: str) -> Curves:
    """Which share of each group's absolute errors is larger than what is on the axis, from all to
    one of them."""
    every = np.concatenate(
        [values[np.isfinite(values) & (values > 0)] for values in errors.values()]
    )
    x = np.geomspace(np.quantile(every, 0.01), every.max(), 200) if len(every) else np.array([1.0])
    shares = {
        name: 1.0 - np.searchsorted(np.sort(values), x, side="right") / len(values)
        for name, values in errors.items()
    }
    shown = {name: np.where(share > 0, share, np.nan) for name, share in shares.items()}
    middle = ", ".join(
        f"{name} {np.median(values):.3g} {unit}".strip() for name, values in errors.items()
    )
    said = f"Half are larger than: {middle}."
    return Curves(
        key,
        title,
        Axis("error", unit, True),
        x,
        Axis("share that is larger", "", True),
        shown,
        said,
    )


def parity(
    key: str,
    title: str,
    what: str,
    unit: str,
    true: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray | None = None,
) -> Curves:
    """Predicted against true values, point by point; ``groups`` are names, one for each point."""
    off = predicted - true
    known = np.isfinite(off)
    spread = true.std()
    difference = np.sqrt((off[known] ** 2).mean())
    said = (
        f"{len(true):,} points; root mean square difference {difference:.3g}, spread of the true"
        f" {spread:.3g} {unit}."
    )
    every = max(1, -(-len(true) // _DRAWN))
    true, predicted = true[::every], predicted[::every]
    if groups is None:
        values = {"": predicted}
    else:
        groups = groups[::every]
        values = {
            str(name): np.where(groups == name, predicted, np.nan)
            for name in dict.fromkeys(groups.tolist())
        }
    x, y = Axis(f"true {what}", unit), Axis(f"predicted {what}", unit)
    return Curves(key, title, x, true, y, values, said.replace(" .", "."), line=False, parity=True)
