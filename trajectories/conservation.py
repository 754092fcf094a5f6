"""Conservation: how energy, momentum and angular momentum of a run drift, and how well a flow runs
backwards."""

from dataclasses import dataclass

import numpy as np

from integrators.state import Flow, State
from systems.system import System
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader

_BLOCK_BYTES = 2**25


@dataclass(frozen=True, eq=False)
class Conservation:
    """Drifts of a run's conserved quantities, frame by frame and system by system, [frames,
    n_systems]: of frames with velocities.

    ``energy`` is (E - E0) / |E0|; ``momentum`` and ``angular_momentum`` are the length of the
    change over the sum of the particles' |p| and |x cross p| at the start, which do not vanish for
    a system at rest as a whole. ``energy`` is None where the run has none.
    """

    times: np.ndarray
    energy: np.ndarray | None
    momentum: np.ndarray
    angular_momentum: np.ndarray


def conservation(reader: H5MDReader) -> Conservation:
    """Drifts of conserved quantities of a file's run, which is read in blocks of 32 MiB."""
    masses = reader.masses[:, None]
    n_frames, n_systems, moving = len(reader), reader.n_systems or 1, reader.moving
    per_frame = 24 * n_systems * reader.n_particles
    block = max(1, _BLOCK_BYTES // per_frame)
    momentum, angular = np.empty((n_frames, n_systems)), np.empty((n_frames, n_systems))
    first_ones: tuple[np.ndarray, ...] | None = None
    for first in range(0, n_frames, block):
        where = slice(first, first + block)
        shape = (-1, n_systems, reader.n_particles, 3)
        x, p = (
            reader.frames("position", where).reshape(shape),
            reader.frames("velocity", where).reshape(shape) * masses,
        )
        each = np.cross(x, p)
        if first_ones is None and moving[where].any():
            start = int(moving[where].argmax())
            sizes = (np.linalg.norm(one[start], axis=-1).sum(-1) for one in (p, each))
            first_ones = p[start].sum(-2), each[start].sum(-2), *sizes
        if first_ones is None:
            continue
        p0, l0, scale, angular_scale = first_ones
        momentum[where] = _over(np.linalg.norm(p.sum(-2) - p0, axis=-1), scale)
        angular[where] = _over(np.linalg.norm(each.sum(-2) - l0, axis=-1), angular_scale)
    potential, kinetic = reader.observable("potential_energy"), reader.observable("kinetic_energy")
    energy = None
    if potential is not None and kinetic is not None:
        total = (potential + kinetic).reshape(n_frames, n_systems)[moving]
        energy = _over(total - total[0], abs(total[0]))
    return Conservation(reader.times[moving], energy, momentum[moving], angular[moving])


def _over(change: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """change / scale, and the bare change where the scale is zero."""
    return change / np.where(scale > 0, scale, 1.0)


def reversibility(flow: Flow, state: State, dt: float, n_steps: int) -> float:
    """Run forward, then backward; return the largest distance from the start over the largest
    distance travelled. Raises ValueError if there is less than one step."""
    if n_steps < 1:
        raise ValueError(f"reversibility takes at least 1 step, not {n_steps}")
    *_, end = rollout(flow, state, dt, n_steps, n_steps)
    *_, back = rollout(flow, end, -dt, n_steps, n_steps)
    return distance(back.system, state.system) / distance(end.system, state.system)


def distance(a: System, b: System) -> float:
    """The largest distance between a particle's positions in the two systems."""
    return float(np.linalg.norm(np.asarray(a.positions) - np.asarray(b.positions), axis=-1).max())
