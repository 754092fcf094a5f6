"""Molecular dynamics whose forces and dynamics can be learned.

The public names below are resolved when they are first used, so that the command line starts at
once.
"""

import importlib
from typing import Any

_PUBLIC = {
    "System": "systems.system",
    "Evaluation": "systems.system",
    "Coulomb": "systems.potentials.coulomb",
    "Gravity": "systems.potentials.gravity",
    "Springs": "systems.potentials.springs",
    "Sum": "systems.potentials.sum",
    "LennardJones": "systems.potentials.lennard_jones",
    "KernelFunction": "systems.kernel",
    "NeighborList": "systems.neighbors.lists",
    "from_atoms": "systems.sources.atoms",
    "to_atoms": "systems.sources.atoms",
    "State": "integrators.state",
    "symplectic_euler": "integrators.ensembles",
    "velocity_verlet": "integrators.ensembles",
    "yoshida": "integrators.ensembles",
    "wisdom_holman": "integrators.ensembles",
    "langevin_baoab": "integrators.ensembles",
    "nose_hoover": "integrators.ensembles",
    "npt": "integrators.ensembles",
    "Piston": "integrators.barostats",
    "Ramp": "integrators.thermostats",
    "Random": "integrators.random",
    "maxwell_boltzmann": "integrators.velocities",
    "rollout": "trajectories.rollout",
    "H5MDWriter": "trajectories.storage.writer",
    "H5MDReader": "trajectories.storage.h5md",
    "universe": "trajectories.mdanalysis",
    "PotentialCalculator": "mcegnn.interfaces.ase",
    "CalculatorPotential": "mcegnn.interfaces.ase",
    "load": "mcegnn.api.models",
    "save": "mcegnn.api.models",
    "fit": "mcegnn.api.fit",
    "simulate": "mcegnn.api.simulate",
    "predict": "mcegnn.api.predict",
    "label": "mcegnn.api.label",
    "Trajectory": "mcegnn.api.trajectory",
    "RunWarning": "mcegnn.api.following",
    "RunDiverged": "mcegnn.runs.errors",
    "Dataset": "mcegnn.data.dataset",
    "MCEGNN": "mcegnn.models.mcegnn",
    "EGNN": "mcegnn.models.mcegnn",
    "ConservativePotential": "mcegnn.models.potential",
    "DirectDynamics": "mcegnn.models.dynamics",
    "LearnedForce": "mcegnn.models.force",
    "PropertyModel": "mcegnn.models.property",
    "UnconstrainedDynamics": "mcegnn.models.unconstrained",
    "UnconstrainedPotential": "mcegnn.models.unconstrained",
    "UnconstrainedProperty": "mcegnn.models.property",
    "ForeignDynamics": "mcegnn.models.foreign",
    "ForeignPotential": "mcegnn.models.foreign",
    "Canonicalized": "mcegnn.models.canonical",
    "canonicalize": "mcegnn.nn.canonical.module",
    "Committee": "systems.potentials.committee",
    "Potential": "systems.system",
    "Flow": "integrators.state",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mcegnn")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mcegnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
