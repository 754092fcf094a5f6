"""The numba driver: runs a scheme's table over many steps and systems, whatever the potential's
kernel."""

from typing import Any

import numpy as np
from numba import float64, int64, types, uint64

from integrators.compiled._encounters import strained
from integrators.compiled._operations import (
    CHAIN,
    DRIFT,
    JUMP,
    KEPLER,
    KICK,
    NOISE,
    POST_NEWTONIAN_HELIOCENTRIC,
    RELATIVITY_OF_ALL,
    Table,
)
from integrators.compiled._planets import jump, kepler, post_newtonian
from integrators.compiled._relativity import einstein_infeld_hoffmann
from integrators.compiled._thermostats import chain, noise
from systems.kernel import KERNEL, inlined_jit, jit, kernel_factory


@inlined_jit
def matrix(room, n):
    """The first 3 n numbers of a flat array as [3, n]."""
    return room[: 3 * n].reshape(3, n)


@kernel_factory
def driver(halves: bool, thermostats: bool, conics: bool, relativity: bool) -> Any:
    """The driver of schemes that may halve steps, or that have such operations: what a scheme has
    not is not compiled, which would take most of the time before a first step."""

    @jit
    def run(
        first,
        last,
        positions,
        momenta,
        masses,
        charges,
        kernel,
        parameters,
        scheme,
        halvings,
        memory,
        step,
        draws,
        n_steps,
        until,
        every,
        frames,
    ):
        """Advance systems first ... last - 1 by ``n_steps`` in place; after ``until`` steps and
        then every ``every`` a frame is kept.

        positions, momenta [n_systems, n, 3]; frames [2, n_frames, n_systems, n, 3] of positions
        and momenta. ``scheme`` is a `Table`; ``step`` is the one begun with, ``draws`` the random
        draws made before it; memory [n_systems, 2, length] is the thermostats'. halvings
        [n_systems] grow by the steps that were halved.
        """
        operations, durations, settings = scheme.operations, scheme.durations, scheme.settings
        constants, limits, seed = scheme.constants, scheme.limits, scheme.seed
        fixed, stopped, dt, time = scheme.fixed, scheme.stopped, scheme.dt, scheme.time
        star, sweeps = int(constants[0]), int(constants[4])
        mu, gm, c2 = constants[1], constants[2], constants[3]
        n = positions.shape[1]
        # flat rooms, longer than 3 n: loops over a multiple of sixteen numbers vectorise without a
        # remainder
        size, spare, room = -(-3 * n // 16) * 16, np.empty((3, n)), np.empty((13, n))
        x1, p1, f1, i1 = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
        x, p, forces, inverse = matrix(x1, n), matrix(p1, n), matrix(f1, n), matrix(i1, n)
        for i in range(n):
            for a in range(3):
                inverse[a, i] = 1.0 / masses[i]
        coarse = fine = constant = little = much = roundest = 0.0
        charged, whole = False, 1
        if len(limits) > 0:
            coarse, fine, constant = limits[0], limits[1], limits[2]
            little, much, roundest = limits[3], limits[4], limits[5]
            whole, charged = int(limits[6]), limits[7] != 0.0
        for s in range(first, last):
            charge = charges[s]
            for a in range(3):
                for i in range(n):
                    x[a, i], p[a, i] = positions[s, i, a], momenta[s, i, a]
            fresh, frame, left, draw = False, 0, until, draws
            for taken in range(n_steps):
                at = 0
                while at < whole:  # at grows by one at least
                    part = at & -at if at else whole
                    scale, limit = part / whole, coarse if part == whole else fine
                    while (
                        halves
                        and part > 1
                        and strained(
                            x,
                            p,
                            masses,
                            charge,
                            charged,
                            constant,
                            little,
                            much,
                            roundest,
                            scale * dt,
                            limit,
                            fine,
                        )
                    ):
                        part, scale, limit = part >> 1, 0.5 * scale, fine
                    if at == 0 and part < whole:
                        halvings[s] += 1
                    at += part
                    for k in range(len(operations)):
                        operation, h = operations[k], scale * durations[k]
                        if operation == KICK:
                            if not fresh:
                                for i in range(size):
                                    f1[i] = 0.0
                                kernel(x, masses, charge, parameters, forces)
                                fresh = True
                                for i in fixed:
                                    forces[0, i] = forces[1, i] = forces[2, i] = 0.0
                            for i in range(size):
                                p1[i] += h * f1[i]
                            continue
                        if operation == DRIFT:
                            for i in range(size):
                                x1[i] += h * i1[i] * p1[i]
                        elif conics and operation == KEPLER:
                            kepler(x, p, masses, star, mu, h)
                        elif conics and operation == JUMP:
                            jump(x, p, masses, star, h)
                        elif thermostats and operation == NOISE:
                            noise(
                                p,
                                masses,
                                settings[k],
                                h,
                                time + (step + taken) * dt,
                                seed,
                                draw,
                                s,
                                stopped,
                            )
                            draw += 1
                            continue
                        elif thermostats and operation == CHAIN:
                            chain(p, masses, settings[k], h, time + (step + taken) * dt, memory[s])
                            continue
                        elif relativity and operation == RELATIVITY_OF_ALL:
                            einstein_infeld_hoffmann(
                                x, p, masses, constants[5], c2, sweeps, room, h
                            )
                            continue
                        elif relativity:
                            post_newtonian(
                                x,
                                p,
                                spare,
                                masses,
                                star,
                                gm,
                                c2,
                                sweeps,
                                operation == POST_NEWTONIAN_HELIOCENTRIC,
                                h,
                            )
                            continue
                        fresh = False
                left -= 1
                if left == 0:
                    for a in range(3):
                        for i in range(n):
                            frames[0, frame, s, i, a], frames[1, frame, s, i, a] = x[a, i], p[a, i]
                    frame, left = frame + 1, every
            for a in range(3):
                for i in range(n):
                    positions[s, i, a], momenta[s, i, a] = x[a, i], p[a, i]

    return run


TABLE = types.NamedTuple(
    (
        int64[::1],
        float64[::1],
        float64[:, ::1],
        float64[::1],
        float64[::1],
        int64[::1],
        int64[::1],
        float64,
        float64,
        uint64,
    ),
    Table,
)
RUN = (
    int64,
    int64,
    float64[:, :, ::1],
    float64[:, :, ::1],
    float64[::1],
    float64[:, ::1],
    KERNEL,
    float64[::1],
    TABLE,
    int64[::1],
    float64[:, :, ::1],
    int64,
    int64,
    int64,
    int64,
    int64,
    float64[:, :, :, :, ::1],
)
