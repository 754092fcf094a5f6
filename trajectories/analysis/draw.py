"""Figures of curves by matplotlib, in one style: for papers as PDF and PNG, for pages as SVG."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.analysis.results import Analysis, Curves

# Okabe and Ito's colours, which the colour-blind tell apart; black is left to axes
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#882255",
    "#999933",
    "#44AA99",
    "#AA4499",
    "#661100",
    "#6699CC",
)
_POINTS = 1500  # of a curve that a figure shows
_FEW = 3  # points of a curve that are marked
_DECADE = (
    8.0  # the largest over the least, below which a logarithmic axis would have hardly a label
)
_WIDTH = 0.8  # of a figure, that its axes have along x
_INSIDE, _COLUMNS = 6, 8  # curves whose names lie among them, and columns of names below them
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "lines.linewidth": 1.3,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "mcegnn",
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib in our style."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def thinned(x: np.ndarray, y: np.ndarray, most: int = _POINTS) -> tuple[np.ndarray, np.ndarray]:
    """A curve of at most so many points that looks the same: the least and the largest of each
    stretch, in order."""
    if len(x) <= most:
        return x, y
    stretches = np.array_split(np.arange(len(x)), most // 2)
    filled = np.where(np.isfinite(y), y, np.nanmean(y) if np.isfinite(y).any() else 0.0)
    kept = sorted(
        {0, len(x) - 1} | {int(s[f(filled[s])]) for s in stretches for f in (np.argmin, np.argmax)}
    )
    return x[kept], y[kept]


def draw(curves: Curves, axes: Any) -> None:
    """Curves into matplotlib axes, with their units on both."""
    logarithmic = curves.y_axis.logarithmic and _spread(curves) > _DECADE
    for k, (name, y) in enumerate(curves.values.items()):
        x, y = np.asarray(curves.x), np.asarray(y, dtype=float)
        if logarithmic:  # zero has no logarithm, as where nothing has drifted yet
            y = np.where(y > 0, y, np.nan)
        (_line if curves.line else _points)(axes, x, y, k, name or None)
    if curves.parity:
        _square(curves, axes)
    for name, at in curves.marks.items():
        axes.axvline(at, color="gray", lw=0.9, ls=":", label=name)
    if curves.x_axis.logarithmic:
        axes.set_xscale("log")
    if logarithmic:
        axes.set_yscale("log")
    axes.set(xlabel=str(curves.x_axis), ylabel=str(curves.y_axis))
    _whole_ticks(axes)
    n = sum(bool(name) for name in curves.values) + len(curves.marks)
    if n > _INSIDE:
        _legend_below(axes)
    elif n:
        axes.legend(handlelength=1.2, markerscale=1.0 if curves.line else 3.0)


def _line(axes: Any, x: np.ndarray, y: np.ndarray, k: int, name: str | None) -> None:
    """The k-th curve as a line; beyond the colours there are, lines are broken in another way."""
    style = ("-", "--", ":")[k // len(COLORS) % 3]
    few = "." if np.isfinite(y).sum() <= _FEW else None  # a line takes two points to be seen
    color = COLORS[k % len(COLORS)]
    axes.plot(*thinned(x, y), color=color, ls=style, label=name, marker=few)


def _points(axes: Any, x: np.ndarray, y: np.ndarray, k: int, name: str | None) -> None:
    """The k-th curve as points; where they are many, an image, which is smaller than so many
    circles."""
    many, color = len(x) > _POINTS, COLORS[k % len(COLORS)]
    size = 1.5 if many else 3
    axes.plot(x, y, color=color, ls="none", marker="o", ms=size, mew=0, label=name, rasterized=many)


def _whole_ticks(axes: Any) -> None:
    """Ticks of linear axes say all of their number, without one to be added to it, and so few are
    along x that they do not touch."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    for axis in (axes.xaxis, axes.yaxis):
        if isinstance(axis.get_major_formatter(), ScalarFormatter) and axis.get_scale() == "linear":
            axis.get_major_formatter().set_useOffset(False)
    if axes.get_xscale() != "linear":
        return
    room = _WIDTH * axes.figure.get_size_inches()[0] * axes.figure.dpi
    for most in (None, 8, 7, 6, 5, 4, 3, 2):
        if most is not None:
            axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
        low, high = sorted(axes.get_xlim())
        within = [
            label.get_window_extent().width
            for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            if low <= at <= high
        ]
        # the ends' labels stick out by half of themselves
        if 1.2 * sum(within) < room:
            break


