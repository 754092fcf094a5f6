"""Torch modules of others as models: dynamics and potentials whose network a factory makes."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from torch import Tensor

from mcegnn.graph import Graph
from mcegnn.models.atomic import AtomicPotential, OfTraining
from mcegnn.models.factory import NoFactory, made_by, source_of
from mcegnn.models.one_step import Coupling, OneStep
from mcegnn.names import SourceChangedWarning
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
    ``source`` is the SHA-256 of the factory's source that a file keeps; where it has changed there
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

    @classmethod
    def complete(cls, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """With the hash of the factory's source."""
        return _with_source(hyperparameters)


_OF_ROLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "flow": ("ForeignDynamics", ("interval", "units", "inputs")),
    "potential": ("ForeignPotential", ("species", "cutoff", "scale", "reference_energies")),
}


def declared(factory: str) -> tuple[str, dict[str, Any]]:
    """Class and hyper-parameters of the model that a factory's module says it is, by its attributes
    ``role``, "flow" or "potential", and those of the hyper-parameters' names.

    Raises NoFactory if it does not say, or a potential not for which ``species``.
    """
    module = made_by(factory, pretrained=False)
    role = getattr(module, "role", None)
    if role not in _OF_ROLE:
        raise NoFactory(
            f"the module of {factory} must say what it is by an attribute role: 'potential', which"
            " maps atomic numbers and positions to energies, or 'flow', which maps positions,"
            f" velocities and charges to positions and velocities; it says {role!r}"
        )
    kind, names = _OF_ROLE[role]
    found = {name: getattr(module, name) for name in names if hasattr(module, name)}
    if role == "potential" and "species" not in found:
        raise NoFactory(
            f"the module of {factory} must say for which elements it is by an attribute species,"
            " such as (1, 6, 8)"
        )
    values = {
        name: list(value) if isinstance(value, tuple | list) else value
        for name, value in found.items()
    }
    return kind, {"factory": factory, **values}
