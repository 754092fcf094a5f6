"""Registry of model classes by name: a new one is a module of this package and a line here."""

from collections.abc import Mapping
from typing import Any

from mcegnn.registry import Registry

MODELS = Registry(
    "model",
    "mcegnn.models",
    {
        "DirectDynamics": "mcegnn.models.dynamics:DirectDynamics",
        "LearnedForce": "mcegnn.models.force:LearnedForce",
        "ConservativePotential": "mcegnn.models.potential:ConservativePotential",
        "PropertyModel": "mcegnn.models.property:PropertyModel",
        "UnconstrainedDynamics": "mcegnn.models.unconstrained:UnconstrainedDynamics",
        "UnconstrainedPotential": "mcegnn.models.unconstrained:UnconstrainedPotential",
        "UnconstrainedProperty": "mcegnn.models.property:UnconstrainedProperty",
        "ForeignDynamics": "mcegnn.models.foreign:ForeignDynamics",
        "ForeignPotential": "mcegnn.models.foreign:ForeignPotential",
        "Canonicalized": "mcegnn.models.canonical:Canonicalized",
    },
)

#: classes that wrap a model, which their hyper-parameter of this name names; beside it are that
#: one's "hyperparameters"
WRAPPERS = {"Canonicalized": "model"}


def wrapped(kind: str, hyperparameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Class and hyper-parameters of the model inside all wrappers, a model that is none itself."""
    while kind in WRAPPERS and WRAPPERS[kind] in hyperparameters:
        kind, hyperparameters = (
            str(hyperparameters[WRAPPERS[kind]]),
            hyperparameters.get("hyperparameters") or {},
        )
    return kind, dict(hyperparameters)


def with_wrapped(
    kind: str, hyperparameters: Mapping[str, Any], inner: Mapping[str, Any]
) -> dict[str, Any]:
    """The hyper-parameters with others of the model inside all wrappers."""
    if kind not in WRAPPERS:
        return dict(inner)
    own = hyperparameters.get("hyperparameters") or {}
    below = with_wrapped(str(hyperparameters.get(WRAPPERS[kind])), own, inner)
    return {**hyperparameters, "hyperparameters": below}
