"""Compiled flows of thermostats and barostats, for both drivers; `integrators.thermostats` and
`integrators.barostats` say what they do.

Momenta are p [3, n], a view of any layout. What a flow holds stands in a row of settings
(`integrators.compiled._operations`).
"""

import math

import numpy as np

from integrators.compiled._operations import (
    ABOUT_CENTER,
    DEGREES,
    FLEXIBLE,
    FRICTION,
    KT,
    PERIOD,
    PRESSURE,
)
from integrators.compiled._philox import three_normals
from integrators.weights import WEIGHTS
from systems.kernel import inlined_jit

_WEIGHTS = WEIGHTS[4]
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)


@inlined_jit
def at_time(row, at, time):
    """The quantity that begins at column ``at``, at a time."""
    return row[at] + (row[at + 1] - row[at]) * min(
        max((time - row[at + 3]) / row[at + 2], 0.0), 1.0
    )


@inlined_jit
def noise(p, masses, row, h, time, seed, count, system, stopped):
    """Friction and noise on the momenta; those of the particles ``stopped`` [any] become zero."""
    low, high = np.uint64(seed) & _LOW, np.uint64(seed) >> _32
    kept = math.exp(-row[FRICTION] * h)
    spread = (1.0 - kept * kept) * at_time(row, KT, time)
    for i in range(p.shape[1]):
        a, b, c = three_normals(low, high, count, system, i)
        size = math.sqrt(spread * masses[i])
        p[0, i] = kept * p[0, i] + size * a
        p[1, i] = kept * p[1, i] + size * b
        p[2, i] = kept * p[2, i] + size * c
    for i in stopped:
        p[0, i] = p[1, i] = p[2, i] = 0.0


@inlined_jit
def _kick_chain(v, k, h, pull):
    slowed = math.exp(-0.25 * h * v[k + 1]) if k + 1 < len(v) else 1.0
    v[k] = (v[k] * slowed + 0.5 * h * pull) * slowed


@inlined_jit
def _chain_force(v, k, twice, degrees, kT, one):
    if k == 0:
        return (twice - degrees * kT) / (degrees * one)
    return ((degrees * one if k == 1 else one) * v[k - 1] ** 2 - kT) / one


@inlined_jit
def _common_velocity(p, masses):
    """The velocity of the centre of mass."""
    x = y = z = mass = 0.0
    for i in range(p.shape[1]):
        x, y, z, mass = x + p[0, i], y + p[1, i], z + p[2, i], mass + masses[i]
    return x / mass, y / mass, z / mass


@inlined_jit
def chain(p, masses, row, h, time, memory):
    """A Nose-Hoover chain, whose positions and velocities are memory [2, length]."""
    kT, degrees = at_time(row, KT, time), row[DEGREES]
    one = kT * (row[PERIOD] / (2.0 * math.pi)) ** 2
    ux, uy, uz = _common_velocity(p, masses) if row[ABOUT_CENTER] != 0.0 else (0.0, 0.0, 0.0)
    twice = 0.0
    for i in range(p.shape[1]):
        m = masses[i]
        a, b, c = p[0, i] - m * ux, p[1, i] - m * uy, p[2, i] - m * uz
        twice += (a * a + b * b + c * c) / m
    xi, v, scale = memory[0], memory[1], 1.0
    for weight in _WEIGHTS:
        part = weight * h
        for k in range(len(v) - 1, -1, -1):
            _kick_chain(v, k, part, _chain_force(v, k, twice, degrees, kT, one))
        slowed = math.exp(-part * v[0])
        scale, twice = scale * slowed, twice * slowed * slowed
        for k in range(len(v)):
            xi[k] += part * v[k]
        for k in range(len(v)):
            _kick_chain(v, k, part, _chain_force(v, k, twice, degrees, kT, one))
    ux, uy, uz = (1.0 - scale) * ux, (1.0 - scale) * uy, (1.0 - scale) * uz
    for i in range(p.shape[1]):
        p[0, i] = scale * p[0, i] + masses[i] * ux
        p[1, i] = scale * p[1, i] + masses[i] * uy
        p[2, i] = scale * p[2, i] + masses[i] * uz


