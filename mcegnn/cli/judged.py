"""How far each body of a solar run is from where a finer run has it: judged at the end of a run,
kept in its file, told in rows."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from systems.units import ASTRONOMICAL

if TYPE_CHECKING:
    from mcegnn.simulation import SolarRun
    from trajectories.analysis import Number

# entries of the provenance that begin with it: time in days, km of each body
JUDGED = "estimated errors"
# steps of the finer run: where no step had to be halved, and where some had
_FEW_STEPS, _MOST_STEPS = 150_000, 2_000_000
_KM, _PART = (
    100.0,
    1e-3,
    # an error that is told of: so many kilometres, or such a part of the distance to what a body
    # goes around
)


def judged(
    config: "SolarRun", reader: Any, halvings: int, told: Callable[[int, int], bool]
) -> dict[str, Any] | None:
    """What goes into the file; None for learned laws, and where not even one frame could be judged.

    The last frame is compared, or the last that the finer run reaches in a fixed number of steps,
    so that judging adds about a second or two to an ordinary long run, and to a run with encounters
    about half more than it took.
    """
    from trajectories.errors import position_errors

    if config.model:
        return None
    flow, dt = config.finer()
    n_parts = max(1, -int(-config.every * config.dt // dt))
    n_frames = min(
        config.n_steps // config.every,
        len(reader) - 1,
        (_MOST_STEPS if halvings else _FEW_STEPS) // n_parts,
    )
    if n_frames < 1:
        return None
    try:
        found = position_errors(
            reader,
            flow,
            config.every * config.dt,
            n_parts,
            n_frames,
            lambda n: told(n, n_parts * n_frames),
        )
    except (ValueError, RuntimeError):
        return None
    km = found.errors / ASTRONOMICAL.convert(1.0, "km")
    return {
        "days": found.time,
        "km": dict(zip(config.names, map(float, km), strict=True)),
        "dt": dt,
    }


def judgement(reader: Any) -> dict[str, Any] | None:
    """The last that the file holds."""
    found = [
        json.loads(value) for key, value in reader.provenance.items() if key.startswith(JUDGED)
    ]
    return max(found, key=lambda one: one["days"]) if found else None


def judged_rows(found: dict[str, Any] | None) -> list[tuple[str, ...]]:
    """The worst body and the median in one row."""
    if found is None:
        return []
    worst, km, rest = _worst(found)
    return [("estimated error of positions", f"largest {_shown(km)} ({worst}), {rest}")]


def judged_numbers(found: dict[str, Any] | None) -> "list[Number]":
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

    km = found["km"]
    worst = max(km, key=lambda name: km[name])
    middle = _shown(float(np.median(list(km.values()))))
    return worst, km[worst], f"median {middle}, after {found['days']:.6g} days"


def judged_warnings(config: "SolarRun", reader: Any, found: dict[str, Any] | None) -> list[str]:
    """Of bodies whose error is more than they should have; none of a lower scheme that was chosen,
    whose errors are its own."""
    import numpy as np

    if found is None or config.integrator != config.usual_integrator:
        return []
    x, solar = reader.frames("position", 0), config.solar
    bad = []
    for k, (name, km) in enumerate(found["km"].items()):
        center = solar.centers[k] if solar.centers[k] >= 0 else solar.star
        apart = float(np.linalg.norm(x[k] - x[center])) / ASTRONOMICAL.convert(1.0, "km")
        if k != center and km > min(_KM, _PART * apart):
            bad.append(f"{name} ({_shown(km)})")
    if not bad:
        return []
    who = ", ".join(bad[:6]) + (f" and {len(bad) - 6} more" if len(bad) > 6 else "")
    why = (
        "encounters magnify roundings, so no step is short enough"
        if config.encounters
        else (
            f"the time step of {config.dt:.3g} days is too long for that: leave out --dt, and steps"
            " follow each body"
        )
    )
    return [
        f"the position is not right of {who}, judged by a finer run after {found['days']:.6g} days;"
        f" {why}"
    ]


def _shown(km: float) -> str:
    return f"{km:,.0f} km" if km >= 100 else f"{km:.2g} km"
