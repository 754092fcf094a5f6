"""`Model`: what all models have in common, and the roles that they may have."""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from systems.system import System
from systems.units import METAL, Units

if TYPE_CHECKING:
    from integrators.state import Flow
    from systems.system import Potential


class Role(Enum):
    """What a model is used as."""

    FLOW = "flow"  #: it moves particles itself
    POTENTIAL = "potential"  #: it gives forces
    PROPERTY = "property"  #: it gives numbers of whole systems
    CLASSIFIER = "classifier"  #: it gives probabilities of classes

    @property
    def verbs(self) -> str:
        """The verbs of the command line that such models fit."""
        return {
            Role.FLOW: "rollout and evaluate",
            Role.POTENTIAL: "rollout, predict and evaluate",
        }.get(self, "predict and evaluate")


class Model(nn.Module):
    """A model declares its ``role``, its ``units``, what it ``requires`` of a system ("charges",
    "masses", ...), and the ``species`` it knows (none: any).

    ``interval`` is the time step of a model that predicts one step only, ``file`` what the model
    was loaded from.
    """

    role: Role
    units: Units
    species: tuple[int, ...] = ()
    requires: frozenset[str] = frozenset()
    interval: Any = None
    file: Path | None = None

    def check_system(self, system: System) -> None:
        """Raise ValueError if the model is not made for the system."""
        if system.units is not self.units:
            raise ValueError(
                f"this model is in {self.units.name} units; the system is in {system.units.name}"
                " units"
            )

    def with_learned_masses(self, system: System) -> System:
        """The system with the masses that the model has learned, where it has."""
        return system

    def as_potential(self, threads: int = 1) -> "Potential":
        """The potential that this model is, with the weights as they are now. Raises ValueError if
        it has another role."""
        raise ValueError(self._unfit("potential"))

    def as_flow(self) -> "Flow":
        """The flow that this model is. Raises ValueError if it has another role."""
        raise ValueError(self._unfit("flow"))

    def calculator(self) -> Any:
        """A calculator for ASE, of the weights as they are now. Raises ValueError if the model
        gives no forces on atoms."""
        from mcegnn.interfaces.ase import PotentialCalculator

        potential = self.as_potential()
        if self.units is not METAL:
            raise ValueError(
                f"this model is in {self.units.name} units, and ASE's calculators are for atoms, in"
                " metal units"
            )
        return PotentialCalculator(potential)

    def predict_targets(self, systems: Sequence[System]) -> Mapping[str, tuple[Any, str]]:
        """Values [n] and unit of each target of the systems, by name. Raises ValueError if the
        model has none."""
        raise ValueError(self._unfit("predictions of structures"))

    def _unfit(self, wanted: str) -> str:
        return f"a {type(self).__name__} gives no {wanted}; it is for {self.role.verbs}"
