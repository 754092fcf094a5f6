"""Results of analyses in Python: named arrays with units, numbers with errors, and a figure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcegnn.api.words import in_python, words_of_python

if TYPE_CHECKING:
    from trajectories.analysis.results import Analysis, Curves, Number


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Result of an analysis: curves over one axis, and numbers with errors.

    ``x`` [n] is the axis, ``curves`` are [n] each by name ("" if there is only one), or [n,
    n_systems] where each system of an ensemble has its own; labels and units stand beside them.
    ``numbers`` are values with errors and units by key, ``notes`` are remarks on them.
    ``result["distance"]`` gives the axis, by its label, or a curve, by its name. In a notebook it
    shows its figure.
    """

    key: str
    title: str
    x: np.ndarray
    x_label: str
    x_unit: str
    curves: Mapping[str, np.ndarray]
    y_label: str
    y_unit: str
    numbers: "Mapping[str, Number]" = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, curves: "Curves", found: "Analysis") -> "Result":
        """The curves of an analysis, with its numbers."""
        x, y = curves.x_axis, curves.y_axis
        return cls(
            curves.key,
            curves.title,
            np.asarray(curves.x),
            x.label,
            x.unit,
            dict(curves.values),
            y.label,
            y.unit,
            numbers_of(found.numbers),
            tuple(in_python(note) for note in found.notes),
        )

    @property
    def y(self) -> np.ndarray:
        """The first curve [n]."""
        return next(iter(self.curves.values()))

    def __getitem__(self, name: str) -> np.ndarray:
        if name == self.x_label:
            return self.x
        if name in self.curves:
            return self.curves[name]
        known = ", ".join(repr(one) for one in (self.x_label, *self.curves))
        raise KeyError(f"{name!r} is none of {known}")

    def plot(self, path: str | Path | None = None) -> Any:
        """The matplotlib figure, which is also written to a file (PNG, SVG, PDF) if one is
        named."""
        from trajectories.analysis.draw import figure_of, styled

        with styled(), words_of_python():
            figure = figure_of(self._drawn(), title=True)
            if path is not None:
                figure.savefig(path, dpi=150)
        return figure

    def _drawn(self) -> "Curves":
        """As curves [n], of an ensemble its median and tenths."""
        from trajectories.analysis.results import Axis, Curves
        from trajectories.analysis.time_series import over_systems

        values: dict[str, np.ndarray] = {}
        for name, curve in self.curves.items():
            parts = over_systems(curve) if curve.ndim > 1 else {"": curve}
            values |= {f"{name} {part}".strip(): shown for part, shown in parts.items()}
        axes = Axis(self.x_label, self.x_unit), Axis(self.y_label, self.y_unit)
        return Curves(self.key, self.title, axes[0], self.x, axes[1], values)

    def __repr__(self) -> str:
        names = ", ".join(repr(name) for name in self.curves if name)
        x = f"{self.x_label} ({self.x_unit})" if self.x_unit else self.x_label
        lines = [f"{self.title}: {len(self.x):,} points over {x}" + (f", {names}" * bool(names))]
        lines += [f"  {number.label}: {number}" for number in self.numbers.values()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from trajectories.analysis.draw import svg_of

        rows = [(number.label, str(number)) for number in self.numbers.values()]
        shown = svg_of(self._drawn()) if len(self.x) > 1 else ""
        return f"{shown}{table(self.title, rows)}"


def numbers_of(numbers: "Iterable[Number]") -> "dict[str, Number]":
    """Numbers by their key, with notes that name options as in Python."""
    return {one.key: replace(one, note=in_python(one.note)) for one in numbers}


def table(title: str, rows: "list[tuple[str, str]]") -> str:
    """Rows under a title in HTML."""
    import html

    cells = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{html.escape(c)}</td>' for c in row)
        + "</tr>"
        for row in rows
    )
    return f"<strong>{html.escape(title)}</strong><table>{cells}</table>"
