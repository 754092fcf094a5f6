"""What canonicalizers see of systems (`Points`), and the poses that they choose (`Poses`).

Systems of any sizes lie side by side: node arrays are [n_nodes, ...], and ``owner`` tells whose
each node is.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mcegnn.nn.canonical.kinds import Kind


class Points(NamedTuple):
    """``vectors`` [n_nodes, n_vectors, 3] of each particle, where it is among them, about the
    system's centre; ``pseudovectors`` likewise, which may be none; ``scalars`` [n_nodes, n_scalars]
    that no element changes; ``owner`` int64 [n_nodes], sorted, among ``n_systems``. What else there
    is tells poses apart that these leave open: ``pseudoscalars`` [n_nodes, n], ``tensors`` and
    ``pseudotensors`` [n_nodes, n, 3, 3]. ``each`` is how many nodes every system has, where they
    have as many: sums then need no scattering."""

    vectors: Tensor
    pseudovectors: Tensor
    scalars: Tensor
    owner: Tensor
    n_systems: int
    pseudoscalars: Tensor | None = None
    tensors: Tensor | None = None
    pseudotensors: Tensor | None = None
    each: int | None = None

    def rest(self) -> Tensor:
        """All numbers of each node but its vectors and scalars, [n_nodes, ...]."""
        parts = (self.pseudoscalars, self.tensors, self.pseudotensors)
        flat = [part.flatten(1) for part in parts if part is not None]
        return torch.cat([self.scalars[:, :0], *flat], 1)

    def mean(self, nodes: Tensor) -> Tensor:
        """The mean over each system's nodes [n_systems, ...]; zero for a system of none."""
        if self.each is not None:
            return nodes.unflatten(0, (self.n_systems, self.each)).mean(1)
        total = self.total(nodes)
        counts = self.sizes.clamp(min=1).to(nodes).view(-1, *[1] * (nodes.ndim - 1))
        return total / counts

    def total(self, nodes: Tensor) -> Tensor:
        """The sum over each system's nodes [n_systems, ...]."""
        if self.each is not None:
            return nodes.unflatten(0, (self.n_systems, self.each)).sum(1)
        return nodes.new_zeros(self.n_systems, *nodes.shape[1:]).index_add(0, self.owner, nodes)

    def spread(self, systems: Tensor) -> Tensor:
        """What systems have [n_systems, ...], for each of their nodes [n_nodes, ...]."""
        if self.each is not None:
            wide = systems.unsqueeze(1).expand(-1, self.each, *systems.shape[1:])
            return wide.flatten(0, 1)
        return systems[self.owner]

    @property
    def sizes(self) -> Tensor:
        """How many nodes each system has [n_systems]."""
        return torch.bincount(self.owner, minlength=self.n_systems)

    def of(self, systems: Tensor) -> "Points":
        """Those of some of the systems, given by increasing indices."""
        place = torch.full((self.n_systems,), -1, device=self.owner.device)
        place[systems] = torch.arange(len(systems), device=self.owner.device)
        chosen = place[self.owner] >= 0
        odd, tensors, odd_tensors = (
            None if part is None else part[chosen]
            for part in (self.pseudoscalars, self.tensors, self.pseudotensors)
        )
        return Points(
            self.vectors[chosen],
            self.pseudovectors[chosen],
            self.scalars[chosen],
            place[self.owner[chosen]],
            len(systems),
            odd,
            tensors,
            odd_tensors,
            self.each,
        )

    def detached(self) -> "Points":
        """The same without a graph of derivatives."""
        changed: Any = (one.detach() if isinstance(one, Tensor) else one for one in self)
        return Points(*changed)

    def turned_back(self, poses: "Poses") -> "Points":
        """As they are in poses: a copy of its system's points for each pose."""
        rotations = poses.rotations[poses.pose]
        hands = torch.linalg.det(rotations).round()

        def turned(part: Tensor, hand: Tensor) -> Tensor:
            return part[poses.node] @ rotations * hand

        def both_turned(part: Tensor | None, *, pseudo: bool) -> Tensor | None:
            if part is None:
                return None
            every = rotations.unsqueeze(1)
            found = every.mT @ part[poses.node] @ every
            return found * hands.view(-1, 1, 1, 1) if pseudo else found

        odd = self.pseudoscalars
        return Points(
            turned(self.vectors, torch.ones_like(hands).view(-1, 1, 1)),
            turned(self.pseudovectors, hands.view(-1, 1, 1)),
            self.scalars[poses.node],
            poses.pose,
            len(poses.system),
            None if odd is None else odd[poses.node] * hands.unsqueeze(1),
            both_turned(self.tensors, pseudo=False),
            both_turned(self.pseudotensors, pseudo=True),
            self.each,
        )


