"""Torch modules of whole molecules or of states, called as our networks are."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.graph import Graph
from mcegnn.neighborhood import Neighborhood


class ForeignStates(nn.Module):
    """A module that maps positions, velocities [n_systems, n, 3] and what marks particles
    [n_systems, n] to positions and velocities, called as `mcegnn.models.unconstrained.StateNetwork`
    is. Raises ValueError if it returns anything else."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, v: Tensor, marks: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """x, v [n, ..., 3] and marks [n, ...] -> how far they move and change [n, ..., 3]."""
        own = [part.reshape(len(x), -1, 3).transpose(0, 1) for part in (x, v)]
        said = self.module(*own, marks.reshape(len(x), -1).t())
        whole = isinstance(said, tuple | list) and all(isinstance(one, Tensor) for one in said)
        if not whole or [one.shape for one in said] != [one.shape for one in own]:
            raise ValueError(
                f"the module is to return positions and velocities, two tensors of the shape"
                f" {list(own[0].shape)} as it gets them; it returns {_shapes(said)}"
            )
        moved, changed = (
            (new - old).transpose(0, 1).reshape(x.shape) for new, old in zip(said, own, strict=True)
        )
        return moved, changed


class ForeignEnergies(nn.Module):
    """A module that maps atomic numbers [n_systems, n] and positions about their means
    [n_systems, n, 3] to energies [n_systems] of whole molecules, called as
    `mcegnn.nn.energy.EnergyNetwork` is; molecules of one size are given at once.

    Raises ValueError if it returns anything else, or atoms of a molecule are farther apart than the
    cutoff of their neighbourhood, from which positions are told.
    """

    def __init__(self, module: nn.Module, numbers: tuple[int, ...]) -> None:
        super().__init__()
        self.module, self.numbers = module, numbers

    def forward(
        self,
        kinds: Tensor,
        offsets: Tensor,
        hood: Neighborhood,
        heard: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Energies of atoms [n], equal shares of those of their molecules."""
        owner, n_systems = hood.owners()
        sizes = torch.bincount(owner, minlength=n_systems)
        starts = sizes.cumsum(0) - sizes
        x = positions_of(offsets, hood, starts, sizes)
        numbers = torch.tensor(self.numbers, device=kinds.device)[kinds]
        shares = offsets.new_zeros(len(kinds))
        for size in sizes.unique().tolist():
            which = (sizes == size).nonzero().flatten()
            atoms = starts[which].unsqueeze(1) + torch.arange(size, device=starts.device)
            own = x[atoms] - x[atoms].mean(1, keepdim=True)
            said: Any = self.module(numbers[atoms], own)
            if not isinstance(said, Tensor) or said.shape != which.shape:
                raise ValueError(
                    f"the module is to return the energies of {len(which)} molecules, a tensor of"
                    f" the shape [{len(which)}]; it returns {_shapes(said)}"
                )
            if own.requires_grad and not said.requires_grad:
                raise ValueError(
                    "forces are derivatives of the energy, and the module's does not depend on"
                    " positions that torch could follow; take no_grad, detach and numpy out of it"
                )
            shares = shares.index_put((atoms,), (said / size).unsqueeze(1).expand(atoms.shape))
        return shares


def positions_of(offsets: Tensor, hood: Neighborhood, starts: Tensor, sizes: Tensor) -> Tensor:
    """Positions [n, 3] of atoms, from the first of their system, by its offsets to the others.

    Raises ValueError if it has not all others in its neighbourhood.
    """
    first = starts[sizes > 0]
    senders = hood.senders[first]
    filled = senders != first.unsqueeze(1)
    if bool((filled.sum(1) != sizes[sizes > 0] - 1).any()):
        raise ValueError(
            "atoms of a molecule are farther apart than the cutoff, and the module is of whole"
            " molecules; set a longer cutoff"
        )
    x = offsets.new_zeros(len(hood.senders), 3)
    return x.index_put((senders[filled],), offsets[first][filled])


def _shapes(said: Any) -> str:
    if isinstance(said, Tensor):
        return f"a tensor of the shape {list(said.shape)}"
    if isinstance(said, tuple | list) and all(isinstance(part, Tensor) for part in said):
        return " and ".join(f"{list(part.shape)}" for part in said)
    return f"a {type(said).__name__}"
