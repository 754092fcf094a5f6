"""Differentiable integration on torch tensors, for training a force."""

from typing import Any

import torch
from torch import Tensor

from integrators.ensembles import integrator
from integrators.flows import Kick
from integrators.state import State
from systems.system import System


def tensors(system: System, like: Tensor) -> System:
    """The system on torch, its numbers of the kind of ``like``."""

    def tensor(array: Any) -> Tensor:
        found = torch.as_tensor(array)
        return found.to(like) if found.is_floating_point() else found

    return system.map(tensor)


def positions_after(
    interval: float, system: System, force: Any, scheme: str, n_steps: int, lag: float = 0.0
) -> Tensor:
    """Positions [..., n_particles, 3] after ``interval``, in ``n_steps`` steps of the integrator
    ``scheme`` under ``force``, a `Potential`.

    ``lag`` is by how much the system's velocities lie before its positions.
    """
    state = Kick(force)(State(system), lag) if lag else State(system)
    flow, dt = integrator(scheme)(force), interval / n_steps
    for _ in range(n_steps):
        state = flow(state, dt)
    positions: Tensor = state.system.positions
    return positions