def _legend_below(axes: Any) -> None:
    """A legend under the axes, in as many columns as the figure is wide; the figure grows by its
    height, so that curves keep theirs."""
    figure = axes.figure
    below: Any = {"loc": "outside lower center", "handlelength": 1.2, "columnspacing": 1.2}
    handles, labels = axes.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    # columns are as wide as the names in them, which only a drawing tells
    for rows in range(-(-len(labels) // _COLUMNS), len(labels) + 1):
        legend = figure.legend(handles, labels, ncols=-(-len(labels) // rows), **below)
        size = legend.get_window_extent()
        if size.width < 0.97 * width * figure.dpi or rows == len(labels):
            break
        legend.remove()
    figure.set_size_inches(width, height + size.height / figure.dpi)


def _spread(curves: Curves) -> float:
    """The largest of what is positive over the least of it."""
    positive = [
        y[y > 0]
        for y in (np.asarray(y, dtype=float) for y in curves.values.values())
        if (y > 0).any()
    ]
    return (
        float(max(y.max() for y in positive) / min(y.min() for y in positive)) if positive else 1.0
    )


def _square(curves: Curves, axes: Any) -> None:
    """The same limits both ways, and the line on which both are equal."""
    every = np.concatenate(
        [
            np.asarray(curves.x, dtype=float),
            *(np.asarray(y, dtype=float) for y in curves.values.values()),
        ]
    )
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    edge = 0.03 * (high - low) or 1.0
    axes.set(xlim=(low - edge, high + edge), ylim=(low - edge, high + edge), aspect="equal")
    axes.plot((low, high), (low, high), color="gray", lw=0.9, zorder=0)


def figure_of(
    curves: Curves, size: tuple[float, float] = (5.2, 3.2), *, title: bool = False
) -> Any:
    """A matplotlib figure of the curves."""
    from trajectories.analysis._notebook_figure import NotebookFigure

    figure = NotebookFigure(figsize=size, layout="constrained")
    axes = figure.subplots()
    draw(curves, axes)
    if title:
        axes.set_title(curves.title, loc="left")
    return figure


def save_figures(analysis: Analysis, folder: str | Path) -> list[Path]:
    """Each figure as PDF and as PNG of 300 points an inch, named by its key; the folder is made.
    Returns what was written."""
    folder, written = Path(folder), []
    folder.mkdir(exist_ok=True)
    with styled():
        for curves in analysis.curves:
            figure = figure_of(curves)
            for ending in ("pdf", "png"):
                written.append(folder / f"{curves.key}.{ending}")
                figure.savefig(written[-1], dpi=300)
    return written


def svg_of(curves: Curves) -> str:
    """An SVG element that takes its black from the text's colour around it, so that it suits light
    and dark pages."""
    text = io.StringIO()
    with styled():
        figure_of(curves).savefig(text, format="svg", transparent=True, metadata=_NAMELESS, dpi=150)
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    for black in ("#000000", "#b0b0b0"):
        drawing = drawing.replace(black, "currentColor")
    # names of clip paths and markers are the same in every drawing of a page
    return (
        drawing.replace('id="', f'id="{curves.key}-')
        .replace("url(#", f"url(#{curves.key}-")
        .replace('href="#', f'href="#{curves.key}-')
    )


_NAMELESS: Mapping[str, None] = {"Date": None, "Creator": None, "Format": None, "Type": None}
