"""From options to the configuration of a rollout of the solar system, or of bodies of a file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcegnn.runs.times import FRAMES, Times, every_of, steps_of
from mcegnn.simulation import SolarRun
from systems.quantities import duration
from systems.sources.solar import SolarSystem
from systems.units import ASTRONOMICAL

_YEARS = 10.0  # that are covered unless the options say how long


def solar_run(
    integrator: str | None, times: Times, options: Mapping[str, Any]
) -> tuple[SolarRun, list[str]]:
    """Return the configuration of these options, and warnings.

    Raises ValueError, RuntimeError or OSError, in one sentence, if the options are not valid.
    """
    from integrators.ensembles import integrator as known

    chosen = SolarRun.usual_integrator if integrator is None else integrator
    known(chosen)  # raises for a name that is unknown
    bodies = _bodies(options)
    steps = _steps(times, bodies)
    config = SolarRun(
        integrator=chosen,
        dt=steps.dt,
        n_steps=steps.n_steps,
        every=steps.every,
        epoch=bodies.epoch,
        relativity=bool(options.get("relativity")),
        oblate=options.get("j2", True) is not False,
        bodies=bodies.bodies,
        n_particles=len(bodies.bodies),
        encounters=times.dt is None
        and chosen == SolarRun.usual_integrator
        and "model" not in options,
    )
    warnings = [
        *_of_calendar(options.get("epoch"), bodies.epoch),
        *_of_divided_step(times, steps),
        *_of_long_step(steps.dt, bodies),
    ]
    return config, warnings


def _bodies(options: Mapping[str, Any]) -> SolarSystem:
    """The bodies at their epoch, without those that are left out."""
    from systems.sources import ephemeris, solar

    epoch = solar.J2000 if options.get("epoch") is None else ephemeris.julian_day(options["epoch"])
    if options.get("bodies") is not None:
        if not Path(options["bodies"]).is_file():
            raise ValueError(f"there is no bodies file {options['bodies']}")
        bodies = solar.read_bodies(options["bodies"], epoch)
    else:
        bodies = solar.j2000() if epoch == solar.J2000 else ephemeris.solar_system(epoch)
    return bodies.without(options.get("without", ()))


@dataclass(frozen=True)
class _Steps:
    """Steps of ``dt`` days, of which every ``every``-th is a frame; ``usual`` is the step that was
    to be divided into whole frames."""

    n_steps: int
    dt: float
    every: int
    usual: float


def _steps(times: Times, bodies: SolarSystem) -> _Steps:
    given_dt = None if times.dt is None else duration(times.dt, ASTRONOMICAL, "--dt")
    dt = bodies.default_time_step() if given_dt is None else given_dt
    span = None if times.time is None else duration(times.time, ASTRONOMICAL, "--time")
    if span is None and times.steps is None:
        span = ASTRONOMICAL.convert(_YEARS, "year")
    n_steps, dt = steps_of(times, dt, span, flexible=given_dt is None)
    usual = dt
    if given_dt is None and span is not None and (times.every is None or times.every > 0):
        # the step is ours to choose, so it is made to divide the time into whole frames
        every = times.every or max(1, round(n_steps / FRAMES))
        n_steps = math.ceil(n_steps / every) * every
        dt = span / n_steps
    else:
        every = every_of(times, n_steps, max(1, n_steps // FRAMES))
    return _Steps(n_steps, dt, every, usual)


def _of_calendar(text: str | None, epoch: float) -> list[str]:
    """Warnings about a date before the Gregorian calendar."""
    from systems.sources.ephemeris import GREGORIAN

    if text is None or epoch >= GREGORIAN or "JD" in text.upper():
        return []
    return [
        f"--epoch {text} is read in the Gregorian calendar, which began on 1582-10-15 only: Julian"
        f' day {epoch:.6f}; of a date in the Julian calendar give the day: --epoch "JD ..."'
    ]


def _of_divided_step(times: Times, steps: _Steps) -> list[str]:
    """Warnings about a step that is much shorter than the usual one, because frames are whole
    numbers of steps."""
    if times.every is None or times.dt is not None or steps.dt >= 0.999 * steps.usual:
        return []
    return [
        f"the time step is {steps.dt:.6g} days and not {steps.usual:.6g}, so that --every"
        f" {steps.every} divides the run; choose it by --dt"
    ]


def _of_long_step(dt: float, bodies: SolarSystem) -> list[str]:
    """Warnings about a step that is too long for the fastest body."""
    limit, body = bodies.longest_safe_step()
    if dt <= limit:
        return []
    return [
        f"the time step of {dt:.3g} days is longer than a twentieth of {body}'s period"
        f" ({limit * 20:.3g} days): its orbit will be wrong; use --dt"
        f' "{limit / 2.5:.2g} day"'
    ]
