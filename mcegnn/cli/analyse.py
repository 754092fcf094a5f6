"""`mcegnn analyse`: what a run conserved, how fast it was, and how far planets are from JPL's."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mcegnn.cli.messages import mistakes, refuse_figure, table, told


@told
def analyse(
    run: Annotated[Path, typer.Argument(help="A trajectory written by mcegnn rollout.")],
    against: Annotated[Path | None, typer.Option(help="Another run of the same systems, such as the exact one, to compare with.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="How far from it is still right, in the run's unit of length. [default: 0.1]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Draw the trajectory into this PNG, SVG or PDF file.")] = None,
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
            unit = reader.units.time
            rows = [
                ("frames", f"{len(reader):,}, time {drifts.times[0]:g} to {drifts.times[-1]:g} {unit}"),
                ("particles", f"{reader.n_particles}" + (f" x {reader.n_systems} systems" if reader.n_systems else "")),
                *timing_rows(reader),
                *conserved_rows(drifts, _configuration(reader).get("relativity", False)),
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


def against_rows(found: dict[str, float], units: Any, n_systems: int | None) -> list[tuple[str, ...]]:
    """What `_compared` found, with units; of many systems median and extremes."""
    length, time = (f" {unit}" if unit else "" for unit in (units.length, units.time))
    many = n_systems is not None and n_systems > 1
    error, valid = f"{found['median_error_at_the_end']:.4g}{length}", f"{found['median_valid_time']:.6g}{time}"
    if many:
        error += f" (median; mean {found['mean_error_at_the_end']:.4g}, largest {found['largest_error_at_the_end']:.4g})"
        valid += f" (median; shortest {found['shortest_valid_time']:.6g})"
    return [
        ("compared", f"{found['frames_compared']:,} frames at the same times, the last at {found['last_time']:.6g}{time}"),
        ("error of positions at the end", error),
        (f"within {found['tolerance']:g}{length} for", valid),
    ]


def _summary(reader: Any, drifts: Any) -> dict[str, Any]:
    import numpy as np

    largest = {
        name: np.abs(getattr(drifts, name)).max(0)
        for name in ("energy", "momentum", "angular_momentum")
        if getattr(drifts, name) is not None
    }
    summary: dict[str, Any] = {
        "frames": len(reader),
        "n_systems": reader.n_systems,
        "n_particles": reader.n_particles,
        "time": float(drifts.times[-1]),
        "timing": _timings(reader),
        **{f"{name}_drift": {"median": float(np.median(v)), "largest": float(v.max())} for name, v in largest.items()},
    }
    distance = _jpl(reader)
    if distance is not None:
        summary["km_from_jpl"] = dict(zip(distance.names, map(float, distance.kilometers[-1]), strict=True))
    return summary


def took(timing: dict[str, float]) -> str:
    """Seconds and speed in words."""
    return f"{timing['seconds']:.2f} s, {timing['steps_per_second']:,.0f} steps a second once started"


def timing_rows(reader: Any) -> list[tuple[str, ...]]:
    """How long each part of the run took, the first and those resumed."""
    timings = _timings(reader)
    if len(timings) == 1:
        return [("took", took(timings[0]))]
    return [(f"steps {timing['first']:,} to {timing['last']:,} took", took(timing)) for timing in timings]


def _timings(reader: Any) -> list[dict[str, float]]:
    """What was recorded by runs that came to their end, in the order of their steps."""
    from mcegnn.cli.job import TIMING

    found = [json.loads(value) for key, value in reader.provenance.items() if key.startswith(TIMING)]
    return sorted(found, key=lambda timing: timing["first"])


def conserved_rows(drifts: Any, relativity: bool = False) -> list[tuple[str, ...]]:
    """A row for each conserved quantity: the largest relative change over the run, over systems median and worst.

    With relativity the Newtonian quantities are not conserved to better than (v / c)^2, about 1e-9 for the planets.
    """
    import numpy as np

    rows: list[tuple[str, ...]] = []
    for name in ("energy", "momentum", "angular_momentum"):
        values = getattr(drifts, name)
        if values is None:
            continue
        largest = np.abs(values).max(0)
        worst = int(largest.argmax())
        text = (
            f"{largest[0]:.1e}" if len(largest) == 1 else f"median {np.median(largest):.1e}, largest {largest[worst]:.1e} (system {worst})"
        )
        newtonian = "Newtonian " if relativity and name != "momentum" else ""
        rows.append((f"relative drift of {newtonian}{name.replace('_', ' ')}", text))
    return rows


def jpl_rows(reader: Any, *, last_only: bool = False) -> list[tuple[str, ...]]:
    """Kilometres to JPL DE440, body by body (or in one row, at the end); none where the run is no solar one or DE440 is missing."""
    import numpy as np

    distance = _jpl(reader, slice(-1, None) if last_only else slice(None))
    if distance is None or not distance.names:
        return []
    km = distance.kilometers
    if last_only:
        worst = int(km[-1].argmax())
        text = (
            f"median of {len(distance.names)} bodies {np.median(km[-1]):,.1f} km, largest {km[-1, worst]:,.1f} km ({distance.names[worst]})"
        )
        return [("from JPL at the end", text)]
    return [
        (name, f"{km[0, k]:,.2f}", f"{km[:, k].mean():,.2f}", f"{km[:, k].max():,.2f}", f"{km[-1, k]:,.2f}")
        for k, name in enumerate(distance.names)
    ]


def _configuration(reader: Any) -> dict[str, Any]:
    """What made the run, as the command line recorded it; empty for a file written from Python."""
    recorded = json.loads(reader.provenance.get("configuration", "{}"))
    return recorded if isinstance(recorded, dict) else {}


def _jpl(reader: Any, which: slice = slice(None)) -> Any:
    configuration = _configuration(reader)
    if configuration.get("system") != "solar":
        return None
    from trajectories.forecast import distance_to_jpl

    try:
        return distance_to_jpl(reader, configuration["epoch"], [body["parent"] for body in configuration["bodies"]], which)
    except (RuntimeError, ValueError) as error:
        typer.echo(f"no comparison with JPL: {error}", err=True)
        return None
