"""Results of an analysis as tables and as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mcegnn.cli.messages import table
from mcegnn.cli.tables import (
    against_rows,
    assumed_rows,
    conserved,
    conserved_rows,
    error_rows,
    jpl_rows,
    lost_rows,
    number_rows,
    timing_rows,
)
from mcegnn.runs.provenance import estimated_errors_of, lost_of, timings
from mcegnn.runs.reading import shown_times

if TYPE_CHECKING:
    from trajectories.analysis import Analysis
    from trajectories.forecast import ForecastError
    from trajectories.storage.h5md import H5MDReader


def print_analysis(
    run: Path,
    reader: "H5MDReader",
    found: "Analysis",
    compared: dict[str, Any],
    against: Path | None,
) -> None:
    """Print tables, then warnings and notes."""
    factor, unit = shown_times(reader)
    span = (
        ""
        if unit == "frames"
        else (
            f", time {factor * reader.times[0]:.6g} to {factor * reader.times[-1]:.6g} "
            f"{unit}".rstrip()
        )
    )
    rows = [
        ("frames", f"{len(reader):,}{span}"),
        (
            "particles",
            f"{reader.n_particles:,}"
            + (f" x {reader.n_systems:,} systems" if reader.n_systems else ""),
        ),
        *lost_rows(reader),
        *timing_rows(reader),
        *(conserved_rows(found.conservation, reader) if found.conservation else []),
        *error_rows(estimated_errors_of(reader)),
        *number_rows(found),
    ]
    table(str(run), rows)
    if compared:
        table(f"Against {against}", against_rows(compared["against"], reader))
    if found.jpl is not None and found.jpl.names:
        table(
            "Distance to JPL DE440, km",
            jpl_rows(found.jpl),
            header=("body", "at the start", "mean", "largest", "at the end"),
        )
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for what, words in assumed_rows(reader):
        typer.echo(f"{what}: {words}")
    for note in found.notes:
        typer.echo(f"note: {note}")


def compared_with(
    error: "ForecastError", limit: float, reader: "H5MDReader"
) -> dict[str, dict[str, float]]:
    """How far the run is from another; times as they are shown."""
    import numpy as np

    factor, _ = shown_times(reader)
    valid = factor * error.valid_time(limit)
    last = error.errors[-1]
    return {
        "against": {
            "frames_compared": len(error.times),
            "last_time": factor * float(error.times[-1]),
            "tolerance": limit,
            "median_error_at_the_end": float(np.median(last)),
            "mean_error_at_the_end": float(last.mean()),
            "largest_error_at_the_end": float(last.max()),
            "median_valid_time": float(np.median(valid)),
            "shortest_valid_time": float(valid.min()),
        }
    }


def summary_of(reader: "H5MDReader", found: "Analysis") -> dict[str, Any]:
    """Return what `mcegnn analyse --json` prints of a run."""
    import numpy as np

    factor, unit = shown_times(reader)
    drifts = {} if found.conservation is None else conserved(found.conservation, reader)
    largest = {name: np.abs(values).max(0) for name, values in drifts.items()}
    summary: dict[str, Any] = {
        "frames": len(reader),
        "n_systems": reader.n_systems,
        "n_particles": reader.n_particles,
        "time": factor * float(reader.times[-1]),
        "time_unit": unit,
        "timing": timings(reader),
        "lost_systems": lost_of(reader),
        **{
            f"{name}_drift": {"median": float(np.median(v)), "largest": float(v.max())}
            for name, v in largest.items()
        },
    }
    if found.jpl is not None:
        summary["km_from_jpl"] = dict(
            zip(found.jpl.names, map(float, found.jpl.kilometers[-1]), strict=True)
        )
    if (errors := estimated_errors_of(reader)) is not None:
        summary["estimated_error_km"] = errors["km"]
    numbers = {
        n.key: {"value": n.value, "error": n.error, "unit": n.unit, "what": n.label, "note": n.note}
        for n in found.numbers
    }
    return summary | {
        "numbers": numbers,
        "assumed": reader.assumed,
        "warnings": found.warnings,
        "notes": found.notes,
    }
