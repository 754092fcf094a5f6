"""Levenberg and Marquardt's method for few parameters and many residuals, where gradient descent is
slow.

scipy's least_squares does the same, but cannot be stopped after a step and resumed bitwise
reproducibly.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

_EASED, _RAISED = 1 / 8, 5.0
_LEAST, _MOST = 1e-14, 1e8  # of the damping
_TANGENTS = 64  # derivatives taken at once


def step(
    residuals: Callable[[Tensor], Tensor], at: Tensor, damping: float
) -> tuple[Tensor, float, float]:
    """One step down the sum of squared residuals [n_residuals] from the parameters ``at`` [n].

    Returns the new parameters, their sum of squares, and the damping for the next step; infinite,
    with the old parameters, where no step is better. The damping is relative to the diagonal of the
    Hessian (Marquardt 1963), so parameters may differ in scale.
    """

    def sum_of_squares(parameters: Tensor) -> float:
        with torch.no_grad():
            return float(residuals(parameters).square().sum())

    def along(tangent: Tensor) -> Tensor:
        found: Tensor = torch.func.jvp(residuals, (at,), (tangent,))[1]
        return found

    with torch.no_grad():
        jacobian = torch.func.vmap(along, chunk_size=_TANGENTS)(
            torch.eye(len(at), dtype=at.dtype, device=at.device)
        )
        gradient = jacobian @ residuals(at)
    hessian = jacobian @ jacobian.T
    scale = hessian.diagonal() + _LEAST * hessian.diagonal().max()
    before = sum_of_squares(at)
    if not scale.isfinite().all() or not (scale > 0).all():
        return at, before, math.inf
    while damping <= _MOST:
        moved = at - torch.linalg.solve(hessian + damping * scale.diag(), gradient)
        after = sum_of_squares(moved)
        if after < before:  # not so either where it is not finite
            return moved, after, max(damping * _EASED, _LEAST)
        damping *= _RAISED
    return at, before, math.inf
