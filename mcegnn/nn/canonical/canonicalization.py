"""`Canonicalization`: from the quantities of systems to their poses, under a product of groups."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.names import check_number
from mcegnn.nn.canonical.canonicalizer import Sizes
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.kinds import Kind
from mcegnn.nn.canonical.ordering import Ordering
from mcegnn.nn.canonical.points import Points, Poses, size_of_each
from mcegnn.nn.canonical.random_turns import random_turns, stream_of
from mcegnn.nn.canonical.registry import canonicalizer_of


class Canonicalization(nn.Module):
    """Poses under all factors of a group: systems are moved to the mean of their positions, turned
    as a canonicalizer says, and their particles sorted.

    ``kinds`` are those of the quantities, in their order, of which the scalars of a particle are
    ``n_scalars`` numbers together. In training poses are turned further at random, by
    ``augmentation`` radians (`mcegnn.nn.canonical.random_turns.random_turns`): a network that sees
    each system in a single pose learns it by heart where there are few. Raises ValueError if the
    group does not act on such quantities, or no canonicalizer of that name serves it.
    """

    def __init__(
        self,
        group: Group,
        canonicalizer: str,
        kinds: Sequence[Kind],
        n_scalars: int = 0,
        *,
        augmentation: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.group, self.kinds, self.n_scalars = group, tuple(kinds), n_scalars
        each = [kind for kind in self.kinds if kind.per_particle]
        if group.translations and not any(kind.moves for kind in each):
            raise ValueError(
                f"{group.name} moves positions, and no input is of the kind 'position'; declare"
                " one, or name the group without translations"
            )
        if group.rotations and not any(kind.rank == 1 for kind in each):
            raise ValueError(
                f"{group.name} turns vectors, and no input of each particle is a vector or a"
                " position, by which a pose could be told"
            )
        if group.permutations and canonicalizer == "smooth":
            raise ValueError(
                f"{group.name} sorts particles, which jumps; smooth needs a module that does not"
                " know their order, and a group without permutations"
            )
        if group.permutations and not each:
            raise ValueError(f"{group.name} permutes particles, and no input is of each particle")
        sizes = Sizes(*self._counts(), n_scalars)
        self.canonicalizer = canonicalizer_of(canonicalizer, group, sizes, **options)
        spread = self.canonicalizer.augmentation if augmentation is None else augmentation
        check_number("augmentation", spread, 10.0, "an angle between 0 and 10 radians")
        if spread and group.rotations not in ("SO(3)", "O(3)"):
            raise ValueError(f"augmentation turns poses of SO(3) and O(3), not of {group.name}")
        self.augmentation = float(spread)
        self._key: list[int] = []  # of random numbers; torch's own where it is empty
        self.beta = 0.0
        self._penalty: Tensor | None = None
        n_inputs = 3 * sum(self._counts()) + n_scalars
        self.ordering = Ordering(n_inputs) if group.permutations else None

    def _counts(self) -> tuple[int, int]:
        """How many vectors and pseudovectors a particle has: those declared, and for each tensor
        what it makes of each vector."""
        vectors = [kind.pseudo for kind in self.kinds if kind.rank == 1]
        tensors = [kind.pseudo for kind in self.kinds if kind.rank == 2]
        made = vectors + [one != other for one in tensors for other in vectors]
        return made.count(False), made.count(True)

    def points(
        self, values: Sequence[Tensor], scalars: Tensor, owner: Tensor, n_systems: int
    ) -> tuple[Points, Tensor]:
        """The points that canonicalizers see, about their centres, and these [n_systems, 3].

        ``values`` are those of the kinds, [n_nodes, ...] or [n_systems, ...]; ``scalars`` [n_nodes,
        n_scalars] of all scalars together. Raises ValueError if there are not as many particles as
        the group permutes.
        """
        empty = scalars.new_zeros(len(owner), 0, 3)
        each = size_of_each(owner, n_systems)
        bare = Points(empty, empty, scalars, owner, n_systems, each=each)
        self._check_number(bare)
        centres = scalars.new_zeros(n_systems, 3)
        if self.group.translations:
            at = next(k for k, kind in enumerate(self.kinds) if kind.moves and kind.per_particle)
            centres = bare.mean(values[at])
        found: dict[tuple[int, bool], list[Tensor]] = {}
        for kind, value in zip(self.kinds, values, strict=True):
            # what a system has, each of its particles has
            own = (value if kind.per_particle else value[owner]).to(scalars)
            if kind.moves and self.group.translations:
                own = _about(own, centres[owner])
            if kind.rank or kind.pseudo:
                found.setdefault((kind.rank, kind.pseudo), []).append(own)
        true, pseudo = _vectors_of(found)
        odd = [one.flatten(1) for one in found.get((0, True), [])]
        points = bare._replace(
            vectors=torch.stack(true, 1) if true else empty,
            pseudovectors=torch.stack(pseudo, 1) if pseudo else empty,
            pseudoscalars=torch.cat(odd, 1) if odd else None,
            tensors=torch.stack(found[2, False], 1) if (2, False) in found else None,
            pseudotensors=torch.stack(found[2, True], 1) if (2, True) in found else None,
        )
        return points, centres

    def _check_number(self, points: Points) -> None:
        """Raise ValueError if there are not as many particles as the group permutes."""
        wanted = self.group.permutations
        if wanted > 0 and bool((points.sizes != wanted).any()):
            found = sorted(set(points.sizes.tolist()))
            raise ValueError(
                f"{self.group.name} permutes {wanted} particles; there are"
                f" {', '.join(map(str, found))}"
            )

    def poses(self, points: Points, centres: Tensor) -> Poses:
        """The poses of systems with these centres."""
        poses: Poses = self.canonicalizer(points)
        if self.training:
            self._penalty = self._of_training(points, poses)
            if self.augmentation:
                poses = replace(poses, rotations=poses.rotations @ self._turns(poses))
        poses = poses.shifted(centres)
        if self.ordering is None:
            return poses
        order = self.ordering(points.turned_back(poses))
        return replace(poses, node=poses.node[order], pose=poses.pose[order])

    def begin_update(self, seed: int, update: int) -> None:
        """Draw the random numbers that belong to an update of a training, which is then the same
        wherever it is resumed."""
        self._key = [seed, update, 0]

    def _turns(self, poses: Poses) -> Tensor:
        """A random turn for each pose, of each system the same for all."""
        stream = stream_of(self._key) if self._key else None
        if self._key:
            self._key[-1] += 1  # another call of the same update draws others
        n = int(poses.system[-1]) + 1 if len(poses.system) else 0
        turns = random_turns(
            n, self.augmentation, poses.rotations, stream, proper=self.group.proper
        )
        return turns[poses.system]

    def _of_training(self, points: Points, poses: Poses) -> Tensor | None:
        """What a training adds to its loss for these poses; None if there is nothing."""
        found, thrift = None, self.canonicalizer.thrift
        if self.beta:
            found = self.beta * self.canonicalizer.prior(points, poses)
        if thrift:
            crowding = thrift * self.canonicalizer.crowding(points, poses)
            found = crowding if found is None else found + crowding
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to the last batch, which cannot be copied."""
        return {**self.__dict__, "_penalty": None}

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

    def canonicalization_prior(
        self, values: Sequence[Tensor], scalars: Tensor, owner: Tensor, n_systems: int
    ) -> Tensor:
        """How far the poses are from the identity (`Canonicalizer.prior`), for training."""
        points, _ = self.points(values, scalars, owner, n_systems)
        found: Tensor = self.canonicalizer.prior(points, self.canonicalizer(points))
        return found


def _about(positions: Tensor, centres: Tensor) -> Tensor:
    """Positions about centres, without what is round-off: a particle that is alone is at its
    centre."""
    found = positions - centres
    least = 8.0 * float(torch.finfo(found.dtype).eps) * centres.abs().amax(1, keepdim=True)
    return torch.where(found.abs() > least, found, torch.zeros_like(found))


def _vectors_of(found: dict[tuple[int, bool], list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """Vectors and pseudovectors of quantities by rank and whether they are pseudo: themselves, and
    what tensors make of them."""
    every = [
        [(one, pseudo) for pseudo in (False, True) for one in found.get((rank, pseudo), [])]
        for rank in (1, 2)
    ]
    vectors, tensors = every
    made = [
        ((tensor @ vector.unsqueeze(-1)).squeeze(-1), odd != pseudo)
        for tensor, odd in tensors
        for vector, pseudo in vectors
    ]
    true, pseudo = (
        [one for one, odd in (*vectors, *made) if odd == want] for want in (False, True)
    )
    return true, pseudo
