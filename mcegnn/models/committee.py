"""`ModelCommittee`: the mean of several potentials, used as one model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from mcegnn.models.model import Model, Role, energies_and_forces
from systems.potentials.committee import Committee
from systems.system import System


class ModelCommittee(Model):
    """Committee of potentials: their mean acts, their spread is the uncertainty, with the limits
    ``warn`` and ``stop`` of `systems.potentials.committee`. Units, species and required inputs are
    those of its members.

    Raises ValueError if there are fewer than two members, one is no potential, or they are not made
    for the same systems; ``names`` are what messages call them.
    """

    role = Role.POTENTIAL

    def __init__(
        self,
        members: Sequence[Model],
        names: Sequence[str],
        *,
        warn: float = np.inf,
        stop: float = np.inf,
    ) -> None:
        super().__init__()
        if len(members) < 2:
            raise ValueError(f"a committee has at least two members, not {len(members)}")
        first = members[0]
        for one, name in zip(members, names, strict=True):
            if one.role is not Role.POTENTIAL:
                kind = type(one).__name__
                raise ValueError(f"a committee is made of potentials; {name} is a {kind}")
            _check_alike(first, one, names[0], name)
        self.members, self.warn, self.stop = nn.ModuleList(members), warn, stop
        self.units, self.species = first.units, first.species
        self.periodic, self.requires = first.periodic, first.requires

    @property
    def _models(self) -> list[Any]:
        return list(self.members)

    def check_system(self, system: System) -> None:
        """Check the system as each member does, and that they have learned the same masses."""
        for one in self._models:
            one.check_system(system)
        self.with_learned_masses(system)

    def with_learned_masses(self, system: System) -> System:
        """With those of all members. Raises ValueError if they have learned different ones."""
        first, *others = (one.with_learned_masses(system) for one in self._models)
        if any(not np.array_equal(first.masses, other.masses) for other in others):
            raise ValueError("the models have learned different masses, so they make no committee")
        found: System = first
        return found

    def as_potential(self, threads: int = 1) -> Committee:
        """The members as potentials, side by side."""
        members = [one.as_potential(threads) for one in self._models]
        return Committee(members, warn=self.warn, stop=self.stop)

    def predict_targets(self, systems: Sequence[System]) -> Mapping[str, tuple[Any, str]]:
        """Mean energies, and the largest mean force on a particle of each system."""
        return energies_and_forces(self.as_potential(), systems, self.units)


def _check_alike(one: Model, other: Model, name: str, other_name: str) -> None:
    """Raise ValueError if two models are not made for the same systems."""
    pairs: Mapping[str, tuple[Any, Any]] = {
        "units": (one.units.name, other.units.name),
        "species": (one.species, other.species),
        "periodic systems": (one.periodic, other.periodic),
        "needs": (sorted(one.requires), sorted(other.requires)),
    }
    for what, (a, b) in pairs.items():
        if a != b:
            raise ValueError(
                f"{name} and {other_name} make no committee: their {what} are {a} and {b}"
            )
