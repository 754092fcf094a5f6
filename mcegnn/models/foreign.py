"""Torch modules of others as models: dynamics and potentials whose network a factory makes."""

import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from mcegnn.graph import Graph
from mcegnn.models.atomic import AtomicPotential, OfTraining
from mcegnn.models.factory import NoFactory, made_by, source_of
from mcegnn.models.one_step import Coupling, OneStep
from mcegnn.names import SourceChangedWarning, nearest
from mcegnn.nn.foreign import ForeignEnergies, ForeignStates


def _with_source(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    factory = str(hyperparameters["factory"])
    return {**hyperparameters, "source": hyperparameters.get("source") or source_of(factory)}


def _module(factory: str, source: str) -> Any:
    """The module, with the weights that it brings where none will come from a file, which names the
    ``source`` that these were trained with."""
    if source:
        _check_source(factory, source)
    return made_by(factory, pretrained=not source)


@cache
def _check_source(factory: str, source: str) -> None:
    """Warn, once, if the source of a factory has changed."""
    if source_of(factory) != source:
        warnings.warn(
            f"the source of {factory} is not what it was when this model was saved: its weights may"
            " mean something else now; check its errors, or put the source back",
            SourceChangedWarning,
            stacklevel=2,
        )


class ForeignDynamics(OneStep):
    """Positions and velocities ``interval`` later by a torch module that a ``factory`` makes, named
    as ``package.module:function``.

    The module maps positions, velocities [n_systems, n, 3] and charges, or logarithms of masses
    less their mean, [n_systems, n] to positions and velocities [n_systems, n, 3]. ``interval``,
    ``units`` and ``inputs`` are as for `DirectDynamics`; velocities are of an ``interval``.
    ``source`` is the digest of the source that a file keeps; where it has changed there
    is a warning. Raises NoFactory if there is no such factory.
    """

    equivariant, traceable = False, False

    def __init__(
        self,
        factory: str,
        *,
        interval: float = 1.0,
        units: str = "reduced",
        inputs: Coupling = "charges",
        source: str = "",
    ) -> None:
        super().__init__(interval, units, 1.0, inputs)
        self.network: Any = ForeignStates(_module(factory, source))

    @classmethod
    def complete(cls, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """With the hash of the factory's source."""
        return _with_source(hyperparameters)

    def predict(self, x: Tensor, v: Tensor, labels: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Positions and velocities [n, ..., 3] and charges or masses [n, ...] -> positions and
        velocities one interval later."""
        v = v * self.interval
        moved, changed = self.network(x, v, self.marks(labels, graph), graph)
        return x + moved, (v + changed) / self.interval


class ForeignPotential(AtomicPotential):
    """The energy of molecules by a torch module that a ``factory`` makes, named as
    ``package.module:function``.

    The module maps atomic numbers [n_systems, n] and positions about their means [n_systems, n, 3]
    (Angstrom) to energies [n_systems] in units of ``scale`` (eV), to which ``reference_energies``
    of the ``species`` are added. All atoms of a molecule must be within ``cutoff`` of its first.
    ``source`` is as for `ForeignDynamics`. Raises NoFactory if there is no such factory.
    """

    equivariant, traceable = False, False
    of_data = ("species", "nearest")  # units and zero of its energies are the module's to say

    def __init__(
        self,
        factory: str,
        species: Sequence[int],
        *,
        cutoff: float = 20.0,
        scale: float = 1.0,
        reference_energies: Sequence[float] = (),
        nearest: Sequence[Sequence[float]] = (),
        source: str = "",
    ) -> None:
        super().__init__(species, cutoff, scale, OfTraining(reference_energies, nearest=nearest))
        self.network = ForeignEnergies(_module(factory, source), self.species)

    def begin_at(self, energy: float) -> None:
        """Nothing: where its energies begin is the module's to say."""

    def check_structures(self, species: np.ndarray, periodic: np.ndarray) -> None:
        """Refuse periodic ones too."""
        super().check_structures(species, periodic)
        if periodic.any():
            raise ValueError(
                "the network is of molecules in free space, and there are periodic structures; take"
                " these out, or set their pbc to False"
            )

    @classmethod
    def complete(cls, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """With the hash of the factory's source."""
        return _with_source(hyperparameters)


_OF_ROLE: dict[str, type[ForeignDynamics] | type[ForeignPotential]] = {
    "flow": ForeignDynamics,
    "potential": ForeignPotential,
}


def declared(factory: str) -> tuple[str, dict[str, Any]]:
    """Class and hyper-parameters of the model that a factory's module says it is, by its attribute
    ``mcegnn``: a dictionary with its role, "flow" or "potential", and those hyper-parameters that
    are not as usual, such as {"role": "potential", "species": (1, 6, 8)}.

    Raises NoFactory if it does not say, or what it says is none of these.
    """
    module = made_by(factory, pretrained=False)
    said = getattr(module, "mcegnn", None)
    role = said.get("role") if isinstance(said, Mapping) else None
    if not isinstance(said, Mapping) or role not in _OF_ROLE:
        raise NoFactory(
            f"the module of {factory} must say what it is by an attribute such as mcegnn ="
            ' {"role": "potential", "species": (1, 6, 8)}, for a map from atomic numbers and'
            ' positions to energies, or {"role": "flow", "interval": 1.0}, for one from positions,'
            f" velocities and charges to positions and velocities; it says {said!r}"
        )
    kind = _OF_ROLE[role]
    known = set(inspect.signature(kind.__init__).parameters) - {"self", "factory", "source"}
    given = {name: _plain(value) for name, value in said.items() if name != "role"}
    for name in given:
        if name not in known:
            raise NoFactory(
                f"the module of {factory} says {name!r}, which a {role} does not have; did you mean"
                f" {nearest(name, known)}?"
            )
    if role == "potential" and "species" not in given:
        raise NoFactory(
            f"the module of {factory} must say for which elements it is, such as"
            ' "species": (1, 6, 8)'
        )
    try:
        json.dumps(given)
    except TypeError as error:
        raise NoFactory(f"what the module of {factory} says cannot be kept: {error}") from None
    return kind.__name__, {"factory": factory, **given}


def _plain(value: Any) -> Any:
    """Numbers and lists of them, of arrays and tensors too."""
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
