"""Registry of model classes by name: a new one is a module of this package and a line here."""

from mcegnn.registry import Registry

MODELS = Registry(
    "model",
    "mcegnn.models",
    {
        "DirectDynamics": "mcegnn.models.dynamics:DirectDynamics",
        "LearnedForce": "mcegnn.models.force:LearnedForce",
        "ConservativePotential": "mcegnn.models.potential:ConservativePotential",
        "PropertyModel": "mcegnn.models.property:PropertyModel",
    },
)
