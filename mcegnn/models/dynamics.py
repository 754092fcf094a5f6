"""`DirectDynamics`: a dynamics model, which says where particles are a fixed time later in a
single prediction step; a `Flow` like any other."""

import torch
from torch import Tensor

from mcegnn.graph import Graph
from mcegnn.models.mcegnn import MCEGNN
from mcegnn.models.one_step import Coupling, OneStep
from mcegnn.nn.convolution import ClampName

_N_INPUTS: dict[Coupling, tuple[int, int]] = {"charges": (1, 2), "masses": (2, 2)}


class DirectDynamics(OneStep):
    """Positions and velocities ``interval`` later, by MC-EGNN on the complete graph (the task of
    arXiv 2309.03139).

    Particles are distinguished by their charges (node input |v|, edge inputs q_i q_j and squared
    distance) or by their masses (node inputs |v| and log m less its mean, edge inputs squared
    distance and its log). ``interval`` is in ``units``; inside, lengths are in units of ``length``
    and times in intervals. As a flow it takes steps of ``interval`` only.
    """

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
        super().__init__(interval, units, length, inputs)
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
            nodes, edges = (
                torch.stack([speed, self.marks(labels, graph)], -1),
                torch.stack([r2, r2.clamp(min=1e-30).log()], -1),
            )
        _, vectors = self.network(nodes, x, v, edges, graph)
        return vectors[..., 0, :] * self.length, vectors[..., 1, :] * (self.length / self.interval)
