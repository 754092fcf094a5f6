"""Distance of a run from a reference, and of planets from JPL's ephemeris: numbers and curves."""

import numpy as np

from trajectories.analysis.known import Known
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.time_series import time_axis
from trajectories.forecast import ForecastError, JPLDistance, distance_to_jpl
from trajectories.storage.h5md import H5MDReader


def jpl_curves(run: H5MDReader, known: Known, found: Analysis) -> None:
    """Add the distance of each body to JPL's DE440. Raises ValueError if it holds none of them."""
    assert known.epoch is not None
    parents = [known.parents.get(name, "") for name in run.names]
    distance = distance_to_jpl(run, known.epoch, parents)
    if not distance.names:
        raise ValueError("DE440 holds none of the bodies")
    found.jpl = distance
    found.notes += [distance.start] if distance.start else []
    for name, km in zip(distance.names, distance.kilometers[-1], strict=True):
        label = f"{name}, from JPL DE440 at the end"
        found.numbers.append(Number(f"from_jpl_{name}", label, float(km), "km"))
    if len(distance.times) > 1:
        values = dict(zip(distance.names, distance.kilometers.T, strict=True))
        time, shown = Axis("time", "years"), Axis("distance", "km", True)
        title, years = "Distance to JPL DE440", distance.times / 365.25
        said = _distances_in_words(distance)
        found.curves.append(Curves("jpl", title, time, years, shown, values, said))


def _distances_in_words(distance: JPLDistance) -> str:
    first, last = distance.kilometers[0], distance.kilometers[-1]
    nearest, farthest = distance.names[last.argmin()], distance.names[last.argmax()]
    other = " Not all start as DE440 has them: see the notes below." if distance.start else ""
    return (
        f"At the start {first.min():.3g} to {first.max():.3g} km, at the end"
        f" {last.min():.3g} km ({nearest}) to {last.max():.3g} km ({farthest}).{other}"
    )


def forecast_curves(
    error: ForecastError, run: H5MDReader, tolerance: float, found: Analysis
) -> Curves:
    """Distance to a reference against time; its numbers go into ``found``."""
    length, (axis, times) = run.units.length, time_axis(run)
    scale = times[-1] / run.times[-1] if run.times[-1] else 1.0
    at_end = float(np.median(error.errors[-1]))
    until = float(np.median(error.valid_time(tolerance))) * scale
    note = "" if run.n_systems is None else "median over systems"
    within = f"within {tolerance:g} {length}".rstrip() + " for"
    found.numbers += [
        Number("forecast_error", "error of positions at the end", at_end, length, note=note),
        Number("valid_time", within, until, axis.unit, note=note),
    ]
    said = (
        f"{at_end:.3g} {length}".rstrip()
        + f" at the end; within {tolerance:g} until {until:.4g} {axis.unit}".rstrip()
        + "."
    )
    return Curves(
        "forecast",
        "Distance to the reference",
        axis,
        error.times * scale,
        Axis("error", length, True),
        _quantiles(error.errors),
        said,
        marks={"valid": until},
    )


def _quantiles(errors: np.ndarray) -> dict[str, np.ndarray]:
    """The one curve of [frames, n_systems], or three that stand for an ensemble's; systems whose
    errors are not known are left out."""
    if errors.shape[1] == 1:
        return {"": errors[:, 0]}
    names = ("median", "lowest tenth", "highest tenth")
    return dict(zip(names, np.nanquantile(errors, [0.5, 0.1, 0.9], 1), strict=True))
