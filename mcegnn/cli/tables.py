"""What the command line says of a run in tables: time, conserved quantities, distances; for
`rollout` and `analyse` alike."""

from typing import TYPE_CHECKING, Any

import typer

from mcegnn.runs.divergence import systems_in_words
from mcegnn.runs.provenance import MARKED, first_steps, lost_of, marked_of, timings

if TYPE_CHECKING:
    from mcegnn.simulation import Configuration
    from trajectories.analysis.results import Number

_ELSEWHERE = ("from_jpl_", "forecast_error", "valid_time")


def shown_times(reader: Any) -> tuple[float, str]:
    """What a run's times are multiplied with to be shown, and the unit: picoseconds in metal units,
    whose own unit nobody knows."""
    if reader.units.name != "metal":
        return 1.0, reader.units.time
    return 1.0 / reader.units.convert(1.0, "ps"), "frames" if "times" in reader.missing else "ps"


def against_rows(found: dict[str, Any], reader: Any) -> list[tuple[str, ...]]:
    """What was found beside another run, with units; of many systems median and extremes."""
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
        f", {speed:,.0f} steps a second once started" if speed else ""
    )


def timing_rows(reader: Any) -> list[tuple[str, ...]]:
    """How long each part of the run took, the first and those resumed."""
    parts = timings(reader)
    if len(parts) == 1:
        return [("took", took(parts[0]))]
    return [
        (f"steps {timing['first']:,} to {timing['last']:,} took", took(timing)) for timing in parts
    ]


def leave_out_marked(reader: Any, every: bool = False) -> list[str]:
    """Let the reader end where a system left what its potential was trained on, unless ``every``
    frame is asked for; what to say of it.

    ValueError where no frame would be left.
    """
    marked, n = marked_of(reader), len(reader)
    sound = int((reader.steps < min(marked.values())).sum()) if marked else n
    if sound == n:
        return []
    first = min(marked.values())
    near = first in first_steps(reader, MARKED).values()
    what = (
        "were nearer to each other than any"
        if near
        else "had fewer neighbours on average than in any structure"
    )
    why = f"from step {first:,} on atoms {what} that the model was trained on"
    if every:
        return [f"{why}: what is said of {n - sound:,} of {n:,} frames is a guess"]
    if not sound:
        raise ValueError(f"{why}, so all {n:,} frames are left out; take them in with --all-frames")
    reader.end_at(sound)
    return [f"{n - sound:,} of {n:,} frames are left out: {why}; take them in with --all-frames"]


def lost_rows(reader: Any) -> list[tuple[str, ...]]:
    """Which systems stand still, and are in all that is said of the run."""
    lost = lost_of(reader)
    return (
        [
            (
                "went bad and were held",
                f"{len(lost):,} of {reader.n_systems:,} systems: {systems_in_words(lost)}",
            )
        ]
        if lost
        else []
    )


def run_of(reader: Any) -> "Configuration | None":
    """The run's configuration; None for a file written from Python."""
    from mcegnn.simulation import configuration_from

    try:
        return configuration_from(reader.configuration)
    except ValueError:
        return None


def conserves(reader: Any) -> list[str]:
    """What the run should conserve: nothing under a thermostat, no momentum with frozen atoms, no
    angular momentum in a periodic cell."""
    configuration, every = reader.configuration, 3 * reader.n_particles
    run = run_of(reader)
    thermostat = (run is not None and run.holds_temperature) or configuration.get(
        "conserves_energy"
    ) is False
    if thermostat or "masses" in reader.missing:
        return []
    held = reader.frozen or configuration.get("n_degrees", every) < every
    changed = (
        {"momentum", "angular_momentum"}
        if held
        else {"angular_momentum"}
        if any(reader.pbc)
        else set()
    )
    return [name for name in ("energy", "momentum", "angular_momentum") if name not in changed]


def known_of(reader: Any) -> Any:
    """What the configuration says of a run, for `trajectories.analysis.analyse`."""
    from trajectories.analysis import Known

    run, configuration = run_of(reader), reader.configuration
    imported = "imported" in reader.provenance
    asked = (
        configuration.get("temperature", ())
        if imported or (run is not None and run.holds_temperature)
        else ()
    )
    return Known(
        conserves=conserves(reader),
        sure=not imported or configuration.get("conserves_energy") is True,
        n_degrees=configuration.get("n_degrees") if run is None else run.n_degrees,
        temperature=tuple(asked),
        pressure=() if run is None else run.held_pressure,
        epoch=None if run is None else run.julian_day,
        lost=tuple(lost_of(reader)),
        why_energy_drifts="" if run is None else run.why_energy_drifts,
        parents={} if run is None else dict(run.parents),
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
    """What was assumed where the files of another program do not tell."""
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
