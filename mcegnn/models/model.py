"""`Model`: the interface of all models, and the roles that they may have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from systems.species import places_among
from systems.system import System
from systems.units import METAL, Units

if TYPE_CHECKING:
    from integrators.state import Flow, State
    from systems.system import Potential

    Scheme = Callable[[Potential], Flow]  # an integrator, such as `velocity_verlet`


class Role(Enum):
    """How a model is used: as a flow, as a potential, or to predict properties or classes."""

    FLOW = "flow"  #: it moves particles itself
    POTENTIAL = "potential"  #: it gives forces
    PROPERTY = "property"  #: it gives numbers of whole systems
    CLASSIFIER = "classifier"  #: it gives probabilities of classes

    @property
    def verbs(self) -> tuple[str, ...]:
        """The verbs of the command line that such models fit."""
        return _VERBS[self]


_VERBS = {
    Role.FLOW: ("rollout", "evaluate"),
    Role.POTENTIAL: ("rollout", "predict", "evaluate"),
    Role.PROPERTY: ("predict", "evaluate"),
    Role.CLASSIFIER: ("predict", "evaluate"),
}

#: whether a system has what a model may require; of anything else a system has nothing
_HAS: Mapping[str, Callable[[System], bool]] = {
    "charges": lambda system: bool(np.any(system.charges)),
    "masses": lambda system: True,
    "cell": lambda system: system.cell is not None,
}


class Model(nn.Module):
    """Base class of models. A model declares its ``role``, its ``units``, what it ``requires`` of a
    system ("charges", "masses", "cell"), the ``species`` it knows (none: any), and whether it knows
    ``periodic`` systems.

    ``interval`` is the time step of a model that predicts one step only. Wrappers have all of these
    from the model they wrap. ``file`` is what the model was loaded from. ``equivariant`` tells
    whether what it predicts turns with the system.
    """

    role: Role
    units: Units
    species: tuple[int, ...] = ()
    periodic: bool = True
    requires: frozenset[str] = frozenset()
    interval: Any = None
    file: Path | None = None
    equivariant: bool = True
    traceable: bool = True  #: whether a training step is the same operations whatever the numbers

    @classmethod
    def complete(cls, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """Hyper-parameters as they are kept in a file: with those of a model that this wraps."""
        return dict(hyperparameters)

    def check_verb(self, verb: str, name: str) -> None:
        """Raise ValueError, saying for which verbs it is, if the role of this model, called
        ``name``, does not fit a verb of the command line."""
        if verb not in self.role.verbs:
            raise ValueError(
                f"{name} is a {type(self).__name__}, which mcegnn {verb} cannot use; it is for"
                f" mcegnn {' and mcegnn '.join(self.role.verbs)}"
            )

    def check_system(self, system: System) -> None:
        """Raise ValueError, saying what does not fit or is missing, if the model is not made for
        the system."""
        if system.units is not self.units:
            raise ValueError(
                f"this model is in {self.units.name} units; the system is in {system.units.name}"
                " units"
            )
        for name in sorted(self.requires):
            if not (name in _HAS and _HAS[name](system)):
                raise ValueError(f"this model requires {name}, which the system does not have")
        if self.species:
            places_among(self.species, np.asarray(system.species))
        if any(system.pbc) and not self.periodic:
            raise ValueError(
                "the model was trained on molecules alone, so it does not know periodic systems;"
                " set pbc to False"
            )

    def with_learned_masses(self, system: System) -> System:
        """The system with the masses that the model has learned, or as it is if it has learned
        none."""
        return system

    def as_potential(self, threads: int = 1) -> "Potential":
        """The model as a potential, with its weights as they are now. Raises ValueError if it has
        another role."""
        raise ValueError(self._unfit("potential"))

    def as_flow(
        self, scheme: "Scheme | None" = None, reference: "Potential | None" = None
    ) -> "Flow":
        """The model as a flow: a potential with the integrator ``scheme``, or a dynamics model by
        itself, with frames evaluated by ``reference``. Raises ValueError if it has another role."""
        potential = self.as_potential()
        if scheme is None:
            raise ValueError(
                f"a {type(self).__name__} moves particles by an integrator; give one, such as"
                " velocity_verlet"
            )
        return scheme(potential)

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

    def penalty(self) -> Any:
        """What a training adds to the loss for what the model did last, a tensor; None if there is
        nothing."""
        return None

    def begin_update(self, seed: int, update: int) -> None:
        """What a training says before each update, for models that draw random numbers in it."""

    def with_penalty(self, loss: Any) -> Any:
        """A training's loss with the `penalty`, where there is one."""
        found = self.penalty()
        return loss if found is None else loss + found

    def rows(self) -> list[tuple[str, str]]:
        """Rows of a table on what the model has learned or keeps of its training beside
        hyper-parameters."""
        return []

    def _unfit(self, wanted: str) -> str:
        verbs = " and mcegnn ".join(self.role.verbs)
        return f"a {type(self).__name__} gives no {wanted}; it is for mcegnn {verbs}"


def energies_and_forces(
    potential: "Potential", systems: Sequence[System], units: Units
) -> Mapping[str, tuple[Any, str]]:
    """Targets that potentials predict: the energy and the largest force on an atom of each
    system."""
    found = [potential(system) for system in systems]
    forces = [float(np.linalg.norm(one.forces, axis=-1).max()) for one in found]
    force = f"{units.energy}/{units.length}" if units.energy else ""
    return {
        "energy": (np.array([float(np.asarray(one.energy)) for one in found]), units.energy),
        "largest force": (np.array(forces), force),
    }


@dataclass(frozen=True)
class Evaluated:
    """A flow whose frames are evaluated by ``potential``, which does not move them."""

    flow: "Flow"
    potential: "Potential"

    def __call__(self, state: "State", dt: float) -> "State":
        """Take a step of the flow."""
        return self.flow(state, dt)
