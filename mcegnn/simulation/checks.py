"""Whether a model is made for the systems of a rollout."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcegnn.simulation.configuration import Configuration


def check_model_fits(model: Any, name: str, configuration: "Configuration") -> None:
    """Raise ValueError if the model of that name cannot move the systems: its role, its units, what
    it requires, the species and the number of particles."""
    units, described_as = configuration.units, configuration.described_as
    model.check_verb("rollout", name)
    if model.units is not units:
        raise ValueError(
            f"the model {name} is in {model.units.name} units, not in the {units.name}"
            f" units of {described_as}"
        )
    if lacking := sorted(model.requires - configuration.provides):
        raise ValueError(
            f"the model {name} requires {' and '.join(lacking)}; the particles of"
            f" {described_as} differ by their {' and '.join(sorted(configuration.provides))}"
        )
    model.check_system(configuration.example())
