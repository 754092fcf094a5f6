"""`Ordering`: particles sorted by learned scores."""

import torch
from torch import Tensor, nn

from mcegnn.nn.canonical.frames import equality, fixed_numbers, rows_of
from mcegnn.nn.canonical.points import Points

_N_KEYS = 4


class Ordering(nn.Module):
    """The order of each system's particles by a score of each among the others; of equal scores by
    further numbers that unlike particles do not share.

    Sorting has no gradient, so the score keeps the weights it began with.
    """

    def __init__(self, n_inputs: int, n_hidden: int = 16) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.SiLU())
        self.score = nn.Linear(2 * n_hidden, 1)

    def forward(self, points: Points) -> Tensor:
        """Indices of the nodes, each system's sorted, [n_nodes]."""
        seen = torch.cat(
            [points.vectors.flatten(1), points.pseudovectors.flatten(1), points.scalars], 1
        )
        h = self.each(seen)
        own = self.score(torch.cat([h, points.spread(points.mean(h))], 1)).detach()
        rows = rows_of(points)
        keys = torch.cat([own, rows @ fixed_numbers(rows.shape[1], _N_KEYS).to(rows)], 1)
        return sorted_by(keys, points.owner)


def sorted_by(keys: Tensor, owner: Tensor) -> Tensor:
    """Indices that sort nodes by their owner, then by the first column of keys [n, n_keys], then
    the second, ...; numbers that differ by round-off are equal."""
    order = torch.argsort(owner, stable=True)
    group = owner.clone()  # nodes that are not told apart yet
    for key in keys.unbind(1):
        order = order[torch.argsort(key[order], stable=True)]
        order = order[torch.argsort(group[order], stable=True)]
        small = 100.0 * equality(key.dtype)
        value, before = key[order], group[order]
        new = torch.ones_like(before, dtype=torch.bool)
        new[1:] = (before[1:] != before[:-1]) | (value[1:] - value[:-1] > small)
        group = group.index_copy(0, order, new.cumsum(0) - 1)
    return order