@inlined_jit
def push(rate, cell_force, row, h, time, n):
    """The cell's rate of strain [3, 3] under ``cell_force`` [3, 3]."""
    mass = (n + 1) * at_time(row, KT, time) * row[PERIOD] ** 2
    if row[FLEXIBLE] != 0.0:
        for a in range(3):
            for b in range(3):
                rate[a, b] += h / mass * cell_force[a, b]
    else:
        mean = (cell_force[0, 0] + cell_force[1, 1] + cell_force[2, 2]) / 3.0
        for a in range(3):
            rate[a, a] += h / mass * mean


@inlined_jit
def cell_kick(rate, virial, volume, row, h, time, n):
    """The virial, less the pressure's share, acts on the cell."""
    cell_force = virial.copy()
    outside = volume * at_time(row, PRESSURE, time)
    for a in range(3):
        cell_force[a, a] -= outside
    push(rate, cell_force, row, h, time, n)


@inlined_jit
def cell_kinetic(p, masses, rate, row, h, time):
    """The particles' motion acts on the cell."""
    flux, n = np.zeros((3, 3)), p.shape[1]
    for i in range(n):
        for a in range(3):
            for b in range(3):
                flux[a, b] += p[a, i] * p[b, i] / masses[i]
    mean = (flux[0, 0] + flux[1, 1] + flux[2, 2]) / (3.0 * n)
    for a in range(3):
        flux[a, a] += mean
    push(rate, flux, row, h, time, n)


@inlined_jit
def _exponential(rates, axes, factor, shift):
    """axes diag(exp(factor * rates + shift)) axes^T."""
    out = np.zeros((3, 3))
    for k in range(3):
        size = math.exp(factor * rates[k] + shift)
        for a in range(3):
            for b in range(3):
                out[a, b] += axes[a, k] * size * axes[b, k]
    return out


@inlined_jit
def _turn(vectors, matrix):
    """Each column of vectors [3, n], a row vector, times the matrix, in place."""
    for i in range(vectors.shape[1]):
        x, y, z = vectors[0, i], vectors[1, i], vectors[2, i]
        for b in range(3):
            vectors[b, i] = x * matrix[0, b] + y * matrix[1, b] + z * matrix[2, b]


@inlined_jit
def stretch(x, p, cell, rate, h):
    """Positions [3, n] and cell [3, 3] follow the rate of strain, momenta the other way."""
    rates, axes = np.linalg.eigh(rate)
    there = _exponential(rates, axes, h, 0.0)
    back = _exponential(rates, axes, -h, -h * rates.sum() / (3 * x.shape[1]))
    _turn(x, there)
    _turn(p, back)
    _turn(cell.T, there)


@inlined_jit
def cell_noise(rate, row, h, time, n, seed, count, system):
    """Friction and noise on the rate of strain."""
    low, high = np.uint64(seed) & _LOW, np.uint64(seed) >> _32
    drawn = np.empty((3, 3))
    for a in range(3):
        drawn[a, 0], drawn[a, 1], drawn[a, 2] = three_normals(low, high, count, system, a)
    kept, kT = math.exp(-h * row[FRICTION]), at_time(row, KT, time)
    spread = math.sqrt((1.0 - kept * kept) * kT / ((n + 1) * kT * row[PERIOD] ** 2))
    mean = (drawn[0, 0] + drawn[1, 1] + drawn[2, 2]) / 3.0
    for a in range(3):
        for b in range(3):
            one = (
                0.5 * (drawn[a, b] + drawn[b, a])
                if row[FLEXIBLE] != 0.0
                else (mean if a == b else 0.0)
            )
            rate[a, b] = kept * rate[a, b] + spread * one
