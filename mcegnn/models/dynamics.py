"""`DirectDynamics`: a dynamics model, which says where particles are a fixed time later in a
single prediction step; a `Flow` like any other."""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from integrators.state import Flow, State
from mcegnn.graph import Graph, complete
from mcegnn.models.mcegnn import MCEGNN
from mcegnn.models.model import Evaluated, Model, Role
from mcegnn.names import check_positive
from mcegnn.nn.convolution import ClampName
from systems.system import Potential, System
from systems.units import BY_NAME

Coupling = Literal["charges", "masses"]
_N_INPUTS: dict[Coupling, tuple[int, int]] = {"charges": (1, 2), "masses": (2, 2)}


class DirectDynamics(Model):
    """Positions and velocities ``interval`` later, by MC-EGNN on the complete graph (the task of
    arXiv 2309.03139).

    Particles are distinguished by their charges (node input |v|, edge inputs q_i q_j and squared
    distance) or by their masses (node inputs |v| and log m less its mean, edge inputs squared
    distance and its log). ``interval`` is in ``units``; inside, lengths are in units of ``length``
    and times in intervals. As a flow it takes steps of ``interval`` only.
    """

    role, periodic = Role.FLOW, False
    potential: Potential | None = None  # it has none, so frames of its rollouts have no energy

    def __init__(
        self,
        n_features: int = 64,
        n_channels: int = 3,
        n_layers: int = 4,
        *,
        interval: float = 1.0,
        units: str = "reduced",
        length: float = 1.0,
        inputs: Coupling = "charges",
        clamp: ClampName = "norm",
        normalize: bool = False,
    ) -> None:
        super().__init__()
        if inputs not in _N_INPUTS:
            raise ValueError(f"inputs are 'charges' or 'masses', not {inputs!r}")
        check_positive(interval=interval, length=length)
        if not math.isfinite(interval) or not math.isfinite(length):
            raise ValueError(f"interval and length must be finite, not {interval} and {length}")
        self.interval, self.units, self.length, self.inputs = (
            interval,
            BY_NAME[units],
            length,
            inputs,
        )
        n_node, n_edge = _N_INPUTS[inputs]
        self.network = MCEGNN(
            n_features,
            n_channels,
            n_layers,
            n_node_features=n_node,
            n_edge_features=n_edge,
            n_out=2,
            clamp=clamp,
            normalize=normalize,
        )

    def predict(self, x: Tensor, v: Tensor, labels: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Positions and velocities [n, ..., 3] and charges or masses [n, ...] -> positions and
        velocities one interval later."""
        x, v = x / self.length, v * (self.interval / self.length)
        r2 = graph.differences(x).square().sum(-1)
        speed = torch.linalg.vector_norm(v, dim=-1)
        if self.inputs == "charges":
            nodes, edges = (
                speed.unsqueeze(-1),
                torch.stack([graph.receivers(labels) * graph.senders(labels), r2], -1),
            )
        else:
            weight = labels.log()
            # the mean over a particle's own system: on a complete graph it hears of all others
            mean = (graph.sum(graph.senders(weight)) + weight) / (
                graph.sum(torch.ones_like(graph.senders(weight))) + 1.0
            )
            nodes, edges = (
                torch.stack([speed, weight - mean], -1),
                torch.stack([r2, r2.clamp(min=1e-30).log()], -1),
            )
        _, vectors = self.network(nodes, x, v, edges, graph)
        return vectors[..., 0, :] * self.length, vectors[..., 1, :] * (self.length / self.interval)

    @property
    def requires(self) -> frozenset[str]:  # type: ignore[override]
        """The quantity that distinguishes particles, charges or masses."""
        return frozenset({self.inputs})

    def as_flow(self, scheme: Any = None, reference: Potential | None = None) -> Flow:
        """The model itself, whatever the scheme, or with frames evaluated by ``reference``."""
        return self if reference is None else Evaluated(self, reference)

    def labels(self, system: System) -> Any:
        """The charges or masses that distinguish the particles, [..., n]."""
        if self.inputs == "charges":
            return system.charges
        shape = tuple(system.positions.shape[:-1])
        return (
            system.masses.expand(shape)
            if isinstance(system.masses, Tensor)
            else np.broadcast_to(system.masses, shape).copy()
        )

    @torch.no_grad()
    def forward(self, state: State, dt: float) -> State:
        """Predict the state one interval later, in the kind of array it came in. Raises ValueError
        if ``dt`` is not the model's own interval."""
        if abs(dt - self.interval) > 1e-9 * self.interval:
            raise ValueError(
                f"this model predicts steps of {self.interval:g} {self.units.time}".rstrip()
                + f" only, not of {dt:g}"
            )
        system, weight = state.system, next(self.parameters())
        nodes = system.positions.ndim - 2

        def inside(array: Any) -> Tensor:
            """Nodes first, in the network's precision."""
            return torch.as_tensor(array).to(weight).movedim(nodes, 0)

        def outside(tensor: Tensor) -> Any:
            tensor = tensor.movedim(0, nodes)
            return (
                tensor.to(system.positions)
                if isinstance(system.positions, Tensor)
                else tensor.cpu().double().numpy()
            )

        graph = complete(system.n_particles).to(weight.device)
        x, v = self.predict(
            inside(system.positions), inside(system.velocities), inside(self.labels(system)), graph
        )
        moved = replace(system, positions=outside(x), momenta=outside(v) * system.masses[:, None])
        return replace(state, system=moved, evaluation=None, coordinates=None)
