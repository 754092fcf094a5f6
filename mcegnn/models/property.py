"""Models of one number of a whole molecule: what is learned for each atom is summed or averaged."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mcegnn.graph import Batch, Graph, collate, complete
from mcegnn.models.mcegnn import MCEGNN
from mcegnn.models.model import Model, Role
from mcegnn.names import check_counts, check_positive
from mcegnn.nn.convolution import perceptron
from mcegnn.nn.unconstrained import AtomNumbers
from systems.species import checked, places_among
from systems.system import System
from systems.units import METAL

Pooling = Literal["sum", "mean"]
_RADII = (0.8, 5.0)  # Angstrom, from the shortest bond to where four bonds lead


class MoleculeProperty(Model):
    """Base class of models of a property of molecules in free space, on the complete graph of each.

    A number for each atom (`numbers`) is pooled over the molecule, a sum or a mean; the property,
    in eV, is ``mean`` + ``std`` times that + the ``references`` of its atoms, one number a species,
    added in float64. ``property`` is its name. ``n_radial`` Gaussians of each pair's distance (0,
    or at least 2) are inputs, and inside lengths are in units of ``length`` (Angstrom). Raises
    ValueError if a species occurs twice, the number of references does not fit, or a number is not
    finite.
    """

    role, periodic = Role.PROPERTY, False

    def __init__(
        self,
        property: str,
        species: Sequence[int],
        pooling: Pooling,
        scale: tuple[float, float],
        references: Sequence[float],
        n_radial: int,
        length: float,
    ) -> None:
        super().__init__()
        (mean, std), self.species, self.units = scale, checked(species), METAL
        if pooling not in ("sum", "mean"):
            raise ValueError(f"pooling is 'sum' or 'mean', not {pooling!r}")
        if references and len(references) != len(self.species):
            raise ValueError(
                f"{len(self.species)} species need as many references, not {len(references)}"
            )
        check_positive(std=std, length=length)
        if n_radial < 0 or n_radial == 1:
            raise ValueError(f"n_radial is 0 or at least 2, not {n_radial}")
        if not all(math.isfinite(value) for value in (mean, std, *references)):
            raise ValueError(
                f"mean, std and references must be finite, not {mean}, {std} and {list(references)}"
            )
        self.property, self.pooling, self.mean, self.std = (
            property,
            pooling,
            float(mean),
            float(std),
        )
        self.n_radial, self.length = n_radial, float(length)
        self.references = np.array(references or [0.0] * len(self.species), dtype=float)

    def numbers(self, nodes: Tensor, x: Tensor, radial: Tensor, batch: Batch) -> Tensor:
        """One number for each atom [n_atoms], of species one-hot, positions in units of the length,
        and the edges' Gaussians."""
        raise NotImplementedError

    def forward(self, kinds: Tensor, x: Tensor, batch: Batch) -> Tensor:
        """Species indices [n_atoms] and positions [n_atoms, 3] (Angstrom) -> (property - base) /
        std [n_systems]."""
        nodes = functional.one_hot(kinds, len(self.species)).to(x)
        said = self.numbers(nodes, x / self.length, self._radial(x, batch.graph), batch)
        pooled = said.new_zeros(batch.n_systems).index_add(0, batch.system, said)
        return (
            pooled
            if self.pooling == "sum"
            else pooled / torch.bincount(batch.system, minlength=batch.n_systems)
        )

    def _radial(self, x: Tensor, graph: Graph) -> Tensor:
        """Gaussians of the edges' lengths [n_edges, n_radial], as wide as they are apart."""
        if not self.n_radial:
            return x.new_zeros(len(graph.i), 0)
        r = graph.differences(x).square().sum(-1, keepdim=True).sqrt()
        centres = torch.linspace(*_RADII, self.n_radial, dtype=x.dtype, device=x.device)
        return (
            -0.5 * ((r - centres) * ((self.n_radial - 1) / (_RADII[1] - _RADII[0]))).square()
        ).exp()

    def kinds(self, numbers: np.ndarray) -> np.ndarray:
        """Index of each atomic number among the model's species. Raises ValueError if one is
        unknown."""
        return places_among(self.species, numbers)

    def base(self, kinds: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """What is known without the network (eV) of molecules k with the atoms ``starts[k]`` to
        ``starts[k + 1]``: [n]."""
        return self.mean + np.add.reduceat(self.references[kinds], starts[:-1])

    def check_system(self, system: System) -> None:
        """Check the system as any model does; it must be a single molecule of at least one atom."""
        super().check_system(system)
        if system.positions.ndim != 2 or not len(system.positions):
            raise ValueError(
                "a molecule's positions are [n_atoms, 3], at least one atom, not"
                f" {list(system.positions.shape)}"
            )

    def predict_targets(self, systems: Sequence[System]) -> Mapping[str, tuple[Any, str]]:
        """The property, in eV."""
        return {self.property: (self.predict(*systems), "eV")}

    @torch.no_grad()
    def predict(self, *systems: System) -> np.ndarray:
        """Predict the property (eV) of each molecule, float64 [n_systems]. Raises ValueError if
        there are none, and as `check_system`."""
        for system in systems:
            self.check_system(system)
        weight: Any = next(self.parameters())
        batch = collate([complete(system.n_particles) for system in systems])
        kinds = self.kinds(np.concatenate([np.asarray(system.species) for system in systems]))
        x = np.concatenate(
            [centred(np.asarray(system.positions, dtype=float)) for system in systems]
        )
        said = self(
            torch.from_numpy(kinds).to(weight.device),
            torch.from_numpy(x).to(weight),
            batch.to(weight.device),
        )
        starts = np.cumsum([0, *(system.n_particles for system in systems)])
        return np.asarray(self.base(kinds, starts) + self.std * said.double().cpu().numpy())


class PropertyModel(MoleculeProperty):
    """A property of molecules by MC-EGNN (the QM9 task of arXiv 2309.03139); `MoleculeProperty`
    says what it is made of.

    Atoms enter at rest, told apart by their species alone, and their vectors move from layer to
    layer; one channel is EGNN with coordinates updated. Nothing but distances is used of the
    vectors, so those that leave the last layer are not. Beyond the paper, ``n_radial`` Gaussians of
    each pair's distance at the start are inputs of all layers. Raises ValueError as
    `MoleculeProperty`, or if a count is below one.
    """

    def __init__(
        self,
        n_features: int = 64,
        n_channels: int = 3,
        n_layers: int = 4,
        *,
        property: str = "U0",
        species: Sequence[int] = (1, 6, 7, 8, 9),
        pooling: Pooling = "sum",
        attention: bool = True,
        mean: float = 0.0,
        std: float = 1.0,
        references: Sequence[float] = (),
        n_radial: int = 0,
        length: float = 1.0,
    ) -> None:
        super().__init__(property, species, pooling, (mean, std), references, n_radial, length)
        if not isinstance(attention, bool):
            raise ValueError(f"attention is true or false, not {attention!r}")
        self.network = MCEGNN(
            n_features,
            n_channels,
            n_layers,
            n_node_features=len(self.species),
            n_edge_features=n_radial,
            attention=attention,
        )
        self.readout = perceptron(n_features, n_features, 1)

    def numbers(self, nodes: Tensor, x: Tensor, radial: Tensor, batch: Batch) -> Tensor:
        """A perceptron of each atom's features, [n_atoms]."""
        h, _ = self.network(nodes, x, torch.zeros_like(x), radial, batch.graph)
        out: Tensor = self.readout(h).squeeze(-1)
        return out


class UnconstrainedProperty(MoleculeProperty):
    """A property of molecules by a graph network that takes positions as the numbers they are,
    about the molecule's mean; `MoleculeProperty` says what it is made of. Raises ValueError as
    that, or if a count is below one.
    """

    equivariant = False

    def __init__(
        self,
        n_features: int = 64,
        n_layers: int = 4,
        *,
        property: str = "U0",
        species: Sequence[int] = (1, 6, 7, 8, 9),
        pooling: Pooling = "sum",
        mean: float = 0.0,
        std: float = 1.0,
        references: Sequence[float] = (),
        n_radial: int = 0,
        length: float = 1.0,
    ) -> None:
        super().__init__(property, species, pooling, (mean, std), references, n_radial, length)
        check_counts(n_features=n_features, n_layers=n_layers)
        self.network: Any = AtomNumbers(len(self.species), n_radial, n_features, n_layers)

    def numbers(self, nodes: Tensor, x: Tensor, radial: Tensor, batch: Batch) -> Tensor:
        """The network's."""
        out: Tensor = self.network(nodes, x, radial, batch)
        return out


def centred(positions: np.ndarray) -> np.ndarray:
    """Positions [n, 3] about their mean, so that the network's precision is not spent on where the
    molecule is."""
    return positions - positions.mean(0)
