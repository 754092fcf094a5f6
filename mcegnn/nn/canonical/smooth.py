"""`Smooth`: several learned frames, whose weights fall smoothly to zero where a frame degenerates.

No single frame is a continuous function of all systems: it must jump where a system gains symmetry,
and with it energies jump. An average over frames (a, b) of pairs of particles' vectors need not
(weighted frames, Pozdnyakov and Ceriotti 2023, arXiv 2305.19302; Dym et al. 2024):

    phi(x) = sum_ab w_ab R_ab f(R_ab^-1 x),   w_ab = axis weight of a * weight of b for the axis a

An axis loses its weight where |a| goes to zero, a partner b where b becomes parallel to a; learned
scores decide among those that are left, and all but the best few have no weight at all.

Where all vectors come to lie on one line no partner is left. The weights of partners are then no
continuous functions any more, but what is averaged over them depends on them ever less: near a line
each frame comes with three more, a quarter, half and three quarters of a turn about its axis, with
equal weights in the end. They take away all that is of first order in the distance from the line,
and all of second order that depends on the direction; so outputs and their forces are continuous.
"""

import torch
from torch import Tensor

from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.frames import (
    across,
    any_across,
    frame_of,
    largest,
    mirror_of,
    normalized,
    pairs_of,
    pool,
    tolerance,
)
from mcegnn.nn.canonical.groups import Group, point_group
from mcegnn.nn.canonical.points import Points, Poses, entries_of
from mcegnn.nn.canonical.scores import ByItself, Invariants, bounded, readout

_WIDTH = 0.5  # of scores: what is so much worse than the best has no weight
_LINE = 0.01  # mean square sine of angles to an axis below which a system is near a line


class Smooth(Canonicalizer):
    """Frames of pairs of particles' vectors with smooth weights, each turned further by a learned
    rotation that depends on invariants of the axis's particle alone.

    With reflections each frame comes with its mirror image, with equal weights. ``n_hidden`` is the
    width of the networks that score. The number of frames that have a weight varies from system to
    system, and so does the cost; in training the loss has ``thrift`` times one less the sum of
    squared weights, which makes them few where the system allows it. The scores of pairs cost the
    square of the number of particles.
    """

    serves = ("SO(3)", "O(3)")

    def __init__(self, group: Group, sizes: Sizes, n_hidden: int = 16, thrift: float = 0.1) -> None:
        super().__init__(group, sizes)
        self.thrift = float(thrift)
        self.invariants = Invariants(sizes.of_pool(proper=group.proper), sizes.n_scalars, n_hidden)
        n = sizes.of_pool(proper=group.proper)
        self.axis = readout(n_hidden, n)
        self.partner = readout(2 * n_hidden, n * n)
        self.axis_by_itself = ByItself(sizes.n_scalars, n)
        self.partner_by_itself = ByItself(sizes.n_scalars, n)
        self.turn = readout(n_hidden, 6 * n)
        with torch.no_grad():  # begin with the frames of the pairs themselves
            identity = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(n)
            self.turn[-1].weight.mul_(0.1)
            self.turn[-1].bias.copy_(identity)

    def forward(self, points: Points) -> Poses:
        """Some poses of each system."""
        proper, n = self.group.proper, points.n_systems
        vectors, owner = pool(points, proper=proper)
        per = len(vectors) // max(1, len(points.owner))
        h = self.invariants(vectors.view(-1, per, 3), points)
        usual = _mean_square(vectors, owner, n)[owner]  # of the system, for each vector
        axis_weight = self._of_axes(h, vectors, points, (owner, usual))
        a, b = pairs_of(owner, n, alone=True)
        live = axis_weight[a] > 0.0
        a, b = a[live], b[live]
        away = across(vectors[b], normalized(vectors[a])).square().sum(-1)
        node_a, channel_a = a // per, a % per
        node_b, channel_b = b // per, b % per
        scores = self.partner(torch.cat([h[node_a], h[node_b]], 1))
        score = scores.gather(1, (channel_a * per + channel_b).unsqueeze(1)).squeeze(1)
        score = bounded(score + self.partner_by_itself(points.scalars).flatten()[b])
        # how far b is from the axis; of its direction nothing, which at the centre it has not
        scale = vectors[b].square().sum(-1) + usual[a]
        # near a line all are small, and one that is none, a itself, must be worse than all others;
        # on it no partner is any better, and frames are the same for all
        on_line = _on_a_line(usual, a, away)
        near = torch.where(on_line[a], torch.zeros_like(away), _log(away / scale, 4))
        weight = axis_weight[a] * sparse_weights(score + near, a, len(vectors))
        some = weight > 0.0
        a, b = a[some], b[some]
        turns = self.turn(h).view(-1, 6)[a]
        return self._poses(points, vectors, owner, (a, b, on_line[a]), weight[some], turns)

    def _of_axes(
        self, h: Tensor, vectors: Tensor, points: Points, systems: tuple[Tensor, Tensor]
    ) -> Tensor:
        """The weight of each vector as an axis, which sum to one in each system; ``systems`` are
        whose each is, and the mean square there."""
        owner, usual = systems
        score = bounded(self.axis(h) + self.axis_by_itself(points.scalars)).flatten()
        square = vectors.square().sum(-1)
        near = _log(square / (square + usual), 2)
        return sparse_weights(score + near, owner, points.n_systems)

    def _poses(
        self,
        points: Points,
        vectors: Tensor,
        owner: Tensor,
        pairs: tuple[Tensor, Tensor, Tensor],
        weight: Tensor,
        turns: Tensor,
    ) -> Poses:
        """Frames of these axes and partners, some of them on a line, with those that are turned
        about their axes where the system is near one, and with their mirror images."""
        a = pairs[0]
        frames, weights = _turned_about_axes(vectors, owner, pairs, weight, points.n_systems)
        system, extra = owner[a].repeat_interleave(4), frame_of(turns[:, :3], turns[:, 3:])
        extra = extra.repeat_interleave(4, 0)
        if not self.group.proper:  # before what turns with the frame, as a reflection of it acts
            mirrored = frames @ mirror_of(points)
            frames, extra = torch.cat([frames, mirrored]), extra.repeat(2, 1, 1)
            weights, system = 0.5 * weights.repeat(2), system.repeat(2)
        frames = frames @ extra
        # a system of points without any direction has none to be turned to
        there = (torch.linalg.vector_norm(vectors, dim=-1) > 0.0).to(weights)
        empty = ~(largest(there, owner, points.n_systems) > 0.0)
        some = (weights > 0.0) & ~empty[system]
        cube = torch.tensor(point_group("O" if self.group.proper else "O_h")).to(frames)
        every = empty.nonzero().flatten()
        frames = torch.cat([frames[some], cube.repeat(len(every), 1, 1)])
        alike = weights.new_full((len(cube) * len(every),), 1.0 / len(cube))
        weights = torch.cat([weights[some], alike])
        system = torch.cat([system[some], every.repeat_interleave(len(cube))])
        order = torch.argsort(system, stable=True)
        return Poses.several(frames[order], weights[order], system[order], points.owner)


