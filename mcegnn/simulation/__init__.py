"""Rollouts in plain values: a `Configuration` makes a run's flow and its start, and a checkpoint
can hold it; one kind of system a file."""

from collections.abc import Mapping
from typing import Any

from mcegnn.simulation.atoms import AtomsRun
from mcegnn.simulation.charged import ChargedRun
from mcegnn.simulation.configuration import Configuration
from mcegnn.simulation.solar import SolarRun

__all__ = ["AtomsRun", "ChargedRun", "Configuration", "SolarRun", "configuration_from"]

_KINDS: dict[str, type[Configuration]] = {
    kind.system: kind for kind in (ChargedRun, SolarRun, AtomsRun)
}


def configuration_from(values: Mapping[str, Any]) -> Configuration:
    """The configuration that a checkpoint holds; ValueError where it is none."""
    try:
        own = {name: value for name, value in values.items() if name != "system"}
        found = _KINDS[values["system"]].from_values(own)
        found.check_settings()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the checkpoint holds no configuration of a rollout ({error})") from None
    return found
