"""`mcegnn analyse`: what a run conserved, how fast it was, and how far planets are from JPL's."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mcegnn.cli.messages import mistakes, refuse_figure, table, told
from mcegnn.cli.rows import (
    against_rows,
    conserved,
    conserved_rows,
    jpl_distance,
    jpl_rows,
    lost_of,
    lost_rows,
    matter,
    matter_rows,
    time_of,
    timing_rows,
    timings,
)


@told
def analyse(
    run: Annotated[Path, typer.Argument(help="A trajectory written by mcegnn rollout.")],
    against: Annotated[Path | None, typer.Option(help="Another run of the same systems, such as the exact one, to compare with.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="How far from it is still right, in the run's unit of length. [default: 0.1]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Draw this run's trajectory into this PNG, SVG or PDF file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the figure where it exists.")] = False,
) -> None:
    """Say how well a run did: drifts of energy, momentum and angular momentum; for planets the distance to JPL DE440.

    Examples:

    - `mcegnn analyse planets.h5md --figure planets.png`

    - `mcegnn analyse learned.h5md --against exact.h5md --tolerance 0.1`

    - `mcegnn analyse planets.h5md --json`
    """
    from trajectories.conservation import conservation
    from trajectories.h5md import H5MDReader

    with mistakes():
        if figure is not None:
            refuse_figure(figure, force)
        reader = H5MDReader(run)
    with reader:
        with mistakes():
            if not len(reader):
                raise ValueError(f"{run} holds no frames yet")
            drifts = conservation(reader)
            compared = _compared(reader, against, tolerance)
        if as_json:
            typer.echo(json.dumps(_summary(reader, drifts) | compared))
        else:
            rows = [
                ("frames", f"{len(reader):,}, time {drifts.times[0]:g} to {time_of(reader.units, float(drifts.times[-1]))}"),
                ("particles", f"{reader.n_particles}" + (f" x {reader.n_systems} systems" if reader.n_systems else "")),
                *lost_rows(reader),
                *timing_rows(reader),
                *conserved_rows(drifts, reader),
                *matter_rows(reader),
            ]
            table(str(run), rows)
            if compared:
                table(f"Against {against}", against_rows(compared["against"], reader.units, reader.n_systems))
            distances = jpl_rows(reader)
            if distances:
                table("Distance to JPL DE440, km", distances, header=("body", "at the start", "mean", "largest", "at the end"))
        if figure is not None:
            from trajectories.figures import draw_trajectory

            with mistakes():
                draw_trajectory(reader, figure)
            if not as_json:
                typer.echo(f"drew {figure}")


def _compared(reader: Any, against: Path | None, tolerance: float | None) -> dict[str, dict[str, float]]:
    """How far the run is from another; nothing where there is no other."""
    if against is None:
        if tolerance is not None:
            raise ValueError("--tolerance goes with --against RUN")
        return {}
    import numpy as np

    from trajectories.forecast import forecast_error
    from trajectories.h5md import H5MDReader

    limit = 0.1 if tolerance is None else tolerance
    with H5MDReader(against) as reference:
        error = forecast_error(reader, reference)
    valid = error.valid_time(limit)
    last = error.errors[-1]
    return {
        "against": {
            "frames_compared": len(error.times), "last_time": float(error.times[-1]), "median_error_at_the_end": float(np.median(last)),
            "mean_error_at_the_end": float(last.mean()), "largest_error_at_the_end": float(last.max()), "tolerance": limit,
            "median_valid_time": float(np.median(valid)), "shortest_valid_time": float(valid.min()),
        }
    }  # fmt: skip


def _summary(reader: Any, drifts: Any) -> dict[str, Any]:
    import numpy as np

    largest = {name: np.abs(values).max(0) for name, values in conserved(drifts, reader).items()}
    summary: dict[str, Any] = {
        "frames": len(reader),
        "n_systems": reader.n_systems,
        "n_particles": reader.n_particles,
        "time": float(drifts.times[-1]),
        "time_unit": reader.units.time,
        "timing": timings(reader),
        "lost_systems": lost_of(reader),
        **{name.replace(" ", "_"): found for name, found in matter(reader).items()},
        **{f"{name}_drift": {"median": float(np.median(v)), "largest": float(v.max())} for name, v in largest.items()},
    }
    distance = jpl_distance(reader)
    if distance is not None:
        summary["km_from_jpl"] = dict(zip(distance.names, map(float, distance.kilometers[-1]), strict=True))
    return summary
