"""What an analysis gives: numbers with their errors, and curves with labels and units, for tables, files and figures alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trajectories.conservation import Conservation
from trajectories.forecast import ForecastError, JPLDistance


@dataclass(frozen=True)
class Number:
    """One number: ``error`` is its standard error or half a 95 % interval, as ``note`` says; None where it has none."""

    key: str
    label: str
    value: float
    unit: str = ""
    error: float | None = None
    note: str = ""

    def __str__(self) -> str:
        text = f"{self.value:.5g}" if self.error is None else f"{self.value:.5g} ± {self.error:.2g}"
        return f"{text} {self.unit}".rstrip() + (f", {self.note}" if self.note else "")


@dataclass(frozen=True)
class Axis:
    """What an axis shows."""

    label: str
    unit: str = ""
    logarithmic: bool = False

    def __str__(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves over one axis: ``values`` by name, each [n] as ``x``; ``said`` is in a sentence what there is to be seen.

    ``line`` is False where points are not to be joined, ``marks`` are places on x that are named in figures, and ``parity`` is for a
    quantity against itself from elsewhere, with the line on which the two are equal.
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
    """All that was found of a run. ``warnings`` say what looks wrong and what to do, ``notes`` what was left out and why.

    ``conservation``, ``jpl`` and ``forecast`` are the drifts and distances, frame by frame, that numbers and curves were made of.
    """

    numbers: list[Number] = field(default_factory=list)
    curves: list[Curves] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conservation: Conservation | None = None
    jpl: JPLDistance | None = None
    forecast: ForecastError | None = None

    def curve(self, key: str) -> Curves:
        """The curves of that key; KeyError where there are none."""
        for curves in self.curves:
            if curves.key == key:
                return curves
        raise KeyError(key)

    def number(self, key: str) -> Number:
        """The number of that key; KeyError where there is none."""
        for number in self.numbers:
            if number.key == key:
                return number
        raise KeyError(key)
