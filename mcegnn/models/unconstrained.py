"""Models that know nothing of rotations and reflections; in canonical poses
(`mcegnn.models.canonical`) they are equivariant."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mcegnn.graph import Graph
from mcegnn.models.atomic import AtomicPotential, OfTraining
from mcegnn.models.one_step import Coupling, OneStep
from mcegnn.names import check_counts, check_number, check_positive
from mcegnn.nn.directions import DirectionNetwork, NeighborTransformer
from mcegnn.nn.radial import BesselBasis
from mcegnn.nn.unconstrained import GraphNetwork, ParticleTransformer, StatePerceptron

Architecture = Literal["graph", "transformer", "perceptron"]
_N_STATE = 7  # numbers of a particle: position, velocity, charge or mass
_N_PAIR = 1  # and of a pair: product of charges or masses


class StateNetwork(nn.Module):
    """A network from states of particles to displacements and changes of velocity; lengths are of
    order one, and so are times."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, v: Tensor, marks: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """x, v [n, ..., 3] and marks [n, ...] -> [n, ..., 3] each."""
        rows = torch.cat([x, v, marks.unsqueeze(-1)], -1)
        products = graph.receivers(marks) * graph.senders(marks)
        edges = products.unsqueeze(-1)
        moved, changed = self.network(rows, edges, graph).split(3, -1)
        return moved, changed


class UnconstrainedDynamics(OneStep):
    """Positions and velocities ``interval`` later by a network that takes positions and velocities
    as the numbers they are: x + v + displacement, v + change.

    ``architecture`` is "graph" (messages on the complete graph), "transformer" (particles as
    tokens), or "perceptron" (of ``n_particles``, whose order it knows). The rest is as for
    `DirectDynamics`. Raises ValueError if there is no such architecture or a count is below one.
    """

    equivariant = False

    def __init__(
        self,
        n_features: int = 32,
        n_layers: int = 4,
        *,
        architecture: Architecture = "graph",
        n_particles: int = 5,
        interval: float = 1.0,
        units: str = "reduced",
        inputs: Coupling = "charges",
    ) -> None:
        super().__init__(interval, units, 1.0, inputs)
        check_counts(n_features=n_features, n_layers=n_layers, n_particles=n_particles)
        known: Mapping[str, Callable[[], nn.Module]] = {
            "graph": lambda: GraphNetwork(_N_STATE, _N_PAIR, 6, n_features, n_layers),
            "transformer": lambda: ParticleTransformer(_N_STATE, _N_PAIR, 6, n_features, n_layers),
            "perceptron": lambda: StatePerceptron(_N_STATE, 6, n_features, n_layers, n_particles),
        }
        if architecture not in known:
            raise ValueError(f"architecture is one of {', '.join(known)}, not {architecture!r}")
        self.network: Any = StateNetwork(known[architecture]())

    def predict(self, x: Tensor, v: Tensor, labels: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Positions and velocities [n, ..., 3] and charges or masses [n, ...] -> positions and
        velocities one interval later."""
        v = v * self.interval
        moved, changed = self.network(x, v, self.marks(labels, graph), graph)
        return x + v + moved, (v + changed) / self.interval


class UnconstrainedPotential(AtomicPotential):
    """The energy of molecules and materials as a sum over atoms, by a network that takes the
    directions of neighbours as the numbers they are.

    ``architecture`` is "graph" (messages) or "transformer" (each atom's neighbours as tokens). The
    rest is as for `ConservativePotential`. Raises ValueError if there is no such architecture or a
    count is below one.
    """

    equivariant = False

    def __init__(
        self,
        species: Sequence[int],
        n_features: int = 64,
        n_layers: int = 3,
        *,
        architecture: Literal["graph", "transformer"] = "graph",
        n_radial: int = 16,
        smoothness: float = 0.0,
        cutoff: float = 6.0,
        n_neighbors: float = 10.0,
        scale: float = 1.0,
        reference_energies: Sequence[float] = (),
        periodic: bool = False,
        repulsion: bool = False,
        nearest: Sequence[Sequence[float]] = (),
        fewest: float = 0.0,
    ) -> None:
        check_counts(n_features=n_features, n_layers=n_layers, n_radial=n_radial)
        check_number("smoothness", smoothness, 2.0, "a power between 0 and 2")
        check_positive(n_neighbors=n_neighbors)
        known = OfTraining(reference_energies, periodic, nearest, repulsion, fewest)
        super().__init__(species, cutoff, scale, known)
        made: Any = {"graph": DirectionNetwork, "transformer": NeighborTransformer}
        if architecture not in made:
            raise ValueError(f"architecture is one of {', '.join(made)}, not {architecture!r}")
        basis = BesselBasis(n_radial, self.cutoff, float(smoothness))
        self.network = made[architecture](
            len(self.species), n_features, n_layers, basis, float(n_neighbors)
        )
