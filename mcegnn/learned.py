"""How models become flows and potentials of a rollout: found by name, checked against the system,
put where exact physics would be.

torch is imported here only when there is a model.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from systems.system import Potential, System

_UNITS = {"charged": "reduced", "solar": "astronomical", "atoms": "metal"}
_LABELS = {"charged": "charges", "solar": "masses"}


def load(name: str) -> Any:
    """The model of a shipped name or of a file: a `DirectDynamics` is a flow; a `LearnedForce`
    gives a potential by ``tabulated()``; a `PropertyModel` has ``predict(system)``.

    FileNotFoundError, with the nearest name, where there is none; ValueError where the file is no
    whole model of ours.
    """
    from mcegnn.models.store import load as stored

    return stored(name).model


@cache
def _loaded(path: str, digest: str) -> Any:
    return load(path)


def model(name: str, system: str) -> tuple[Any, str]:
    """The model of a name or path and its file's digest; names with commas in between make a
    committee of potentials.

    ValueError where a model is made for other units or particles than ``system``'s, or where models
    make no committee.
    """
    if "," in name:
        return _committee(name, system)
    from mcegnn.names import locate

    path = locate(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    found = _loaded(str(path), digest)
    if is_property(found):
        raise ValueError(
            f"the model {name} predicts {found.property} of molecules, neither forces nor motion;"
            " name another"
        )
    if found.units.name != _UNITS[system]:
        whose = "a file's atoms are" if system == "atoms" else f"a {system} system is"
        raise ValueError(
            f"the model {name} is in {found.units.name} units; {whose} in {_UNITS[system]} units"
        )
    if system != "atoms":
        kind = found.inputs if is_dynamics(found) else found.coupling
        if kind != _LABELS[system]:
            raise ValueError(
                f"the model {name} tells particles apart by their {kind}; those of a {system}"
                f" system differ by their {_LABELS[system]}"
            )
    return found, digest


def _committee(names: str, system: str) -> tuple[Any, str]:
    """Potentials side by side, and a digest of all files."""
    parts = [part.strip() for part in names.split(",") if part.strip()]
    found = [model(part, system) for part in parts]
    if len({digest for _, digest in found}) < len(found) or len(found) < 2:
        raise ValueError(f"{names!r}: a committee is of at least two models, all different")
    return Members(tuple(one for one, _ in found), tuple(parts)), "-".join(
        digest[:8] for _, digest in found
    )


@dataclass(frozen=True)
class Members:
    """Potentials that answer together; ValueError where they do not know the same species, or not
    all of them crystals."""

    models: tuple[Any, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        first = self.models[0]
        for one, name in zip(self.models, self.names, strict=True):
            if not is_potential(one):
                raise ValueError(
                    f"a committee is made of potentials; {name} is a {type(one).__name__}"
                )
            for what in ("species", "periodic"):
                if (a := getattr(first, what)) != (b := getattr(one, what)):
                    raise ValueError(
                        f"{self.names[0]} and {name} make no committee: their {what} are {a}"
                        f" and {b}"
                    )

    def refuse_unfit(self, system: System) -> None:
        """As each member's."""
        self.models[0].refuse_unfit(system)


def is_potential(model: Any) -> bool:
    """Whether the model gives energies of atoms."""
    from mcegnn.models.potential import ConservativePotential

    return isinstance(model, ConservativePotential)


def is_property(model: Any) -> bool:
    """Whether the model gives one number of a whole molecule."""
    from mcegnn.models.property import PropertyModel

    return isinstance(model, PropertyModel)


def is_dynamics(model: Any) -> bool:
    """Whether the model is a flow itself, not a force."""
    from mcegnn.models.dynamics import DirectDynamics

    return isinstance(model, DirectDynamics)


def dressed(model: Any, system: System) -> System:
    """The system with the masses the model has learned, where it has. ValueError where it has
    learned another number of them."""
    return system if is_dynamics(model) else model.dressed(system)


def law(model: Any, *, warn: float = math.inf, stop: float = math.inf) -> Potential:
    """The learned force with a kernel; a potential, or a committee of such with limits of its
    uncertainty, with frozen weights."""
    if isinstance(model, Members):
        from systems.potentials.committee import Committee

        return Committee([law(one) for one in model.models], warn=warn, stop=stop)
    if is_potential(model):
        from integrators.compiled.driver import available_cores

        frozen: Potential = model.frozen(threads=available_cores())
        return frozen
    table: Potential = model.tabulated()
    return table


def watched(model: Any, potential: Potential) -> Any:
    """The dynamics model, its frames evaluated by the exact potential, so that energies can be
    looked at."""
    model.potential = potential
    return model
