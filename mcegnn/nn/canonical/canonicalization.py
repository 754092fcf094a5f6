"""`Canonicalization`: from the quantities of systems to their poses, under a product of groups."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.nn.canonical.canonicalizer import Sizes
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.kinds import Kind
from mcegnn.nn.canonical.ordering import Ordering
from mcegnn.nn.canonical.points import Points, Poses
from mcegnn.nn.canonical.registry import canonicalizer_of


class Canonicalization(nn.Module):
    """Poses under all factors of a group: systems are moved to the mean of their positions, turned
    as a canonicalizer says, and their particles sorted.

    ``kinds`` are those of the quantities, in their order, of which the scalars of a particle are
    ``n_scalars`` numbers together. Raises ValueError if the group does not act on such quantities,
    or no canonicalizer of that name serves it.
    """

    def __init__(
        self,
        group: Group,
        canonicalizer: str,
        kinds: Sequence[Kind],
        n_scalars: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.group, self.kinds, self.n_scalars = group, tuple(kinds), n_scalars
        each = [kind for kind in self.kinds if kind.per_particle]
        true, pseudo = (
            [kind for kind in each if kind.rank == 1 and kind.pseudo == wanted]
            for wanted in (False, True)
        )
        if group.translations and not any(kind.moves for kind in each):
            raise ValueError(
                f"{group.name} moves positions, and no input is of the kind 'position'; declare"
                " one, or name the group without translations"
            )
        if group.rotations and not (true or pseudo):
            raise ValueError(
                f"{group.name} turns vectors, and no input of each particle is a vector or a"
                " position, by which a pose could be told"
            )
        if group.permutations and not each:
            raise ValueError(f"{group.name} permutes particles, and no input is of each particle")
        sizes = Sizes(len(true), len(pseudo), n_scalars)
        self.canonicalizer = canonicalizer_of(canonicalizer, group, sizes, **options)
        self.beta = 0.0
        self._penalty: Tensor | None = None
        n_inputs = 3 * (len(true) + len(pseudo)) + n_scalars
        self.ordering = Ordering(n_inputs) if group.permutations else None

    def points(
        self, values: Sequence[Tensor], scalars: Tensor, owner: Tensor, n_systems: int
    ) -> tuple[Points, Tensor]:
        """The points that canonicalizers see, about their centres, and these [n_systems, 3].

        ``values`` are those of the kinds, [n_nodes, ...] or [n_systems, ...]; ``scalars`` [n_nodes,
        n_scalars] of all scalars together. Raises ValueError if there are not as many particles as
        the group permutes.
        """
        empty = scalars.new_zeros(len(owner), 0, 3)
        bare = Points(empty, empty, scalars, owner, n_systems)
        wanted = self.group.permutations
        if wanted > 0 and bool((bare.sizes != wanted).any()):
            found = sorted(set(bare.sizes.tolist()))
            raise ValueError(
                f"{self.group.name} permutes {wanted} particles; there are"
                f" {', '.join(map(str, found))}"
            )
        centres = scalars.new_zeros(n_systems, 3)
        if self.group.translations:
            at = [kind.moves for kind in self.kinds].index(True)
            centres = bare.mean(values[at])
        parts: dict[bool, list[Tensor]] = {False: [], True: []}
        for kind, value in zip(self.kinds, values, strict=True):
            if kind.rank == 1 and kind.per_particle:
                parts[kind.pseudo].append(value - centres[owner] if kind.moves else value)
        true, pseudo = (torch.stack(part, 1) if part else empty for part in parts.values())
        return bare._replace(vectors=true, pseudovectors=pseudo), centres

    def poses(self, points: Points, centres: Tensor) -> Poses:
        """The poses of systems with these centres."""
        poses: Poses = self.canonicalizer(points)
        if self.training:
            self._penalty = self._of_training(points, poses)
        poses = poses.shifted(centres)
        if self.ordering is None:
            return poses
        order = self.ordering(points.turned_back(poses))
        return replace(poses, node=poses.node[order], pose=poses.pose[order])

    def _of_training(self, points: Points, poses: Poses) -> Tensor | None:
        """What a training adds to its loss for these poses; None if there is nothing."""
        found, thrift = None, self.canonicalizer.thrift
        if self.beta:
            found = self.beta * self.canonicalizer.prior(points, poses)
        if thrift:
            crowding = thrift * self.canonicalizer.crowding(points, poses)
            found = crowding if found is None else found + crowding
        return found

    def penalty(self) -> Tensor | None:
        """``beta`` times how far the poses were from the identity (`Canonicalizer.prior`), and the
        canonicalizer's own ``thrift`` times how many there were, when they were last chosen in
        training; None if there is nothing, or it was asked for already."""
        found, self._penalty = self._penalty, None
        return found

    def forward(
        self, values: Sequence[Tensor], scalars: Tensor, owner: Tensor, n_systems: int
    ) -> Poses:
        """`poses` of `points`."""
        return self.poses(*self.points(values, scalars, owner, n_systems))

    def prior(
        self, values: Sequence[Tensor], scalars: Tensor, owner: Tensor, n_systems: int
    ) -> Tensor:
        """How far the poses are from the identity (`Canonicalizer.prior`), for training."""
        points, _ = self.points(values, scalars, owner, n_systems)
        found: Tensor = self.canonicalizer.prior(points, self.canonicalizer(points))
        return found
