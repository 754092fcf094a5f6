"""From a request for a rollout, as on the command line, to a run that can begin or be resumed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcegnn.runs.resume import saved_rollout
from mcegnn.runs.rollout import RolloutRun
from mcegnn.runs.rollout_options import (
    LIMITS,
    configuration,
    default_output,
    further_steps,
    limits_of,
)
from mcegnn.runs.times import Times


@dataclass(frozen=True)
class Request:
    """Request for a rollout: ``system`` is "charged", "solar" or a file of atoms; ``options`` are
    named as on the command line, None where they were not given."""

    system: str | None
    integrator: str | None
    times: Times
    options: Mapping[str, Any]
    output: Path | None


def new_rollout(request: Request, **how: Any) -> tuple[RolloutRun, list[str]]:
    """Return the requested run, checked, and warnings; ``how`` is passed on to `RolloutRun`.

    Raises ValueError, RuntimeError or OSError, in one sentence, if it cannot begin.
    """
    if request.system is None:
        raise ValueError("name a system (charged, solar, or a file of atoms), or a run to --resume")
    config, warnings = configuration(
        request.system, request.integrator, request.times, request.options
    )
    run = RolloutRun(config, request.output or default_output(request.system), **how)
    run.check()
    return run, warnings


def resumed_rollout(path: Path, times: Times, options: Mapping[str, Any], **how: Any) -> RolloutRun:
    """Return the run of this file, checked, with the requested number of further steps.

    Raises ValueError, RuntimeError or OSError, in one sentence, if it cannot be resumed.
    """
    saved = saved_rollout(path).configuration
    n_steps = saved.n_steps + further_steps(times, saved)
    config = replace(saved, n_steps=n_steps, **limits_of(saved, options))
    run = RolloutRun(config, path, resume=True, **how)
    run.check()
    return run


def check_resumed(system: str | None, choices: Mapping[str, Any]) -> None:
    """Raise ValueError if an option is given that a resumed run takes from its checkpoint: all but
    the limits at which it is stopped."""
    given = [
        f"--{name}" for name, value in choices.items() if value is not None and name not in LIMITS
    ]
    if system is not None or given:
        raise ValueError(
            "--resume takes its system and physics from the run; leave out"
            f" {', '.join(given or [str(system)])}"
        )
