"""From options to the configuration of a rollout of charged particles."""

from collections.abc import Mapping
from typing import Any

from mcegnn.runs.times import Times, every_of, steps_of
from mcegnn.simulation import ChargedRun
from systems.quantities import duration
from systems.units import REDUCED


def charged_run(
    integrator: str | None, times: Times, options: Mapping[str, Any]
) -> tuple[ChargedRun, list[str]]:
    """Return the configuration of these options, and no warnings.

    Raises ValueError, in one sentence, if the options are not valid.
    """
    from integrators.ensembles import integrator as known
    from systems.sources.charged import N_STEPS, STEPS_PER_FRAME, TIME_STEP

    chosen = ChargedRun.usual_integrator if integrator is None else integrator
    known(chosen)  # raises for a name that is unknown
    n_particles, n_systems, seed = (
        options.get("particles", 5),
        options.get("systems", 100),
        options.get("seed", 0),
    )
    for name, count in (("particles", n_particles), ("systems", n_systems)):
        if count < 1:
            raise ValueError(f"--{name} must be at least 1, not {count}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 4294967295, not {seed}")
    dt = duration(times.dt, REDUCED, "--dt") if times.dt is not None else TIME_STEP
    n_steps = N_STEPS
    if times.steps is not None or times.time is not None:
        span = None if times.time is None else duration(times.time, REDUCED, "--time")
        n_steps, dt = steps_of(times, dt, span)
    config = ChargedRun(
        integrator=chosen,
        dt=dt,
        n_steps=n_steps,
        every=every_of(times, n_steps, STEPS_PER_FRAME),
        n_particles=n_particles,
        n_systems=n_systems,
        seed=seed,
        encounters=times.dt is None and chosen == "yoshida-8" and "model" not in options,
    )
    return config, []
