"""From options to a configuration: every option is checked here, before anything runs or is written."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcegnn.simulation import DEFAULT_INTEGRATOR, Configuration
from systems.units import ASTRONOMICAL, REDUCED, duration

SYSTEMS = tuple(DEFAULT_INTEGRATOR)
_OPTIONS = {
    "charged": ("particles", "systems", "seed"),
    "solar": ("epoch", "bodies", "without", "relativity", "j2"),
}
_TRIES = 100_000
_MOST_STEPS = 10**15  # beyond 2^53 a step's time is no longer told from the next one's
_FRAMES = 500  # about so many frames are kept unless --every says otherwise


@dataclass(frozen=True)
class Times:
    """The options that say how far a run goes, as typed."""

    dt: str | None
    time: str | None
    steps: int | None
    every: int | None


def configuration(system: str, integrator: str | None, times: Times, options: Mapping[str, Any]) -> tuple[Configuration, list[str]]:
    """The configuration asked for, and warnings; ValueError or RuntimeError, in one sentence, where it cannot be.

    ``options`` are those of one system only, None where they were not given.
    """
    if system not in SYSTEMS:
        near = difflib.get_close_matches(system, SYSTEMS, 1, cutoff=0.0)[0]
        raise ValueError(f"unknown system {system!r}; did you mean {near}? (known: {', '.join(SYSTEMS)})")
    for name, value in options.items():
        if value is not None and name not in _OPTIONS[system]:
            raise ValueError(f"--{name} does not go with {system}; it takes {', '.join('--' + o for o in _OPTIONS[system])}")
    from integrators.ensembles import integrator as named

    chosen = DEFAULT_INTEGRATOR[system] if integrator is None else integrator
    named(chosen)
    build = _charged if system == "charged" else _solar
    return build(chosen, times, {name: value for name, value in options.items() if value is not None})


def with_model(config: Configuration, name: str, times: Times, options: Mapping[str, Any]) -> Configuration:
    """The configuration with a model in place of the exact force, or of force and integrator.

    Raises ValueError where the model does not fit the system, or one of ``options``, which are of forces and integrators, is given with a
    dynamics model.
    """
    from mcegnn import learned

    model, digest = learned.model(name, config.system)
    config = replace(config, model=name, model_digest=digest)
    if not learned.is_dynamics(model):
        model.refuse_number(config.n_particles)
        if config.integrator == "wisdom-holman":
            raise ValueError("wisdom-holman needs gravity itself; take another --integrator with a learned force")
        return config
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{name} is a dynamics model, which moves the particles itself; leave out --{option}")
    units = REDUCED if config.system == "charged" else ASTRONOMICAL
    interval = float(model.interval)
    if times.dt is not None and abs(duration(times.dt, units, "--dt") - interval) > 1e-9 * interval:
        raise ValueError(f"{name} predicts steps of {interval:g} {units.time}".rstrip() + f" only; leave out --dt {times.dt}")
    if times.steps is not None or times.time is not None:
        span = None if times.time is None else duration(times.time, units, "--time")
        n_steps, _ = _steps(times, interval, span)
    else:
        n_steps = max(1, round(config.n_steps * config.dt / interval))
    return replace(config, integrator="", dt=interval, n_steps=n_steps, every=_every(times, n_steps, 1))


def _charged(integrator: str, times: Times, options: Mapping[str, Any]) -> tuple[Configuration, list[str]]:
    from systems.charged import N_STEPS, STEPS_PER_FRAME, TIME_STEP

    n_particles, n_systems, seed = options.get("particles", 5), options.get("systems", 100), options.get("seed", 0)
    for name, count in (("particles", n_particles), ("systems", n_systems)):
        if count < 1:
            raise ValueError(f"--{name} must be at least 1, not {count}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 4294967295, not {seed}")
    dt = duration(times.dt, REDUCED, "--dt") if times.dt is not None else TIME_STEP
    if times.steps is None and times.time is None:
        n_steps = N_STEPS
    else:
        n_steps, dt = _steps(times, dt, None if times.time is None else duration(times.time, REDUCED, "--time"))
    every = _every(times, n_steps, STEPS_PER_FRAME)
    return Configuration(
        "charged", integrator, dt, n_steps, every, n_particles=n_particles, n_systems=n_systems, seed=seed
    ), []  # fmt: skip


def _solar(integrator: str, times: Times, options: Mapping[str, Any]) -> tuple[Configuration, list[str]]:
    from systems import ephemeris, solar

    epoch = solar.J2000 if options.get("epoch") is None else ephemeris.julian_day(options["epoch"])
    if options.get("bodies") is not None:
        if not Path(options["bodies"]).is_file():
            raise ValueError(f"there is no bodies file {options['bodies']}")
        bodies = solar.read_bodies(options["bodies"], epoch)
    else:
        bodies = solar.j2000() if epoch == solar.J2000 else ephemeris.solar_system(epoch)
    bodies = bodies.without(options.get("without", ()))
    given_dt = None if times.dt is None else duration(times.dt, ASTRONOMICAL, "--dt")
    dt = bodies.default_time_step() if given_dt is None else given_dt
    span = None if times.time is None else duration(times.time, ASTRONOMICAL, "--time")
    if span is None and times.steps is None:
        span = ASTRONOMICAL.convert(10.0, "year")
    n_steps, dt = _steps(times, dt, span, flexible=given_dt is None)
    if given_dt is None and span is not None and (times.every is None or times.every > 0):
        # the step is ours to choose, so it is made to divide the time into whole frames
        every = times.every or max(1, round(n_steps / _FRAMES))
        n_steps = math.ceil(n_steps / every) * every
        dt = span / n_steps
    else:
        every = _every(times, n_steps, max(1, n_steps // _FRAMES))
    limit, body = bodies.longest_safe_step()
    warnings = []
    if dt > limit:
        warnings.append(
            f"the time step of {dt:.3g} days is longer than a twentieth of {body}'s period ({limit * 20:.3g} days): its orbit "
            f'will be wrong; use --dt "{limit / 2.5:.2g} day"'
        )
    config = Configuration(
        "solar", integrator, dt, n_steps, every, epoch=epoch, relativity=bool(options.get("relativity")),
        oblate=options.get("j2", True) is not False, bodies=bodies.bodies, n_particles=len(bodies.bodies), n_systems=1,
    )  # fmt: skip
    return config, warnings


def _steps(times: Times, dt: float, span: float | None, *, flexible: bool = False) -> tuple[int, float]:
    """How many steps of which length: from --steps, or from --time, whose end a step must hit."""
    n_steps, dt = _counted(times, dt, span, flexible)
    if n_steps > _MOST_STEPS:
        raise ValueError(
            f"those are more steps than anyone can wait for; the most is {_MOST_STEPS:.0g}, so use a longer --dt or fewer --steps"
        )
    return n_steps, dt


def _counted(times: Times, dt: float, span: float | None, flexible: bool) -> tuple[int, float]:
    if times.steps is not None and times.time is not None:
        raise ValueError("give --steps or --time, not both")
    if times.steps is not None:
        if times.steps < 1:
            raise ValueError(f"--steps must be at least 1, not {times.steps}")
        return times.steps, dt
    assert span is not None
    if span / dt > _MOST_STEPS:
        return _MOST_STEPS + 1, dt
    if flexible:
        n_steps = max(1, math.ceil(span / dt - 1e-9))
        return n_steps, span / n_steps
    n_steps = round(span / dt)
    if n_steps < 1 or abs(n_steps * dt - span) > 1e-6 * dt:
        raise ValueError(f"--time is not a whole number of time steps ({span / dt:.6g}); use --steps {max(1, n_steps)} in place of --time")
    return n_steps, dt


def further_steps(times: Times, config: Configuration) -> int:
    """The steps that --resume adds to what was asked before; none without --steps and --time."""
    if times.steps is None and times.time is None:
        return 0
    units = REDUCED if config.system == "charged" else ASTRONOMICAL
    span = None if times.time is None else duration(times.time, units, "--time")
    n_steps, _ = _steps(times, config.dt, span)
    if n_steps % config.every:
        near = max(1, round(n_steps / config.every)) * config.every
        raise ValueError(f"{n_steps} more steps are not a whole multiple of the run's --every {config.every}; use --steps {near}")
    return n_steps


def _every(times: Times, n_steps: int, usual: int) -> int:
    """--every where it is given and divides the steps, else the largest divisor of the steps up to the usual number."""
    if times.every is None:
        every = next(d for d in (*range(usual, max(1, usual - _TRIES), -1), 1) if n_steps % d == 0)
        if n_steps // every > 100 * max(_FRAMES, n_steps // usual):
            raise ValueError(f"{n_steps} steps do not divide into frames; use --steps {round(n_steps / usual) * usual} or give --every")
        return every
    if times.every < 1:
        raise ValueError(f"--every must be at least 1, not {times.every}")
    if n_steps % times.every:
        near = max(times.every, round(n_steps / times.every) * times.every)
        raise ValueError(f"{n_steps} steps are not a whole multiple of --every {times.every}; use --steps {near} or another --every")
    return times.every
