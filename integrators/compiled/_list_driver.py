"""The numba driver of potentials with neighbour lists: runs a scheme's table on one system until
something is needed that it has not."""

import math
from typing import Any

import numpy as np

from integrators.compiled._operations import (
    CELL_KICK,
    CELL_KINETIC,
    CHAIN,
    DRIFT,
    KICK,
    NOISE,
    STRETCH,
)
from integrators.compiled._thermostats import (
    cell_kick,
    cell_kinetic,
    cell_noise,
    chain,
    noise,
    stretch,
)
from systems.kernel import inlined_jit, jit, kernel_factory

DONE, LIST, FORCES = range(3)  # what it stops for: its end, a list that may miss pairs, forces
STEP, OPERATION, FRESH, DRAWS = range(4)  # where it stands


@inlined_jit
def _determinant(m):
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@inlined_jit
def holds(x, before, reach, cutoff):
    """Whether a list made ``before`` misses no pair nearer than the cutoff:
    `systems.neighbors.lists.NeighborList` says why."""
    allowed = 0.5 * (reach - cutoff)
    if allowed < 0.0:
        return False
    limit = allowed * allowed
    for i in range(len(x)):
        square = 0.0
        for b in range(3):
            d = x[i, b] - before[i, b]
            square += d * d
        if not square <= limit:
            return False
    return True


@jit  # not inlined: its linear algebra takes seconds to compile, and its answer changes no number
def holds_in_moving_cell(x, cell, before, before_cell, reach, cutoff):
    """The same where the cell has moved since."""
    strain = np.linalg.solve(before_cell, cell)
    least = math.sqrt(np.linalg.eigvalsh(strain @ strain.T)[0])
    allowed = 0.5 * (least * reach - cutoff)
    if allowed < 0.0:
        return False
    limit = allowed * allowed
    for i in range(len(x)):
        square = 0.0
        for b in range(3):
            d = x[i, b] - (
                before[i, 0] * strain[0, b]
                + before[i, 1] * strain[1, b]
                + before[i, 2] * strain[2, b]
            )
            square += d * d
        if not square <= limit:
            return False
    return True


@kernel_factory
def driver(thermostats: bool, moving_cell: bool) -> Any:
    """The driver of schemes that have such operations: what a scheme has not is not compiled."""

    @jit
    def run(
        at,
        n_steps,
        x,
        p,
        masses,
        inverse,
        forces,
        cell,
        before,
        before_cell,
        reach,
        cutoff,
        scheme,
        memory,
        rate,
        virial,
        system,
    ):
        """Go on from ``at`` (step of n_steps, operation, whether forces are those of x, random
        draws); returns why it has stopped.

        x, p, forces, before [n, 3]; masses [n]; inverse [3 n] of 1 / mass; cell and its rate of
        strain [3, 3]; ``scheme`` is a `integrators.compiled._operations.Table`.
        """
        operations, durations, settings = scheme.operations, scheme.durations, scheme.settings
        fixed, stopped, seed = scheme.fixed, scheme.stopped, scheme.seed
        dt, time = scheme.dt, scheme.time
        n = len(masses)
        flat_x, flat_p, flat_f = x.reshape(-1), p.reshape(-1), forces.reshape(-1)
        across_x, across_p = x.T, p.T
        while at[STEP] < n_steps:
            now = time + at[STEP] * dt
            while at[OPERATION] < len(operations):
                k = at[OPERATION]
                operation, h = operations[k], durations[k]
                if operation in (KICK, CELL_KICK):
                    if at[FRESH] == 0:
                        if moving_cell:
                            kept = holds_in_moving_cell(x, cell, before, before_cell, reach, cutoff)
                        else:
                            kept = holds(x, before, reach, cutoff)
                        return FORCES if kept else LIST
                    for i in fixed:
                        forces[i, 0] = forces[i, 1] = forces[i, 2] = 0.0
                    for i in range(3 * n):
                        flat_p[i] += h * flat_f[i]
                    if moving_cell and operation == CELL_KICK:
                        cell_kick(rate, virial, abs(_determinant(cell)), settings[k], h, now, n)
                elif operation == DRIFT:
                    for i in range(3 * n):
                        flat_x[i] += h * inverse[i] * flat_p[i]
                    at[FRESH] = 0
                elif thermostats and operation == NOISE:
                    noise(across_p, masses, settings[k], h, now, seed, at[DRAWS], system, stopped)
                    at[DRAWS] += 1
                elif thermostats and operation == CHAIN:
                    chain(across_p, masses, settings[k], h, now, memory)
                elif moving_cell and operation == CELL_KINETIC:
                    cell_kinetic(across_p, masses, rate, settings[k], h, now)
                elif moving_cell and operation == STRETCH:
                    stretch(across_x, across_p, cell, rate, h)
                    at[FRESH] = 0
                elif moving_cell:
                    cell_noise(rate, settings[k], h, now, n, seed, at[DRAWS], system)
                    at[DRAWS] += 1
                at[OPERATION] += 1
            at[OPERATION] = 0
            at[STEP] += 1
        return DONE

    return run
