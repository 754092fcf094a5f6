"""From options to the parameters of thermostat and barostat."""

from collections.abc import Callable, Mapping
from typing import Any

from mcegnn.simulation.atoms_integrators import THERMOSTATS
from systems.quantities import duration, pressure, rate, temperature
from systems.units import METAL

#: options that go with some integrators only
_TAKES = {
    "pressure": ("npt",),
    "flexible": ("npt",),
    "friction": ("langevin-baoab", "npt"),
    "period": ("nose-hoover", "npt"),
}
_CHOSEN_BY = {"npt": "--ensemble npt", "langevin-baoab": "--ensemble nvt"}


def held(integrator: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return temperature, pressure, period and friction, as `AtomsRun` has them.

    Raises ValueError if an option is given that the integrator does not take, or one is missing
    that it needs.
    """
    kelvin = _ramp(options.get("temperature"), "--temperature", temperature)
    outside = _ramp(options.get("pressure"), "--pressure", pressure)
    _check_taken(integrator, options)
    _check_held(integrator, kelvin, options)
    if integrator == "npt" and not outside:
        raise ValueError('npt holds a pressure: give --pressure "1 bar"')
    ps = METAL.convert(1.0, "ps")
    period, friction = (1.0 if integrator == "npt" else 0.1) * ps, 1.0 / ps
    if options.get("period") is not None:
        period = duration(options["period"], METAL, "--period")
    if options.get("friction") is not None:
        friction = rate(options["friction"], METAL, "--friction")
    return {"temperature": kelvin, "pressure": outside, "period": period, "friction": friction}


def _check_taken(integrator: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError if an option is given that the integrator does not take."""
    for name, those in _TAKES.items():
        if options.get(name) is not None and integrator not in those:
            where = " or ".join(_CHOSEN_BY.get(one, f"--integrator {one}") for one in those)
            raise ValueError(f"--{name} goes with {where}, not with {integrator}")


def _check_held(integrator: str, kelvin: tuple[float, ...], options: Mapping[str, Any]) -> None:
    """Raise ValueError if the temperature does not go with the integrator."""
    if integrator in THERMOSTATS and not kelvin:
        raise ValueError(f'{integrator} holds a temperature: give --temperature "300 K"')
    if integrator in ("nose-hoover", "npt") and not all(kelvin):
        raise ValueError(
            f"{integrator} holds a temperature above zero, not {options['temperature']!r}"
        )
    if integrator not in THERMOSTATS and len(kelvin) > 1:
        raise ValueError(
            f"{integrator} holds no temperature, so none can be ramped; add --ensemble nvt"
        )


def _ramp(text: str | None, what: str, read: Callable[[str, str], float]) -> tuple[float, ...]:
    """None, one, or the two numbers of "10 K to 300 K"."""
    return () if text is None else tuple(read(part, what) for part in text.split(" to ", 1))
