"""`Canonicalizer`: the interface of all that choose poses of systems."""

from typing import NamedTuple

from torch import Tensor, nn

from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.points import Points, Poses


class Sizes(NamedTuple):
    """What a canonicalizer gets of each particle: numbers of vectors, pseudovectors and scalars."""

    n_vectors: int
    n_pseudovectors: int = 0
    n_scalars: int = 0

    def of_pool(self, *, proper: bool) -> int:
        """How many vectors a particle has for frames, as `mcegnn.nn.canonical.frames.pool`."""
        n, p = self.n_vectors, self.n_pseudovectors
        return n + p if proper or not n else n + n * p


class Canonicalizer(nn.Module):
    """Chooses the poses of systems, so that ``canonicalizer(g points)`` are g times those of the
    points, up to their own symmetries.

    Raises ValueError, saying which are, if the group is not one it can serve.
    """

    #: what it can be asked for: the `Group.rotations` that it serves
    serves: tuple[str, ...] = ()
    #: weight in a training's loss of how many poses there are (`crowding`)
    thrift: float = 0.0
    #: radians by which poses are turned at random in training, unless told otherwise
    augmentation: float = 0.0
    #: whether its poses turn with the system
    exact: bool = True

    def __init__(self, group: Group, sizes: Sizes) -> None:
        super().__init__()
        if group.rotations not in self.serves:
            name = type(self).__name__
            raise ValueError(f"{name} is for {', '.join(self.serves)}, not for {group.name}")
        self.group = group

    def forward(self, points: Points) -> Poses:
        """The poses of systems whose points lie about their centres."""
        raise NotImplementedError

    def prior(self, points: Points, poses: Poses) -> Tensor:
        """How far each system's poses are from the identity, where the training data of an adapted
        model are: mean over systems of the mean |R - 1|^2 (Mondal et al. 2023, arXiv 2310.01647,
        continuous form)."""
        identity = poses.rotations.new_zeros(3).add(1.0).diag()
        each = (poses.rotations - identity).square().sum((1, 2))
        return (poses.weights * each).sum() / max(1, points.n_systems)

    def crowding(self, points: Points, poses: Poses) -> Tensor:
        """One less the sum of squared weights of a system's poses, mean over systems: zero where
        there is a single one."""
        return 1.0 - poses.weights.square().sum() / max(1, points.n_systems)
