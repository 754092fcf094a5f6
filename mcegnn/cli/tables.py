"""Tables of a run for the command line: time, conserved quantities, distances; for `rollout` and
`analyse` alike."""

from typing import TYPE_CHECKING, Any

import typer

from mcegnn.runs.divergence import systems_in_words
from mcegnn.runs.provenance import lost_of, timings
from mcegnn.runs.reading import conserves, run_of, shown_times

if TYPE_CHECKING:
    from trajectories.analysis.results import Number

_ELSEWHERE = ("from_jpl_", "forecast_error", "valid_time")


def against_rows(found: dict[str, Any], reader: Any) -> list[tuple[str, ...]]:
    """Distances from another run, with units; for many systems median and extremes."""
    length, (_, unit) = reader.units.length, shown_times(reader)
    error, valid = (
        f"{found['median_error_at_the_end']:.4g} {length}".rstrip(),
        f"{found['median_valid_time']:.6g} {unit}".rstrip(),
    )
    if reader.n_systems is not None and reader.n_systems > 1:
        error += (
            f" (median; mean {found['mean_error_at_the_end']:.4g}, largest"
            f" {found['largest_error_at_the_end']:.4g})"
        )
        valid += f" (median; shortest {found['shortest_valid_time']:.6g} {unit}".rstrip() + ")"
    at = (
        ""
        if unit == "frames"
        else f" at the same times, the last at {found['last_time']:.6g} {unit}".rstrip()
    )
    return [
        ("compared", f"{found['frames_compared']:,} frames{at}"),
        ("error of positions at the end", error),
        (f"within {found['tolerance']:g} {length}".rstrip() + " for", valid),
    ]


def took(timing: dict[str, float]) -> str:
    """Seconds and speed in words."""
    speed = timing["steps_per_second"]  # nothing where all of it was over at once
    return f"{timing['seconds']:.2f} s" + (
        f", {speed:,.0f} steps a second after compilation" if speed else ""
    )


def timing_rows(reader: Any) -> list[tuple[str, ...]]:
    """How long each part of the run took, the first and those resumed."""
    parts = timings(reader)
    if len(parts) == 1:
        return [("took", took(parts[0]))]
    return [
        (f"steps {timing['first']:,} to {timing['last']:,} took", took(timing)) for timing in parts
    ]


def lost_rows(reader: Any) -> list[tuple[str, ...]]:
    """Which systems diverged and are frozen at their last valid state; all numbers count them."""
    lost = lost_of(reader)
    return (
        [
            (
                "diverged, frozen since",
                f"{len(lost):,} of {reader.n_systems:,} systems: {systems_in_words(lost)}",
            )
        ]
        if lost
        else []
    )


def conserved(drifts: Any, reader: Any) -> dict[str, Any]:
    """The relative changes [frames, n_systems] of the quantities that the run should conserve, by
    name."""
    found = {name: getattr(drifts, name) for name in conserves(reader)}
    return {name: values for name, values in found.items() if values is not None}


def conserved_rows(drifts: Any, reader: Any) -> list[tuple[str, ...]]:
    """A row for each conserved quantity: the largest relative change over the run, over systems
    median and worst.

    With relativity the Newtonian quantities are not conserved to better than (v / c)^2, about 1e-9
    for the planets.
    """
    import numpy as np

    run, relativity = run_of(reader), reader.configuration.get("relativity")
    rows: list[tuple[str, ...]] = []
    for name, values in conserved(drifts, reader).items():
        largest = np.abs(values).max(0)
        worst = int(largest.argmax())
        text = (
            f"{largest[0]:.1e}"
            if len(largest) == 1
            else f"median {np.median(largest):.1e}, largest {largest[worst]:.1e} (system {worst})"
        )
        newtonian = "Newtonian " if relativity and name != "momentum" else ""
        rows.append((f"relative drift of {newtonian}{name.replace('_', ' ')}", text))
        if name == "energy" and run is not None and (why := run.why_energy_drifts):
            rows.append(("why energy drifts", why))
    return rows


def assumed_rows(reader: Any) -> list[tuple[str, str]]:
    """Rows of what was assumed because the files of another program do not hold it."""
    return [(f"assumed {what}", words) for what, words in reader.assumed.items()]


def number_rows(found: Any) -> list[tuple[str, ...]]:
    """The numbers of an analysis that have no table of their own."""
    return [
        (n.label, str(n))
        for n in found.numbers
        if not n.key.endswith("_drift") and not n.key.startswith(_ELSEWHERE)
    ]


def error_rows(found: dict[str, Any] | None) -> list[tuple[str, ...]]:
    """The worst body and the median in one row."""
    from mcegnn.simulation.solar import kilometers

    if found is None:
        return []
    worst, km, rest = _worst(found)
    return [("estimated error of positions", f"largest {kilometers(km)} ({worst}), {rest}")]


def error_numbers(found: dict[str, Any] | None) -> "list[Number]":
    """The same for the numbers of a page."""
    from trajectories.analysis.results import Number

    if found is None:
        return []
    worst, km, rest = _worst(found)
    label = "largest estimated error of positions"
    return [Number("estimated_error", label, km, "km", note=f"{worst}'s; {rest}")]


def _worst(found: dict[str, Any]) -> tuple[str, float, str]:
    """The body that is farthest off, by how many kilometres, and in words the median of all."""
    import numpy as np

    from mcegnn.simulation.solar import kilometers

    km = found["km"]
    worst = max(km, key=lambda name: km[name])
    middle = kilometers(float(np.median(list(km.values()))))
    return worst, km[worst], f"median {middle}, after {found['days']:.6g} days"


def jpl_rows(distance: Any) -> list[tuple[str, ...]]:
    """Kilometres to JPL DE440, body by body."""
    km = distance.kilometers
    return [
        (
            name,
            f"{km[0, k]:,.2f}",
            f"{km[:, k].mean():,.2f}",
            f"{km[:, k].max():,.2f}",
            f"{km[-1, k]:,.2f}",
        )
        for k, name in enumerate(distance.names)
    ]


def last_jpl_rows(reader: Any) -> list[tuple[str, ...]]:
    """The same in one row, at the end of a run; and saying so where DE440 is missing; none where no
    body is JPL's."""
    import numpy as np

    from systems.sources.ephemeris import NAMES
    from trajectories.forecast import NoneOfJPL, distance_to_jpl

    configuration = reader.configuration
    if configuration.get("system") != "solar" or not set(NAMES) & set(reader.names):
        return []
    parents = [body["parent"] for body in configuration["bodies"]]
    try:
        distance = distance_to_jpl(reader, configuration["epoch"], parents, slice(-1, None))
    except NoneOfJPL:
        return []
    except (RuntimeError, ValueError) as error:
        typer.echo(f"no comparison with JPL: {error}", err=True)
        return []
    km = distance.kilometers[-1]
    if not len(km):
        return []
    worst = int(km.argmax())
    text = (
        f"median of {len(km)} bodies {np.median(km):,.1f} km, largest {km[worst]:,.1f} km"
        f" ({distance.names[worst]})"
    )
    return [
        ("from JPL at the end", text),
        *([("from JPL at the start", distance.start)] if distance.start else []),
    ]
