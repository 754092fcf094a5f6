"""`Canonicalized`: a model that knows no symmetry, evaluated in canonical poses, and so
equivariant."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from mcegnn.models.model import Model, Role
from mcegnn.models.registry import MODELS
from mcegnn.nn.canonical.energies import EnergiesInPoses
from mcegnn.nn.canonical.groups import Group, group_of
from mcegnn.nn.canonical.numbers import NumbersInPoses
from mcegnn.nn.canonical.states import StatesInPoses
from systems.system import System

if TYPE_CHECKING:
    from integrators.state import Flow
    from mcegnn.models.model import Scheme
    from systems.system import Potential

Options = Mapping[str, Any]


def _states(model: Any, group: Group, canonicalizer: str, options: Options) -> nn.Module:
    return StatesInPoses(model.network, group, canonicalizer, **options)


def _energies(model: Any, group: Group, canonicalizer: str, options: Options) -> nn.Module:
    if model.periodic:
        # all its vectors may vanish, as at the sites of fcc, and then no pose is told
        raise ValueError("canonical poses are told for molecules; crystals have none to train on")
    sizes = {"n_species": len(model.species), "cutoff": model.cutoff}
    return EnergiesInPoses(model.network, group, canonicalizer, **sizes, **options)


def _numbers(model: Any, group: Group, canonicalizer: str, options: Options) -> nn.Module:
    sizes = {"n_species": len(model.species)}
    return NumbersInPoses(model.network, group, canonicalizer, **sizes, **options)


_IN_POSES: Mapping[Role, Callable[[Any, Group, str, Options], nn.Module]] = {
    Role.FLOW: _states,
    Role.POTENTIAL: _energies,
    Role.PROPERTY: _numbers,
}


class Canonicalized(Model):
    """A ``model`` of the class of this name, with its ``hyperparameters``, whose network is
    evaluated in canonical poses under a ``group`` (`mcegnn.nn.canonical.groups.group_of`), with an
    ``axis`` for SO(2). The ``canonicalizer`` is a name of `mcegnn.nn.canonical.registry`, with
    ``options`` of its own.

    It has the role of the model that it wraps, and is used as that is. Potentials are of molecules:
    in a crystal all vectors by which a pose is told may vanish. Raises ValueError if that model is
    equivariant by itself, periodic, or has a role that cannot be wrapped, or if group and
    canonicalizer do not fit.

    Source: Kaba, Mondal, Zhang, Bengio and Ravanbakhsh 2023 (arXiv 2211.06489).
    """

    def __init__(
        self,
        model: str,
        hyperparameters: Options | None = None,
        *,
        group: str = "E(3)",
        canonicalizer: str = "direct",
        axis: Sequence[float] = (),
        options: Options | None = None,
    ) -> None:
        super().__init__()
        self.traceable = False  # how many poses there are depends on the numbers
        inner = MODELS[model](**(hyperparameters or {}))
        if inner.equivariant:
            raise ValueError(
                f"a {model} is equivariant already, so there is nothing to canonicalize; use it as"
                " it is"
            )
        if inner.role not in _IN_POSES:
            known = " or ".join(role.value for role in _IN_POSES)
            raise ValueError(f"a {model} is no {known}, which alone can be canonicalized")
        if len(axis) not in (0, 3):
            raise ValueError(f"an axis is three numbers, not {list(axis)}")
        found = group_of(group, tuple(axis) if axis else None)  # type: ignore[arg-type]
        inner.network = _IN_POSES[inner.role](inner, found, canonicalizer, options or {})
        self.model = inner
        self.role, self.units, self.species = inner.role, inner.units, inner.species
        self.periodic, self.requires = inner.periodic, inner.requires
        self.interval = inner.interval
        turns = found.rotations in ("SO(3)", "O(3)")
        self.equivariant = turns and self.canonicalization.canonicalizer.exact

    @classmethod
    def complete(cls, hyperparameters: Options) -> dict[str, Any]:
        """Hyper-parameters with those of the wrapped model complete too."""
        from mcegnn.models.store import Stored

        inner = Stored.make(hyperparameters["model"], hyperparameters.get("hyperparameters") or {})
        return {**hyperparameters, "hyperparameters": inner.hyperparameters}

    @property
    def inner_network(self) -> nn.Module:
        """The network that is evaluated in canonical poses."""
        inner: Any = self.model
        network: nn.Module = inner.network.network
        return network

    def adopt(self, model: Model) -> None:
        """Take the weights of a model of the wrapped class, outside any canonicalizer."""
        own = {
            f"model.network.{name}" if name.startswith("network.") else f"model.{name}": weights
            for name, weights in model.state_dict().items()
        }
        missing = self.load_state_dict(own, strict=False)
        if missing.unexpected_keys:
            raise ValueError(f"the model has weights of another kind: {missing.unexpected_keys[0]}")

    @property
    def canonicalization(self) -> Any:
        """What chooses the poses."""
        inner: Any = self.model
        return inner.network.canonicalization

    def __getattr__(self, name: str) -> Any:
        """Whatever else the wrapped model has."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "model":
                raise
            return getattr(super().__getattr__("model"), name)

    def check_system(self, system: System) -> None:
        """Check the system as the wrapped model does."""
        self.model.check_system(system)

    def with_learned_masses(self, system: System) -> System:
        """As of the wrapped model."""
        return self.model.with_learned_masses(system)

    def as_potential(self, threads: int = 1) -> "Potential":
        """The wrapped model as a potential."""
        return self.model.as_potential(threads)

    def as_flow(
        self, scheme: "Scheme | None" = None, reference: "Potential | None" = None
    ) -> "Flow":
        """The wrapped model as a flow."""
        return self.model.as_flow(scheme, reference)

    def predict_targets(self, systems: Sequence[System]) -> Mapping[str, tuple[Any, str]]:
        """Targets of the wrapped model."""
        return self.model.predict_targets(systems)

    def begin_update(self, seed: int, update: int) -> None:
        """For the augmentation of poses."""
        self.canonicalization.begin_update(seed, update)

    def penalty(self) -> Any:
        """The prior over poses, of the last batch (`Canonicalization`)."""
        return self.canonicalization.penalty()

    def rows(self) -> list[tuple[str, str]]:
        """Those of the wrapped model, and how large the canonicalizer is."""
        whole, inner = (
            sum(p.numel() for p in part.parameters()) for part in (self, self.inner_network)
        )
        return [*self.model.rows(), ("parameters of the canonicalizer", f"{whole - inner:,}")]

    def forward(self, *args: Any, **named: Any) -> Any:
        """As the wrapped model."""
        return self.model(*args, **named)