def _turned_about_axes(
    vectors: Tensor, owner: Tensor, pairs: tuple[Tensor, Tensor, Tensor], weight: Tensor, n: int
) -> tuple[Tensor, Tensor]:
    """Frames of pairs, each turned by no, one, two and three quarters of a turn about its axis, and
    their weights, which are equal on a line and those of the first alone away from one."""
    a, b, on_line = pairs
    line = _near_a_line(vectors, owner, a, n)
    axes = normalized(vectors[a])
    partner = torch.where(on_line.unsqueeze(1), any_across(axes).detach(), vectors[b])
    frames = frame_of(axes, partner).unsqueeze(1) @ _quarter_turns().to(vectors)
    shares = torch.stack([1.0 - 0.75 * line, *[0.25 * line] * 3], 1)
    return frames.flatten(0, 1), (weight.unsqueeze(1) * shares).flatten()


def sparse_weights(score: Tensor, segment: Tensor, n: int) -> Tensor:
    """Weights of the entries of each segment that sum to one: (width + score - soft maximum)^3
    where that is positive, so that they have two continuous derivatives, and those of entries much
    worse than the best are exactly zero."""
    counts = torch.bincount(segment, minlength=n)[segment].clamp(min=2)
    heat = 0.5 * _WIDTH / counts.to(score).log()  # then the soft maximum is at most half above
    top = largest(score.detach(), segment, n)[segment]
    sums = score.new_zeros(n).index_add(0, segment, ((score - top) / heat).exp())
    soft = top + heat * sums[segment].log()
    raw = (_WIDTH + score - soft).clamp(min=0.0) ** 3
    return raw / score.new_zeros(n).index_add(0, segment, raw)[segment]


def _log(ratios: Tensor, power: int) -> Tensor:
    """The logarithm of ratios that go to zero where a frame degenerates; bounded by a power of the
    tolerance, since slopes beyond that would multiply round-off."""
    return (ratios + tolerance(ratios.dtype) ** power).log()


def _mean_square(vectors: Tensor, owner: Tensor, n: int) -> Tensor:
    """Mean square of each system's vectors [n_systems], never quite zero."""
    square = vectors.square().sum(-1)
    counts = torch.bincount(owner, minlength=n).clamp(min=1)
    mean = square.new_zeros(n).index_add(0, owner, square) / counts
    return mean.clamp(min=torch.finfo(square.dtype).tiny ** 0.5)


def _on_a_line(usual: Tensor, a: Tensor, away: Tensor) -> Tensor:
    """For each vector, taken for an axis, whether all of its system are along it to round-off, by
    their squares ``away`` from the axes ``a`` and the ``usual`` square there."""
    most = largest(away.detach(), a, len(usual))
    return most <= tolerance(away.dtype) ** 2 * usual


def _near_a_line(vectors: Tensor, owner: Tensor, a: Tensor, n: int) -> Tensor:
    """For each axis a how near its system is to a line along it, from 0 (not) to 1 (all vectors
    are along it)."""
    place, other = entries_of(owner[a], owner, n)
    axes = normalized(vectors[a])
    # weighed by their lengths: the direction of what is at the centre says nothing
    away = across(vectors[other], axes[place]).square().sum(-1)
    count = torch.bincount(place, minlength=len(a))
    mean = away.new_zeros(len(a)).index_add(0, place, away) / count
    scale = _mean_square(vectors, owner, n)[owner[a]]
    x = (mean / (_LINE * scale)).clamp(max=1.0)
    return 1.0 - x * x * (3.0 - 2.0 * x)


def _quarter_turns() -> Tensor:
    """The rotations by no, one, two and three quarters of a turn about the first axis, which frames
    of pairs have as their axis [4, 3, 3]."""
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return torch.stack([torch.linalg.matrix_power(turn, k) for k in range(4)])
