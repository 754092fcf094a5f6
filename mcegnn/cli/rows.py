"""What the command line says of a run in tables: time, conserved quantities, distances; for `rollout` and `analyse` alike."""

import json
from typing import Any

import typer

LOST = "lost systems"  # entries of the provenance that begin with it hold which systems went bad, and at which steps
TIMING = "timing"  # entries of the provenance that begin with it hold how long a part of the run took


def time_of(units: Any, value: float) -> str:
    """A time of a run in words: picoseconds in metal units, whose own unit of time nobody knows."""
    if units.name == "metal":
        return f"{value / units.convert(1.0, 'ps'):.6g} ps"
    return f"{value:.6g} {units.time}".rstrip()


def against_rows(found: dict[str, float], units: Any, n_systems: int | None) -> list[tuple[str, ...]]:
    """What `_compared` found, with units; of many systems median and extremes."""
    length = f" {units.length}" if units.length else ""
    many = n_systems is not None and n_systems > 1
    error, valid = f"{found['median_error_at_the_end']:.4g}{length}", time_of(units, found["median_valid_time"])
    if many:
        error += f" (median; mean {found['mean_error_at_the_end']:.4g}, largest {found['largest_error_at_the_end']:.4g})"
        valid += f" (median; shortest {time_of(units, found['shortest_valid_time'])})"
    return [
        ("compared", f"{found['frames_compared']:,} frames at the same times, the last at {time_of(units, found['last_time'])}"),
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


def lost_of(reader: Any) -> dict[int, int]:
    """Systems of an ensemble that went bad and were held, and the steps at which they did."""
    found: dict[int, int] = {}
    for key, value in reader.provenance.items():
        if key.startswith(LOST):
            for system, step in json.loads(value).items():
                found[int(system)] = min(step, found.get(int(system), step))
    return found


def lost_systems(lost: dict[int, int]) -> str:
    """The first ten of them in words."""
    each = ", ".join(f"{system} (step {step:,})" for system, step in sorted(lost.items(), key=lambda one: one[1])[:10])
    return each + (f" and {len(lost) - 10:,} more" if len(lost) > 10 else "")


def lost_rows(reader: Any) -> list[tuple[str, ...]]:
    """Which systems stand still, and are in all that is said of the run."""
    lost = lost_of(reader)
    return [("went bad and were held", f"{len(lost):,} of {reader.n_systems:,} systems: {lost_systems(lost)}")] if lost else []


def run_of(reader: Any) -> Any:
    """The run's configuration; None for a file written from Python."""
    from mcegnn.simulation import configuration_from

    try:
        return configuration_from(configuration_of(reader))
    except ValueError:
        return None


def conserves(reader: Any) -> list[str]:
    """What the run should conserve: nothing under a thermostat, no momentum with frozen atoms, no angular momentum in a periodic cell."""
    run = run_of(reader)
    if getattr(run, "holds_temperature", False):
        return []
    changed = {"momentum", "angular_momentum"} if getattr(run, "frozen", ()) else {"angular_momentum"} if any(reader.pbc) else set()
    return [name for name in ("energy", "momentum", "angular_momentum") if name not in changed]


def known_of(reader: Any) -> Any:
    """What the configuration says of a run, for `trajectories.analysis.analyse`."""
    from trajectories.analysis import Known

    run, configuration = run_of(reader), configuration_of(reader)
    held: tuple[float, ...] = run.temperature if getattr(run, "holds_temperature", False) else ()
    pressure: tuple[float, ...] = getattr(run, "pressure", ())
    solar = configuration.get("system") == "solar"
    return Known(
        conserves=conserves(reader), n_degrees=getattr(run, "n_degrees", None), temperature=held[0] if len(held) == 1 else None,
        pressure=pressure[0] if len(pressure) == 1 else None, epoch=configuration["epoch"] if solar else None,
        parents={body["name"]: body["parent"] for body in configuration["bodies"]} if solar else {},
    )  # fmt: skip


def conserved(drifts: Any, reader: Any) -> dict[str, Any]:
    """The relative changes [frames, n_systems] of the quantities that the run should conserve, by name."""
    found = {name: getattr(drifts, name) for name in conserves(reader)}
    return {name: values for name, values in found.items() if values is not None}


def conserved_rows(drifts: Any, reader: Any) -> list[tuple[str, ...]]:
    """A row for each conserved quantity: the largest relative change over the run, over systems median and worst.

    With relativity the Newtonian quantities are not conserved to better than (v / c)^2, about 1e-9 for the planets.
    """
    import numpy as np

    relativity = configuration_of(reader).get("relativity")
    rows: list[tuple[str, ...]] = []
    for name, values in conserved(drifts, reader).items():
        largest = np.abs(values).max(0)
        worst = int(largest.argmax())
        text = (
            f"{largest[0]:.1e}" if len(largest) == 1 else f"median {np.median(largest):.1e}, largest {largest[worst]:.1e} (system {worst})"
        )
        newtonian = "Newtonian " if relativity and name != "momentum" else ""
        rows.append((f"relative drift of {newtonian}{name.replace('_', ' ')}", text))
    return rows


def matter(reader: Any) -> dict[str, dict[str, Any]]:
    """Of a run in metal units: energy an atom, temperature, pressure and volume; means are over the second half and over systems."""
    import numpy as np

    from systems.units import PASCALS

    kinetic = reader.observable("kinetic_energy")
    if reader.units.name != "metal" or kinetic is None:
        return {}
    run, bar = run_of(reader), PASCALS / 1e5
    held = getattr(run, "holds_temperature", False)
    found: dict[str, dict[str, Any]] = {}
    potential = reader.observable("potential_energy")
    if potential is not None and not held:
        total = (potential + kinetic).reshape(len(reader), -1)
        found["largest change of energy"] = {
            "value": 1000.0 * float(abs(total - total[0]).max()) / reader.n_particles,
            "unit": "meV an atom",
        }
    degrees = getattr(run, "n_degrees", 3 * reader.n_particles)
    kelvin = 2.0 * kinetic / (degrees * reader.units.boltzmann)
    found["temperature"] = _mean(kelvin, "K", run.temperature if held else ()) | {"degrees_of_freedom": degrees}
    pressure = reader.observable("pressure")
    if pressure is not None:
        found["pressure"] = _mean(pressure * bar, "bar", [bar * asked for asked in getattr(run, "pressure", ())])
    spread = reader.observable("uncertainty")
    if spread is not None:
        found["largest disagreement of the committee"] = {"value": float(spread.max()), "unit": "eV/Angstrom"}
    if getattr(run, "integrator", "") == "npt":
        found["volume"] = _mean(abs(np.linalg.det(reader.cells)), "Angstrom^3", ())
    return found


def matter_rows(reader: Any) -> list[tuple[str, ...]]:
    """What `matter` found, in words."""
    rows: list[tuple[str, ...]] = []
    for name, found in matter(reader).items():
        if "value" in found:
            text = f"{found['value']:.3g} {found['unit']}"
        elif len(found["asked"]) == 2:
            text = f"{found['first']:.4g} at the start, {found['last']:.4g} {found['unit']} at the end (asked {found['asked'][1]:.4g})"
        else:
            asked = f" (asked {found['asked'][0]:.4g})" if found["asked"] else ""
            text = f"{found['mean']:.5g} {found['unit']}, mean of the second half{asked}"
        if "degrees_of_freedom" in found:
            text += f", {found['degrees_of_freedom']:,} degrees of freedom"
        rows.append((name, text))
    return rows


def _mean(values: Any, unit: str, asked: Any) -> dict[str, Any]:
    """Mean over the second half, first and last, and what was asked."""
    half = values[len(values) // 2 :]
    numbers = {"mean": half.mean(), "first": values[0].mean(), "last": values[-1].mean()}
    return {name: float(number) for name, number in numbers.items()} | {"unit": unit, "asked": list(asked)}


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
