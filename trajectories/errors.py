"""Estimated position errors of each body: a run compared with the same run by shorter steps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from integrators.span import Span
from integrators.state import Flow, State
from trajectories.rollout import advance
from trajectories.storage.h5md import H5MDReader


@dataclass(frozen=True, eq=False)
class PositionErrors:
    """Distance of each body from its position in a finer run, [n_particles], in the frame at
    ``time``, in the run's units."""

    time: float
    errors: np.ndarray


def finer_run(
    run: H5MDReader, flow: Flow, interval: float, n_parts: int, n_frames: int
) -> Iterator[State]:
    """The states of ``flow`` from a run's first frame on, as `rollout.advance` yields them: in
    ``n_parts`` steps from each frame to the next, which are ``interval`` apart, up to frame
    ``n_frames``.

    Raises ValueError if the run is of an ensemble or forces are not finite at the start.
    """
    if run.n_systems is not None:
        raise ValueError("errors of positions are those of a single system")
    span = Span(n_parts * n_frames, n_parts)
    yield from advance(flow, State(run[0].system), interval / n_parts, span)


def position_errors(run: H5MDReader, finer: State, n_parts: int) -> PositionErrors:
    """Compare a run with a state of its `finer_run`, ``n_parts`` steps of which are a frame; it has
    to be that of a frame.

    Both begin at the file's first frame, so roundings of one part in 1e16 are among what is
    compared.
    """
    positions = run.frames("position", finer.step // n_parts)
    apart = np.linalg.norm(finer.system.positions - positions, axis=-1)
    return PositionErrors(finer.time, np.where(np.isfinite(apart), apart, np.inf))
