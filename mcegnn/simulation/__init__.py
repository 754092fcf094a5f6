"""Configurations of rollouts as plain values, which a checkpoint can hold: a `Configuration` makes
a run's flow and initial state; one module for each kind of system."""

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
    """The configuration that a checkpoint holds. Raises ValueError if it is not valid."""
    try:
        own = {name: value for name, value in values.items() if name != "system"}
        found = _KINDS[values["system"]].from_values(own)
        found.check_settings()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the checkpoint holds no configuration of a rollout ({error})") from None
    return found
