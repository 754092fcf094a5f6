"""Messages about systems that diverge: when and which, the probable cause, and what can be done."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcegnn.simulation import Configuration
    from trajectories.checks import Violation

_OPTIONS = {
    "energy": "--max-energy-jump",
    "distance": "--min-distance",
    "neighbors": "--min-distance",
}
_NAMED = 10  # systems that are listed one by one


def event_in_words(configuration: "Configuration", violation: "Violation") -> str:
    """Say when and where a system diverged, and how."""
    names = configuration.names
    where = "" if violation.system is None else f"system {violation.system}: "
    named = (
        () if violation.limit == "nearness" else violation.particles
    )  # there the words name them
    who = " and ".join(str(names[k]) if names else f"particle {k}" for k in named)
    return (
        f"{where}at step {violation.step:,} (time"
        f" {configuration.time(violation.time)}){f', {who}' if who else ''}: {violation.what}"
    )


def cause(configuration: "Configuration", violation: "Violation", marked: bool) -> str:
    """Say the probable cause, and what helps; ``marked`` is whether the run had left the data that
    its potential was trained on."""
    dt, model = configuration.time(configuration.dt), configuration.model
    if violation.limit == "neighbors":
        where = (
            "at this temperature and pressure"
            if configuration.holds_pressure
            else "at this temperature"
        )
        ways = (
            "start anew at a lower temperature, or train it on structures with more volume"
            " (mcegnn label, train --from)"
        )
        return f"{model or 'the potential'} does not hold these atoms together {where}: {ways}"
    if model and _collapsed(configuration, violation, marked):
        ways = (
            f"a shorter time step than {dt} or a lower temperature, or train it on structures"
            " like these (mcegnn label, train --from)"
        )
        return f"{model} was not trained on atoms that near: start anew with {ways}"
    step = f"the time step of {dt} is too long: start anew with a shorter one"
    outside = f"{model} is outside of what it was trained on, or " if model else ""
    return (
        f"if particles have come too close, {step}"
        if violation.failed
        else f"probably {outside}{step}"
    )


def hints(
    configuration: "Configuration",
    violation: "Violation",
    marked: bool,
    lost: Mapping[int, int],
    resume_command: str,
) -> tuple[str, ...]:
    """Further hints, and how the run can be resumed all the same."""
    before = (
        (f"before it, other systems diverged: {systems_in_words(lost)}",) if lost else tuple[str]()
    )
    if violation.failed:
        return (
            *before,
            f"if the cause lies elsewhere and is removed, resume with: {resume_command}",
        )
    if violation.limit == "neighbors":
        return (
            *before,
            f"to go on all the same, with no check of near pairs either: {resume_command}"
            f" {_OPTIONS[violation.limit]} off",
        )
    if violation.limit and not _collapsed(configuration, violation, marked):
        return (
            *before,
            f"if the run is sound, go on without this limit: {resume_command}"
            f" {_OPTIONS[violation.limit]} off",
        )
    return before


def _collapsed(configuration: "Configuration", violation: "Violation", marked: bool) -> bool:
    """Whether atoms have come too near each other, so that resuming is of no use."""
    usual = configuration.min_distance is None
    return marked or violation.limit == "nearness" or (violation.limit == "distance" and usual)


def systems_in_words(lost: Mapping[int, int]) -> str:
    """The first ten systems that diverged, with their steps."""
    each = ", ".join(
        f"{system} (step {step:,})"
        for system, step in sorted(lost.items(), key=lambda one: one[1])[:_NAMED]
    )
    return each + (f" and {len(lost) - _NAMED:,} more" if len(lost) > _NAMED else "")
