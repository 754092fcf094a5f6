"""`FlatInputs`: a module's inputs with all systems side by side."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mcegnn.nn.canonical.kinds import Kind


class FlatInputs:
    """Inputs of equal systems side by side, without their batch axis."""

    def __init__(self, given: Mapping[str, Tensor], kinds: Mapping[str, Kind]) -> None:
        self.batched = self._batched(given, kinds)
        batches = {
            name: value if self.batched else value.unsqueeze(0) for name, value in given.items()
        }
        name, each = next(
            ((name, batches[name]) for name, kind in kinds.items() if kind.per_particle),
            ("", None),
        )
        if each is None:
            raise ValueError("no input is of each particle; a pose is told by vectors of particles")
        self.n_systems, self.n_particles = each.shape[:2]
        self.values = {}
        for other, kind in kinds.items():
            value = batches[other]
            wanted = (self.n_systems, *[self.n_particles] * kind.per_particle)
            if value.shape[: len(wanted)] != wanted:
                raise ValueError(
                    f"{other} and {name} are of different systems: shapes {tuple(value.shape)} and"
                    f" {tuple(each.shape)}"
                )
            self.values[other] = value.flatten(0, 1) if kind.per_particle else value
        first = next(iter(given.values()))
        systems = torch.arange(self.n_systems, device=first.device)
        self.owner = systems.repeat_interleave(self.n_particles)

    @staticmethod
    def _batched(given: Mapping[str, Tensor], kinds: Mapping[str, Kind]) -> bool:
        """Whether inputs have a batch axis. Raises ValueError if one has a wrong shape, or some
        have it and others have not."""
        found: dict[bool, str] = {}
        for name, kind in kinds.items():
            # scalars have an axis of features, others their components
            axes = kind.per_particle + max(kind.rank, 1)
            shape = tuple(given[name].shape)
            components = (3,) * kind.rank
            if len(shape) not in (axes, axes + 1) or shape[len(shape) - kind.rank :] != components:
                usual = ["n"] * kind.per_particle + (["3"] * kind.rank or ["n_features"])
                raise ValueError(
                    f"{name} is declared a {kind.name}, [{', '.join(usual)}] or with an axis of"
                    f" systems before; its shape is {list(shape)}"
                )
            found[len(shape) > axes] = name
        if len(found) > 1:
            raise ValueError(f"{found[True]} has an axis of systems, and {found[False]} has none")
        return True in found

    def folded(self, copies: Tensor, kind: Kind, n_poses: int) -> Tensor:
        """Values of copies [n_poses n, ...] with an axis of poses."""
        return copies.unflatten(0, (n_poses, self.n_particles)) if kind.per_particle else copies

    def left(self, poses: Any, value: Tensor, kind: Kind) -> Tensor:
        """An output of all poses as that of the inputs. Raises ValueError if its shape is not that
        of its kind."""
        n_poses = len(poses.system)
        wanted = (n_poses, *[self.n_particles] * kind.per_particle)
        ends = (3,) * kind.rank
        fits = value.shape[: len(wanted)] == wanted and (
            not kind.rank or (value.shape[len(wanted) :] == ends)
        )
        if not fits:
            each = "particle" if kind.per_particle else "system"
            shape = list(value.shape[0 if self.batched else 1 :])
            raise ValueError(
                f"an output is declared a {kind.name} per {each}, and has the shape {shape}"
            )
        flat = value.flatten(0, 1) if kind.per_particle else value
        out = poses.leave(flat, kind)
        if kind.per_particle:
            out = out.unflatten(0, (self.n_systems, self.n_particles))
        return out if self.batched else out[0]
