"""`OneStep`: what dynamics models have in common that say where particles are a fixed time later in
a single prediction step."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from integrators.state import Flow, State
from mcegnn.graph import Graph, complete
from mcegnn.models.model import Evaluated, Model, Role
from mcegnn.names import check_positive
from systems.system import Potential, System
from systems.units import BY_NAME

Coupling = Literal["charges", "masses"]
COUPLINGS: Sequence[Coupling] = ("charges", "masses")


class OneStep(Model):
    """Base class of models of positions and velocities ``interval`` later.

    ``interval`` is in ``units``; inside, lengths are in units of ``length`` and times in intervals.
    ``inputs`` are what distinguishes particles, charges or masses. As a flow it takes steps of
    ``interval`` only. A subclass gives `predict`.
    """

    role, periodic = Role.FLOW, False
    potential: Potential | None = None  # it has none, so frames of its rollouts have no energy

    def __init__(self, interval: float, units: str, length: float, inputs: Coupling) -> None:
        super().__init__()
        if inputs not in COUPLINGS:
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

    def predict(self, x: Tensor, v: Tensor, labels: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Positions and velocities [n, ..., 3] and charges or masses [n, ...] -> positions and
        velocities one interval later."""
        raise NotImplementedError

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

    def marks(self, labels: Tensor, graph: Graph) -> Tensor:
        """What tells particles apart as networks have it [n, ...]: charges, or the logarithms of
        masses less their mean over the system."""
        if self.inputs == "charges":
            return labels
        weight = labels.log()
        # on a complete graph a particle hears of all others
        total = graph.sum(graph.senders(weight)) + weight
        return weight - total / (graph.sum(torch.ones_like(graph.senders(weight))) + 1.0)

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
