"""MC-EGNN: the multichannel E(n)-equivariant graph network, of which EGNN is the one-channel
case."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.graph import Graph
from mcegnn.nn.convolution import ClampName, EquivariantConvolution


class MCEGNN(nn.Module):
    """Layers (1 -> m), (m -> m) ..., (m -> 1) of `EquivariantConvolution` behind a Linear that
    embeds the node inputs.

    ``n_channels`` is m. With ``n_out`` = 2 the last layer gives a second vector for each node,
    which knows nothing of where the origin is (a velocity). ``attention`` is each layer's. Raises
    ValueError if a count is below one (or layers below two with several channels).
    """

    def __init__(
        self,
        n_features: int = 64,
        n_channels: int = 3,
        n_layers: int = 4,
        *,
        n_node_features: int = 1,
        n_edge_features: int = 2,
        n_out: int = 1,
        clamp: ClampName = "norm",
        normalize: bool = False,
        attention: bool = False,
    ) -> None:
        super().__init__()
        for name, count in (
            ("n_features", n_features),
            ("n_channels", n_channels),
            ("n_layers", n_layers),
            ("n_out", n_out),
        ):
            if count < 1:
                raise ValueError(f"{name} must be at least 1, not {count}")
        if n_layers == 1 and n_channels > 1:
            raise ValueError(
                f"{n_channels} channels need at least 2 layers: one opens them, one closes them"
            )
        self.n_out = n_out
        self.embedding = nn.Linear(n_node_features, n_features)
        widths = [1, *[n_channels] * (n_layers - 1), n_out]
        self.layers: Any = nn.ModuleList(
            EquivariantConvolution(
                n_features,
                n_in,
                n_next,
                n_edge_features,
                clamp=clamp,
                normalize=normalize,
                attention=attention,
            )
            for n_in, n_next in pairwise(widths)
        )

    def forward(
        self, h: Tensor, x: Tensor, v: Tensor, a: Tensor, graph: Graph
    ) -> tuple[Tensor, Tensor]:
        """Node inputs h [n, ..., |h|], positions and velocities [n, ..., 3], edge inputs [edges,
        ..., |a|] -> features, vectors.

        Vectors are [n, ..., n_out, 3]: the first moves with the origin, the others do not.
        """
        # inside, channels and components come first: sums over them are then sums of whole arrays
        h, vectors, v = (
            self.embedding(h),
            x.movedim(-1, 0).unsqueeze(0).contiguous(),
            v.movedim(-1, 0).contiguous(),
        )
        for layer in self.layers:
            base = layer.base(vectors)
            h, vectors = layer(h, vectors, v, a, graph)
        # all channels move from the same base, so what is left of the others without it does not
        # move with the origin
        vectors = torch.cat([vectors[:1], (vectors - base)[1:]]) if self.n_out > 1 else vectors
        return h, vectors.movedim((0, 1), (-2, -1))


def EGNN(n_features: int = 64, n_layers: int = 4, **inputs: int) -> MCEGNN:
    """The E(n)-equivariant graph network with velocities (Satorras, Hoogeboom and Welling 2021):
    MC-EGNN with one channel."""
    return MCEGNN(n_features, 1, n_layers, **inputs)  # type: ignore[arg-type]
