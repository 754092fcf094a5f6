"""Quantities against time: the time axis, curves for ensembles, and means with errors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis.averages import mean_and_error, trend
from trajectories.analysis.known import Known
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.storage.h5md import H5MDReader

_ENOUGH = 100  # frames, below which a mean's error is not known well enough to complain
_SPREAD = 3.0  # standard errors by which a mean may be off


def time_axis(run: H5MDReader) -> tuple[Axis, np.ndarray]:
    """Time axis and times in picoseconds, years or reduced units; the frames' numbers if files hold
    no times."""
    if "times" in run.missing:
        return Axis("frame"), np.arange(len(run), dtype=float)
    if run.units is METAL:
        return Axis("time", "ps"), run.times / METAL.convert(1.0, "ps")
    if run.units is ASTRONOMICAL:
        return Axis("time", "years"), run.times / 365.25
    return Axis("time", run.units.time), run.times


def with_velocities(run: H5MDReader, values: np.ndarray) -> tuple[np.ndarray, Axis, np.ndarray]:
    """Values [frames, ...] with their times; where some frames hold no velocities, of the frames in
    which the values are known."""
    axis, times = time_axis(run)
    if run.moving.all() or not run.has_velocities:
        return values, axis, times
    known = np.isfinite(values.reshape(len(values), -1)).all(1)
    return values[known], axis, times[known]


def over_systems(values: np.ndarray) -> dict[str, np.ndarray]:
    """The one curve of [frames], or three that stand for an ensemble's [frames, n_systems]."""
    columns = values.reshape(len(values), -1)
    if columns.shape[1] == 1:
        return {"": columns[:, 0]}
    low, middle, high = np.quantile(columns, [0.1, 0.5, 0.9], 1)
    return {"median": middle, "lowest tenth": low, "highest tenth": high}


@dataclass(frozen=True, eq=False)
class Series:
    """A quantity of each frame, [frames] or [frames, n_systems]; ``asked`` is what a thermostat or
    barostat holds it at, one value or the ends of a ramp, ``note`` what else is to be known."""

    key: str
    title: str
    unit: str
    values: np.ndarray
    asked: Sequence[float] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """As it stands in sentences."""
        return self.title.lower()


def add_mean(run: H5MDReader, known: Known, series: Series, into: Analysis) -> None:
    """Add the mean over the second half, or of a ramp, which has none, both ends; and the curve."""
    values, axis, times = with_velocities(run, series.values)
    if max(len(known.temperature), len(known.pressure)) > 1:
        number, said = _ends_of_ramp(series, values)
    else:
        number, said = _mean_of_second_half(series, values, known.sure, into)
    into.numbers.append(number)
    if len(values) > 1:
        shown = Axis(series.name, series.unit)
        into.curves.append(
            Curves(series.key, series.title, axis, times, shown, over_systems(values), said)
        )


def _ends_of_ramp(series: Series, values: np.ndarray) -> tuple[Number, str]:
    """The mean of the last tenth; and a sentence on both ends."""
    unit, part, asked = series.unit, max(1, len(values) // 10), series.asked
    first, last = float(values[:part].mean()), float(values[-part:].mean())
    note = f"last tenth of a ramp; {first:.4g} in the first"
    note += f", target {asked[0]:.5g} to {asked[-1]:.5g}" if asked else ""
    said = f"From {first:.4g} {unit} to {last:.4g} {unit}, means of a tenth of the run."
    return Number(series.key, series.name, last, unit, note=_joined(note, series.note)), said


def _mean_of_second_half(
    series: Series, values: np.ndarray, sure: bool, into: Analysis
) -> tuple[Number, str]:
    """The mean with its error, and a sentence on it; warnings if it drifts or is not the requested
    value."""
    half = values[len(values) // 2 :]
    mean, error, least = mean_and_error(half)
    asked = "".join(f", target {value:.5g}" for value in series.asked)
    note = ("mean of the second half" if len(values) > 1 else "") + asked
    number = Number(series.key, series.name, mean, series.unit, error, least=least)
    with_error = "" if error is None else ", with its standard error"
    said = f"{number} over the second half{with_error}."
    if (change := trend(half)) is not None:
        moved = Number(
            series.key, series.name, change.value, series.unit, change.error, least=change.least
        )
        drifting = f"still drifting, by {moved} over the second half of the run"
        said += f" It is {drifting}."
        into.notes.append(
            f"the {series.name} is {drifting}: its mean is not that of an equilibrated run"
        )
    judged = sure and error is not None and not least and len(half) >= _ENOUGH
    for value in series.asked if judged else ():
        if abs(mean - value) > max(_SPREAD * (error or 0.0), 0.02 * abs(value)):
            into.warnings.append(
                f"The {series.name} is {mean:.4g} {series.unit} where {value:.4g} was asked: the"
                " run is too short, or its coupling is too weak."
            )
    return replace(number, note=_joined(note.removeprefix(", "), series.note)), said


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))