@dataclass(frozen=True)
class Poses:
    """Poses of systems: the elements that take canonical points to those given, x = R y + t.

    ``rotations`` [n_poses, 3, 3] and ``shifts`` [n_poses, 3] belong to the ``system`` [n_poses]
    (sorted), with ``weights`` [n_poses] that add up to one for each. The copies of all systems in
    all their poses have the nodes ``node`` [n_copies] of the given ones, in canonical order, each
    in the pose ``pose`` [n_copies].
    """

    rotations: Tensor
    shifts: Tensor
    weights: Tensor
    system: Tensor
    node: Tensor
    pose: Tensor
    single: bool = False

    @classmethod
    def one_each(cls, rotations: Tensor, owner: Tensor) -> "Poses":
        """One pose [n_systems, 3, 3] for each system, with nodes in the order they have."""
        n = len(rotations)
        return cls(
            rotations,
            rotations.new_zeros(n, 3),
            rotations.new_ones(n),
            torch.arange(n, device=owner.device),
            torch.arange(len(owner), device=owner.device),
            owner,
            single=True,
        )

    @classmethod
    def several(cls, rotations: Tensor, weights: Tensor, system: Tensor, owner: Tensor) -> "Poses":
        """Poses of systems, given in the order of systems, with their weights."""
        n = int(system.max()) + 1 if len(system) else 0
        pose, node = entries_of(system, owner, n)
        return cls(rotations, rotations.new_zeros(len(system), 3), weights, system, node, pose)

    @classmethod
    def all_of(cls, elements: Tensor, points: Points) -> "Poses":
        """Each of a group's elements [n_elements, 3, 3] for each system, with equal weights."""
        n = len(elements)
        systems = torch.arange(points.n_systems, device=points.owner.device)
        rotations = elements.repeat(points.n_systems, 1, 1)
        weights = rotations.new_full((len(rotations),), 1.0 / n)
        return cls.several(rotations, weights, systems.repeat_interleave(n), points.owner)

    def shifted(self, centres: Tensor) -> "Poses":
        """With the systems' centres [n_systems, 3] as shifts."""
        return replace(self, shifts=centres[self.system])

    def enter(self, values: Tensor, kind: Kind) -> Tensor:
        """Values of nodes or systems as they are in the poses, [n_copies, ...] or [n_poses,
        ...]."""
        pose = self.pose if kind.per_particle else slice(None)
        rows = self.node if kind.per_particle else self.system
        return kind.act_back(values[rows], self.rotations[pose], self.shifts[pose])

    def leave(self, values: Tensor, kind: Kind) -> Tensor:
        """Values in the poses as they are of the given points, averaged over each system's
        poses."""
        pose = self.pose if kind.per_particle else slice(None)
        rows = self.node if kind.per_particle else self.system
        moved = kind.act(values, self.rotations[pose], self.shifts[pose])
        if self.single and not kind.per_particle:
            return moved
        weights = self.weights[pose].view(-1, *[1] * (values.ndim - 1))
        # each node and each system has a pose, so the largest index tells how many there are
        n = int(rows.max()) + 1 if len(rows) else 0
        return moved.new_zeros(n, *moved.shape[1:]).index_add(0, rows, moved * weights)


def size_of_each(owner: Tensor, n_systems: int) -> int | None:
    """How many entries each of some systems has, by whose each is, sorted; None where they
    differ or there are none."""
    each = len(owner) // n_systems if n_systems else 0
    if not each or each * n_systems != len(owner):
        return None
    first = torch.arange(n_systems, device=owner.device).unsqueeze(1)
    return each if bool((owner.view(n_systems, each) == first).all()) else None


def entries_of(system: Tensor, owner: Tensor, n_systems: int) -> tuple[Tensor, Tensor]:
    """All entries of each of some systems [m], which may be named several times: places in that
    list, and indices among ``owner``, which is sorted."""
    sizes = torch.bincount(owner, minlength=n_systems)
    first, count = (sizes.cumsum(0) - sizes)[system], sizes[system]
    place = torch.repeat_interleave(torch.arange(len(system), device=owner.device), count)
    within = torch.arange(len(place), device=owner.device) - (count.cumsum(0) - count)[place]
    return place, first[place] + within
