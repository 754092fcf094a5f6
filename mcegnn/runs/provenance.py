"""Provenance in a run's file: what made it and what happened to it, written by the run and read by
analyses."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mcegnn import machine

if TYPE_CHECKING:
    from mcegnn.simulation import Configuration

# entries of the provenance that begin with it hold which systems diverged, and at which steps
LOST = "lost systems"
# those that hold in which systems a pair was nearer than any in training, and from which steps on
MARKED = "nearer than in training"
# those that hold in which systems atoms had fewer than in all of training, and from when on
SPARSE = "fewer neighbours than in training"
# those that hold how long a part of the run took
TIMING = "timing"
# those that hold how far a finer run was from it: time in days, km of each body
ERRORS = "estimated errors"


def provenance(configuration: "Configuration", command: str) -> dict[str, str]:
    """Provenance of a new file; ``command`` is the command line that made it."""
    assumptions = configuration.assumptions
    return {
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": machine.installed("mcegnn"),
        "versions": json.dumps(machine.versions()),
        "processor": machine.processor(),
        "seed": str(configuration.seed) if configuration.seeded else "",
        "configuration": json.dumps(configuration.to_json()),
        **({"assumed": json.dumps(assumptions)} if assumptions else {}),
    }


def changed_conditions(before: Mapping[str, str]) -> list[str]:
    """How the processor and the versions differ, in words, from those of this provenance, under
    which a run began."""
    processor, versions = machine.processor(), machine.versions()
    began = {
        "processor": before.get("processor", processor),
        **json.loads(before.get("versions", "{}")),
    }
    now = {"processor": processor, **versions}
    return [
        f"{name} {now[name]} (it began under {old})"
        for name, old in began.items()
        if now.get(name, old) != old
    ]


def timings(reader: Any) -> list[dict[str, float]]:
    """Timings recorded by the finished stretches of a run, in the order of their steps."""
    found = [
        json.loads(value) for key, value in reader.provenance.items() if key.startswith(TIMING)
    ]
    return sorted(found, key=lambda timing: timing["first"])


def lost_of(reader: Any) -> dict[int, int]:
    """Systems of an ensemble that diverged and were frozen, and the steps at which they did."""
    return first_steps(reader, LOST)


def marked_of(reader: Any) -> dict[int, int]:
    """Systems that left what their potential was trained on, and the steps from which on they
    had."""
    return first_steps(reader, MARKED, SPARSE)


def first_steps(reader: Any, *entries: str) -> dict[int, int]:
    """Systems and the first of their steps in the entries that begin with these words."""
    found: dict[int, int] = {}
    for key, value in reader.provenance.items():
        if key.startswith(entries):
            for system, step in json.loads(value).items():
                found[int(system)] = min(step, found.get(int(system), step))
    return found


def estimated_errors_of(reader: Any) -> dict[str, Any] | None:
    """The last estimate in the file of each body's distance from a finer run: "days", "km",
    "dt"."""
    found = [
        json.loads(value) for key, value in reader.provenance.items() if key.startswith(ERRORS)
    ]
    return max(found, key=lambda one: one["days"]) if found else None
