"""From options to a configuration: every option is checked here, before anything runs or is
written."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcegnn.runs.atoms_options import atoms_run
from mcegnn.runs.charged_options import charged_run
from mcegnn.runs.solar_options import solar_run
from mcegnn.runs.times import Times, every_of, steps_of
from mcegnn.simulation import Configuration
from systems.quantities import distance, duration

_SYSTEMS: Mapping[str, Callable[..., tuple[Configuration, list[str]]]] = {
    "charged": charged_run,
    "solar": solar_run,
}
SYSTEMS = tuple(_SYSTEMS)
_OPTIONS = {
    "charged": ("particles", "systems", "seed", "model"),
    "solar": ("epoch", "bodies", "without", "relativity", "j2", "model"),
    "a file": (
        "calculator",
        "potential",
        "model",
        "ensemble",
        "temperature",
        "pressure",
        "friction",
        "period",
        "flexible",
        "relax",
        "systems",
        "seed",
        "warn-above",
        "stop-above",
        "units",
        "format",
        "masses",
    ),
}
LIMITS = ("max-energy-jump", "min-distance")  # of any run, and of a resumed one anew


def configuration(
    system: str, integrator: str | None, times: Times, options: Mapping[str, Any]
) -> tuple[Configuration, list[str]]:
    """Return the configuration of these options, and warnings.

    ``system`` is "charged", "solar" or a file of atoms; ``options`` are those of one of them only,
    None where they were not given. Raises ValueError, RuntimeError or OSError, in one sentence, if
    the options are not valid.
    """
    kind = system
    if system not in _SYSTEMS:
        _check_file(system)
        kind = "a file"
    for name, value in options.items():
        if value is not None and name not in (*_OPTIONS[kind], *LIMITS):
            raise ValueError(
                f"--{name} does not go with {kind}; it takes"
                f" {', '.join('--' + o for o in (*_OPTIONS[kind], *LIMITS))}"
            )
    given = {name: value for name, value in options.items() if value is not None}
    config: Configuration
    if system in _SYSTEMS:
        config, warnings = _SYSTEMS[system](integrator, times, given)
    else:
        config, warnings = atoms_run(system, integrator, times, given)
    if "model" in given:
        physics = {"integrator": integrator, "relativity": options.get("relativity")}
        physics["no-j2" if options.get("j2") is False else "j2"] = options.get("j2")
        config = _with_model(config, given["model"], times, physics)
    return replace(config, **limits_of(config, given)), warnings


def limits_of(config: Configuration, options: Mapping[str, Any]) -> dict[str, Any]:
    """Limits at which a run is stopped, as far as options set them."""
    found: dict[str, Any] = {}
    if (jump := options.get("max-energy-jump")) is not None:
        found["max_energy_jump"] = math.inf if jump == "off" else config.energy_jump(jump)
    if (least := options.get("min-distance")) is not None:
        found["min_distance"] = (
            0.0 if least == "off" else distance(least, config.units, "--min-distance")
        )
    return found


def _check_file(name: str) -> None:
    """Raise ValueError if a name is neither a system's nor a file's, with the nearest system if it
    is a single word."""
    from systems.sources.atoms import path_of

    path = Path(name)
    if path.suffix == ".h5md" and path.exists():
        raise ValueError(
            f"{name} is a run: go on with it by --resume {name}, or convert its frames first"
            f" (mcegnn convert {name} start.xyz)"
        )
    if (name and path.exists()) or path_of(name).is_file():
        return
    if path.suffix or path.name != name:
        raise FileNotFoundError(
            f"there is no file {name}; the system is charged, solar, or a file of atoms"
        )
    near = difflib.get_close_matches(name, SYSTEMS, 1, cutoff=0.0)[0]
    raise ValueError(
        f"unknown system {name!r}; did you mean {near}? (known: {', '.join(SYSTEMS)}, or a file of"
        " atoms)"
    )


def _with_model(
    config: Configuration, name: str, times: Times, options: Mapping[str, Any]
) -> Configuration:
    """The configuration with a model in place of the exact force, or of force and integrator.

    Raises ValueError if the model does not fit the system, or if one of ``options``, which are of
    forces and integrators, is given with a dynamics model.
    """
    from mcegnn.models.named import load_with_digest

    model, digest = load_with_digest(name)
    config = replace(config, model=name, model_digest=digest)
    config.check_model()
    if model.interval is not None:
        return _in_intervals(config, float(model.interval), times, options)
    if config.integrator == "wisdom-holman":
        raise ValueError(
            "wisdom-holman needs gravity itself; take another --integrator with a learned force"
        )
    return config


def _in_intervals(
    config: Configuration, interval: float, times: Times, options: Mapping[str, Any]
) -> Configuration:
    """The configuration with a dynamics model in place of force and integrator, whose steps are its
    intervals. Raises ValueError if one of ``options``, or another time step, is given."""
    name = config.model
    for option, value in options.items():
        if value is not None:
            raise ValueError(
                f"{name} is a dynamics model, which moves the particles itself; leave out"
                f" --{option}"
            )
    units = config.units
    if times.dt is not None and abs(duration(times.dt, units, "--dt") - interval) > 1e-9 * interval:
        raise ValueError(
            f"{name} predicts steps of {interval:g} {units.time}".rstrip()
            + f" only; leave out --dt {times.dt}"
        )
    if times.steps is not None or times.time is not None:
        span = None if times.time is None else duration(times.time, units, "--time")
        n_steps, _ = steps_of(times, interval, span)
    else:
        n_steps = max(1, round(config.n_steps * config.dt / interval))
    return replace(
        config, integrator="", dt=interval, n_steps=n_steps, every=every_of(times, n_steps, 1)
    )


def further_steps(times: Times, config: Configuration) -> int:
    """Number of steps that --resume adds to those of the run; zero without --steps and --time."""
    if times.steps is None and times.time is None:
        return 0
    span = None if times.time is None else duration(times.time, config.units, "--time")
    n_steps, _ = steps_of(times, config.dt, span)
    if n_steps % config.every:
        near = max(1, round(n_steps / config.every)) * config.every
        raise ValueError(
            f"{n_steps} more steps are not a whole multiple of the run's --every {config.every};"
            f" use --steps {near}"
        )
    return n_steps


def default_output(system: str) -> Path:
    """Default output file of a run: in the current folder, named after the system."""
    from systems.sources.atoms import path_of

    name = system if system in SYSTEMS else path_of(system).with_suffix("").name
    return Path(f"{name}.h5md")
