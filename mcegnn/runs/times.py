"""The options of a run's length, as numbers of steps."""

import math
from dataclasses import dataclass

_TRIES = 100_000
_MOST_STEPS = 10**15  # beyond 2^53 a step's time is no longer told from the next one's
FRAMES = 500  # about so many frames are kept unless --every says otherwise


@dataclass(frozen=True)
class Times:
    """The options of a run's length, as typed."""

    dt: str | None
    time: str | None
    steps: int | None
    every: int | None


def steps_of(
    times: Times, dt: float, span: float | None, *, flexible: bool = False
) -> tuple[int, float]:
    """Number of steps and time step: from --steps, or from --time, which must be a whole number of
    steps."""
    n_steps, dt = _counted(times, dt, span, flexible)
    if n_steps > _MOST_STEPS:
        raise ValueError(
            f"those are more steps than anyone can wait for; the most is {_MOST_STEPS:.0g}, so use"
            " a longer --dt or fewer --steps"
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
        raise ValueError(
            f"--time is not a whole number of time steps ({span / dt:.6g}); use --steps"
            f" {max(1, n_steps)} in place of --time"
        )
    return n_steps, dt


def every_of(times: Times, n_steps: int, usual: int) -> int:
    """--every where it is given and divides the steps, else the largest divisor of the steps up to
    the usual number."""
    if times.every is None:
        every = next(d for d in (*range(usual, max(1, usual - _TRIES), -1), 1) if n_steps % d == 0)
        if n_steps // every > 100 * max(FRAMES, n_steps // usual):
            raise ValueError(
                f"{n_steps} steps do not divide into frames; use --steps"
                f" {round(n_steps / usual) * usual} or give --every"
            )
        return every
    if times.every < 1:
        raise ValueError(f"--every must be at least 1, not {times.every}")
    if n_steps % times.every:
        near = max(times.every, round(n_steps / times.every) * times.every)
        raise ValueError(
            f"{n_steps} steps are not a whole multiple of --every {times.every}; use --steps {near}"
            " or another --every"
        )
    return times.every
