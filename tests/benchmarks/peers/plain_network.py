"""A plain network of charged particles: trained by skorch, and brought into mcegnn by the name of
its factory, ``plain_network:trained``."""

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

WEIGHTS = Path("plain_network.pt")


class Particles(nn.Module):
    """Particles as tokens of torch's own transformer, to positions and velocities a time later."""

    mcegnn: ClassVar = {"role": "flow", "interval": 1.0}

    def __init__(self, width: int = 64, n_layers: int = 4) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(7, width), nn.Linear(width, 6)
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)

    def forward(self, x: Tensor, v: Tensor, charges: Tensor) -> tuple[Tensor, Tensor]:
        """x, v [n_systems, n, 3] and charges [n_systems, n] -> positions and velocities."""
        said = self.last(self.layers(self.first(torch.cat([x, v, charges.unsqueeze(-1)], -1))))
        moved, changed = said.split(3, -1)
        return x + v + moved, v + changed


def trained(pretrained: bool = True) -> nn.Module:
    """The network, with the weights that skorch's training left."""
    network = Particles()
    if pretrained:
        network.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    return network
