"""Results of analyses: numbers with errors, and curves with labels and units, for tables, files and
figures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trajectories.conservation import Conservation
from trajectories.forecast import ForecastError, JPLDistance


@dataclass(frozen=True)
class Number:
    """One number: ``error`` is its standard error or half a 95 % interval, as ``note`` says; None
    where it has none, or none that counts.

    ``least`` is whether the error is a lower bound, as for a series that is correlated throughout.
    """

    key: str
    label: str
    value: float
    unit: str = ""
    error: float | None = None
    note: str = ""
    least: bool = False

    def __str__(self) -> str:
        text = f"{self.value:.5g}"
        if self.error is not None and self.error > 1e-9 * abs(self.value):
            text = _with_error(self.value, self.error, "at least " if self.least else "")
        return f"{text} {self.unit}".rstrip() + (f", {self.note}" if self.note else "")


def _with_error(value: float, error: float, least: str) -> str:
    """The value to the second digit of its error."""
    large, place = max(abs(value), error), 1 - math.floor(math.log10(error))
    if 1e-4 < large < 1e7:
        return (
            f"{round(value, place):.{max(0, place)}f} ±"
            f" {least}{round(error, place):.{max(0, place)}f}"
        )
    return f"{value:.{1 + place + math.floor(math.log10(large))}g} ± {least}{error:.2g}"


@dataclass(frozen=True)
class Axis:
    """Label and unit of an axis."""

    label: str
    unit: str = ""
    logarithmic: bool = False

    def __str__(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves over one axis: ``values`` by name, each [n] as ``x``; ``said`` describes the figure in
    a sentence.

    ``line`` is False where points are not to be joined, ``marks`` are places on x that are named in
    figures, and ``parity`` is for a quantity against itself from elsewhere, with the line on which
    the two are equal.
    """

    key: str
    title: str
    x_axis: Axis
    x: np.ndarray
    y_axis: Axis
    values: Mapping[str, np.ndarray]
    said: str = ""
    line: bool = True
    marks: Mapping[str, float] = field(default_factory=dict)
    parity: bool = False


@dataclass(eq=False)
class Analysis:
    """The results of all analyses of a run. ``warnings`` say what looks wrong and what to do,
    ``notes`` what was left out and why.

    ``conservation``, ``jpl`` and ``forecast`` are the drifts and distances, frame by frame, that
    numbers and curves were made of.
    """

    numbers: list[Number] = field(default_factory=list)
    curves: list[Curves] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conservation: Conservation | None = None
    jpl: JPLDistance | None = None
    forecast: ForecastError | None = None

    def add(self, other: "Analysis") -> None:
        """Take over what another analysis found of the same run."""
        for name in ("numbers", "curves", "warnings", "notes"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("conservation", "jpl", "forecast"):
            if getattr(other, name) is not None:
                setattr(self, name, getattr(other, name))

    def curve(self, key: str) -> Curves:
        """The curves of that key. Raises KeyError if there are none."""
        for curves in self.curves:
            if curves.key == key:
                return curves
        raise KeyError(key)

    def number(self, key: str) -> Number:
        """The number of that key. Raises KeyError if there is none."""
        for number in self.numbers:
            if number.key == key:
                return number
        raise KeyError(key)
