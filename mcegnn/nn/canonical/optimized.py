"""`Optimized`: the pose in which a learned score of the points is highest."""

import torch
from torch import Tensor

from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.finite import CloudScore
from mcegnn.nn.canonical.frames import candidates, choose, poses_of
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.points import Points, Poses
from mcegnn.nn.canonical.random_turns import skew

_N_STEPS = 4
_LARGEST = 0.3  # radians of a step
_FLAT = 1e-3  # of the score's curvature, below which nothing is gained by a step


class Optimized(Canonicalizer):
    """c(x) = argmax_R s(R^-1 x) of a learned score s (Kaba et al. 2023, section 3.2): the best of
    the frames of pairs of vectors, then ``n_steps`` of Newton's method on rotations.

    All is done on points in these frames, so it is equivariant whether or not the steps converge.
    The gradient is that of the last step, which at the optimum is the implicit one; where the steps
    have not converged it is not exact, so this is not for dynamics.
    """

    serves = ("SO(3)", "O(3)")

    def __init__(
        self, group: Group, sizes: Sizes, n_hidden: int = 32, n_steps: int = _N_STEPS
    ) -> None:
        super().__init__(group, sizes)
        self.score, self.n_steps = CloudScore(sizes, n_hidden), n_steps

    def forward(self, points: Points) -> Poses:
        """One pose of each system."""
        found = candidates(points, proper=self.group.proper)
        with torch.no_grad():
            scores = self.score(points.turned_back(poses_of(found, points)))
        start = found.rotations[choose(found, points, scores)]
        seen = points.turned_back(Poses.one_each(start, points.owner))
        turns = torch.eye(3).to(start).expand_as(start)
        for k in range(self.n_steps):
            last = k == self.n_steps - 1
            turns = turns if last else turns.detach()
            turns = turns @ self._step(seen, turns, keep=last and torch.is_grad_enabled())
        return Poses.one_each(start @ turns, points.owner)

    def _step(self, seen: Points, turns: Tensor, *, keep: bool) -> Tensor:
        """A step of Newton's method for each system, as a rotation."""
        with torch.enable_grad():
            angles = turns.new_zeros(seen.n_systems, 3).requires_grad_(True)
            small = turns.detach() @ torch.linalg.matrix_exp(skew(angles))
            score = self.score(seen.turned_back(Poses.one_each(small, seen.owner)))
            (slope,) = torch.autograd.grad(score.sum(), angles, create_graph=True)
            rows = [
                torch.autograd.grad(slope[:, k].sum(), angles, retain_graph=True)[0]
                for k in range(3)
            ]
            curvature = torch.stack(rows, 1)
        # at the optimum, where the slope is zero, that of the curvature does not count
        slope, curvature = slope if keep else slope.detach(), curvature.detach()
        # uphill whatever the curvature: its size along each axis is what counts
        values, axes = torch.linalg.eigh(0.5 * (curvature + curvature.mT))
        floor = _FLAT * values.abs().amax(1, keepdim=True).clamp(min=1e-12)
        along = (axes.mT @ slope.unsqueeze(-1)).squeeze(-1) / torch.maximum(values.abs(), floor)
        step = (axes @ along.unsqueeze(-1)).squeeze(-1)
        length = torch.linalg.vector_norm(step, dim=-1, keepdim=True)
        step = step * (_LARGEST / length.clamp(min=_LARGEST))
        return torch.linalg.matrix_exp(skew(step))
