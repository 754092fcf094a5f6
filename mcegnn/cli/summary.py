"""Summary of a rollout, in a table."""

from contextlib import suppress

import typer

from mcegnn.cli.messages import table
from mcegnn.cli.tables import (
    conserved_rows,
    error_rows,
    last_jpl_rows,
    number_rows,
    took,
)
from mcegnn.runs.outputs import size
from mcegnn.runs.provenance import estimated_errors_of
from mcegnn.runs.reading import known_of, leave_out_marked
from mcegnn.runs.rollout import RolloutResult
from trajectories.analysis import Analysis
from trajectories.analysis.guard import left_out
from trajectories.analysis.matter import matter
from trajectories.conservation import conservation
from trajectories.storage.h5md import H5MDReader


def summary(result: RolloutResult) -> None:
    """Print how far it went, how fast, what it conserved, and how large its file is."""
    systems, timing = (
        result.n_systems,
        {"seconds": result.seconds, "steps_per_second": result.steps_per_second},
    )
    each = f" in each of {systems:,} systems" if systems > 1 else ""
    rows: list[tuple[str, ...]] = [
        ("steps", f"{result.n_steps:,}{each}"),
        ("time", took(timing)),
    ]
    found, failed = Analysis(), list[str]()
    with H5MDReader(result.path) as reader:
        n_frames = len(reader)
        with suppress(ValueError):  # where none is left all are looked at
            rows += [("left out", words) for words in leave_out_marked(reader)]
        with left_out("conserved quantities", failed):
            rows += conserved_rows(conservation(reader), reader)
        with left_out("temperature, energy and pressure", failed):
            matter(reader, known_of(reader), found)
        rows += number_rows(found)
        rows += error_rows(estimated_errors_of(reader))
        rows += last_jpl_rows(reader)
        n_bytes = size(result.path.stat().st_size)
        rows.append(("file", f"{result.path}, {n_frames:,} frames, {n_bytes}"))
    table("Rolled out", rows)
    for note in failed:
        typer.echo(f"note: {note}")
