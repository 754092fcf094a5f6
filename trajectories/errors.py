"""Errors of positions, body by body: a run beside the same run by shorter steps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from integrators.state import Flow, State
from trajectories.h5md import H5MDReader
from trajectories.rollout import advance


@dataclass(frozen=True, eq=False)
class PositionErrors:
    """The largest distance of each body from where a finer run has it, [n_particles], in frames up to ``time``, in the run's units."""

    time: float
    errors: np.ndarray


def position_errors(
    run: H5MDReader, flow: Flow, interval: float, n_parts: int, n_frames: int, told: Callable[[int], bool] = lambda step: True
) -> PositionErrors:  # fmt: skip
    """Compare the first ``n_frames`` frames after a run's start, ``interval`` apart, with the run of ``flow`` in ``n_parts`` steps each.

    ``told`` hears how many steps are done, and says whether to go on. The start is the file's first frame, so roundings of one part in
    1e16 are among what is compared. Raises ValueError for an ensemble and where forces are not finite.
    """
    if run.n_systems is not None:
        raise ValueError("errors of positions are those of a single system")
    errors, time = np.zeros(run.n_particles), 0.0
    for now in advance(flow, State(run[0].system), interval / n_parts, n_parts * n_frames, n_parts):
        if now.step % n_parts == 0:
            apart = np.linalg.norm(now.system.positions - run.frames("position", now.step // n_parts), axis=-1)
            errors, time = np.fmax(errors, np.where(np.isfinite(apart), apart, np.inf)), now.time
        if not told(now.step):
            break
    return PositionErrors(time, errors)
