"""How models become flows and potentials of a rollout: found by name, checked against the system, put where exact physics would be.

torch is imported here only when there is a model.
"""

import hashlib
from functools import cache
from typing import Any

from systems.system import Potential, System

_UNITS = {"charged": "reduced", "solar": "astronomical", "atoms": "metal"}
_LABELS = {"charged": "charges", "solar": "masses"}


def load(name: str) -> Any:
    """The model of a shipped name or of a file: a `DirectDynamics` is a flow; a `LearnedForce` gives a potential by ``tabulated()``.

    FileNotFoundError, with the nearest name, where there is none; ValueError where the file is no whole model of ours.
    """
    from mcegnn.models.store import load as stored

    return stored(name).model


@cache
def _loaded(path: str, digest: str) -> Any:
    return load(path)


def model(name: str, system: str) -> tuple[Any, str]:
    """The model of a name or path and its file's digest. ValueError where it is made for other units or particles than ``system``'s."""
    from mcegnn.names import locate

    path = locate(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    found = _loaded(str(path), digest)
    if found.units.name != _UNITS[system]:
        whose = "a file's atoms are" if system == "atoms" else f"a {system} system is"
        raise ValueError(f"the model {name} is in {found.units.name} units; {whose} in {_UNITS[system]} units")
    kind = found.inputs if is_dynamics(found) else found.coupling
    if kind != _LABELS.get(system, kind):
        raise ValueError(
            f"the model {name} tells particles apart by their {kind}; those of a {system} system differ by their {_LABELS[system]}"
        )
    return found, digest


def is_dynamics(model: Any) -> bool:
    """Whether the model is a flow itself, not a force."""
    from mcegnn.models.dynamics import DirectDynamics

    return isinstance(model, DirectDynamics)


def dressed(model: Any, system: System) -> System:
    """The system with the masses the model has learned, where it has. ValueError where it has learned another number of them."""
    return system if is_dynamics(model) else model.dressed(system)


def law(model: Any) -> Potential:
    """The learned force with a kernel."""
    table: Potential = model.tabulated()
    return table


def watched(model: Any, potential: Potential) -> Any:
    """The dynamics model, its frames evaluated by the exact potential, so that energies can be looked at."""
    model.potential = potential
    return model
