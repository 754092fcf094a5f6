"""What the command line says of a run in tables: time, conserved quantities, distances; for `rollout` and `analyse` alike."""

import json
from typing import Any

import typer

TIMING = "timing"  # entries of the provenance that begin with it hold how long a part of the run took


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


def took(timing: dict[str, float]) -> str:
    """Seconds and speed in words."""
    return f"{timing['seconds']:.2f} s, {timing['steps_per_second']:,.0f} steps a second once started"


def timing_rows(reader: Any) -> list[tuple[str, ...]]:
    """How long each part of the run took, the first and those resumed."""
    parts = timings(reader)
    if len(parts) == 1:
        return [("took", took(parts[0]))]
    return [(f"steps {timing['first']:,} to {timing['last']:,} took", took(timing)) for timing in parts]


def timings(reader: Any) -> list[dict[str, float]]:
    """What was recorded by runs that came to their end, in the order of their steps."""
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

    distance = jpl_distance(reader, slice(-1, None) if last_only else slice(None))
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


def configuration_of(reader: Any) -> dict[str, Any]:
    """What made the run, as the command line recorded it; empty for a file written from Python."""
    recorded = json.loads(reader.provenance.get("configuration", "{}"))
    return recorded if isinstance(recorded, dict) else {}


def jpl_distance(reader: Any, which: slice = slice(None)) -> Any:
    """The distances of the run's planets to JPL DE440's, of some frames; None, saying why, where they cannot be had."""
    configuration = configuration_of(reader)
    if configuration.get("system") != "solar":
        return None
    from trajectories.forecast import distance_to_jpl

    try:
        return distance_to_jpl(reader, configuration["epoch"], [body["parent"] for body in configuration["bodies"]], which)
    except (RuntimeError, ValueError) as error:
        typer.echo(f"no comparison with JPL: {error}", err=True)
        return None
