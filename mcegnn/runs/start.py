"""Checks of a rollout's initial state: no particles too near, no systems without interactions."""

import numpy as np

from integrators.state import State
from mcegnn.simulation import Configuration
from systems.neighbors.nearest import nearer, nearer_than_trained
from trajectories.monitor import Monitor


def check_first_state(configuration: Configuration, state: State, watch: Monitor) -> None:
    """Raise ValueError if a run's initial state violates one of its limits."""
    if state.step:
        return
    _check_distances(configuration, state, watch.limits.distance)
    _check_trained(configuration, state, watch.limits.nearness)
    for system, (_, what) in watch.too_sparse(state, watch.limits.neighbors).items():
        of = f" of system {system}" if configuration.n_systems > 1 else ""
        raise ValueError(
            f"at the start{of} {what}; begin with a denser structure, or train on structures"
            " like this one; --min-distance off switches off this check too"
        )


def _check_distances(configuration: Configuration, state: State, limit: float) -> None:
    """Raise ValueError if particles are nearer to each other than the limit."""
    for system, (distance, i, j) in nearer(state.system, limit).items() if limit else ():
        names, unit = configuration.names, f" {configuration.units.length}".rstrip()
        who = f"{names[i]} and {names[j]}" if names else f"particles {i} and {j}"
        of = f" of system {system}" if configuration.n_systems > 1 else ""
        raise ValueError(
            f"{who}{of} are {distance:.3g}{unit} apart at the start, nearer than"
            f" {limit:g}{unit}; {configuration.advice_on_near}, or say --min-distance off"
        )


def _check_trained(configuration: Configuration, state: State, limit: float) -> None:
    """Raise ValueError if particles are nearer than this share of the shortest distance in
    training."""
    closest = None if state.evaluation is None else state.evaluation.closest
    if closest is None:
        return
    which = int(np.argmin(closest[..., 0]))
    least = np.atleast_2d(closest)[which]
    if least[0] < limit:
        one = state.system if configuration.n_systems == 1 else state.system.copy_of(which)
        raise ValueError(
            f"at the start {nearer_than_trained(one, least)}; relax them first (--relax), or train"
            " on structures like this one"
        )


def is_idle(state: State) -> bool:
    """Whether nothing acts on several particles, as where none is within a potential's range; in a
    perfect crystal there is an energy."""
    known = state.evaluation
    return (
        known is not None
        and state.system.n_particles > 1
        and not (np.any(known.forces) or np.any(known.energy))
    )
