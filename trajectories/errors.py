"""Errors of positions, body by body: a run beside the same run by shorter steps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from integrators.state import Flow, State
from trajectories.rollout import advance
from trajectories.storage.h5md import H5MDReader


@dataclass(frozen=True, eq=False)
class PositionErrors:
    """The distance of each body from where a finer run has it, [n_particles], in the frame at
    ``time``, in the run's units."""

    time: float
    errors: np.ndarray


def position_errors(
    run: H5MDReader,
    flow: Flow,
    interval: float,
    n_parts: int,
    n_frames: int,
    told: Callable[[int], bool] = lambda step: True,
) -> PositionErrors:
    """Compare frame ``n_frames`` of a run, whose frames are ``interval`` apart, with a run of
    ``flow`` in ``n_parts`` steps from each to the next.

    ``told`` hears how many steps are done, and says whether to go on; where it does not, the last
    frame before is compared. The start is the file's first frame, so roundings of one part in 1e16
    are among what is compared. Raises ValueError for an ensemble and where forces are not finite.
    """
    if run.n_systems is not None:
        raise ValueError("errors of positions are those of a single system")
    last = State(run[0].system)
    for now in advance(flow, last, interval / n_parts, n_parts * n_frames, n_parts):
        if now.step % n_parts == 0:
            last = now
        if not told(now.step):
            break
    apart = np.linalg.norm(
        last.system.positions - run.frames("position", last.step // n_parts), axis=-1
    )
    return PositionErrors(last.time, np.where(np.isfinite(apart), apart, np.inf))
