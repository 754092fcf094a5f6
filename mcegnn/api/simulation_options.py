"""The keywords of `simulate` and `label`, which are the options of the command line."""

import operator
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypedDict

from mcegnn.api.models import ModelLike, name_of
from mcegnn.runs.times import Times

Text = str | float  # a quantity with its unit, or a bare number in reduced units


class Dynamics(TypedDict, total=False):
    """Keywords on how atoms move, and for how long, which `simulate` and `label` share."""

    calculator: str
    potential: str
    ensemble: str
    temperature: Text
    pressure: Text
    friction: Text
    period: Text
    flexible: bool
    relax: bool
    systems: int
    seed: int
    dt: Text
    steps: int
    every: int
    units: str
    format: str
    masses: str | Mapping[str, float]


class SimulationOptions(Dynamics, total=False):
    """All keywords of `simulate` that say what moves, how, and for how long."""

    model: ModelLike
    integrator: str
    time: Text
    particles: int
    epoch: str
    bodies: str | Path
    without: str | Sequence[str]
    relativity: bool
    j2: bool
    warn_above: Text
    stop_above: Text
    max_energy_jump: Text
    min_distance: Text


_COUNTS = ("systems", "seed", "steps", "every", "particles")
_FLAGS = ("flexible", "relax", "relativity", "j2")
_TIMES = ("dt", "time", "steps", "every")


def times_of(keywords: Mapping[str, Any]) -> Times:
    """The keywords that say how long the run is."""
    given = {name: _value(name, keywords.get(name)) for name in _TIMES}
    return Times(**given)


def options_of(keywords: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """All known options but those of the run's length, named and written as on the command line;
    None where they were not given."""
    return {
        name.replace("_", "-"): _value(name, keywords.get(name))
        for name in known
        if name not in _TIMES
    }


def _value(name: str, value: Any) -> Any:
    """A keyword's value as the command line would give it. Raises TypeError if it is of another
    type."""
    if value is None:
        return None
    if name == "model":
        return name_of(value)
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise TypeError(f"{name} is True or False, not {value!r}")
        # what is off by itself need not be switched off, and does not go with all systems
        return value or (False if name == "j2" else None)
    if name in _COUNTS:
        return _count(name, value)
    if name == "without":
        return [value] if isinstance(value, str) else [str(one) for one in value]
    if name == "masses" and isinstance(value, Mapping):
        return ",".join(f"{element}={mass!r}" for element, mass in value.items())
    return _text(name, value)


def _count(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None


def _text(name: str, value: Any) -> str:
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, Real) and not isinstance(value, bool):  # NumPy's too
        return repr(int(value)) if isinstance(value, Integral) else repr(float(value))
    if name in ("calculator", "potential"):
        raise TypeError(
            f"{name} is a name, such as {_EXAMPLES[name]}, which a run can keep and make again; an"
            f" object, this {type(value).__name__}, moves atoms by mcegnn.rollout"
        )
    raise TypeError(f'{name} is a text, such as "300 K", or a number, not {value!r}')


_EXAMPLES = {
    "calculator": '"emt" or "tblite:method=GFN2-xTB"',
    "potential": '"mcegnn:LennardJones:epsilon=0.0104,sigma=3.4" or "module:factory"',
}
