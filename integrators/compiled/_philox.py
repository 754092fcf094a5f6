"""numba kernels of counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw
2011, Random123)."""

import math

import numpy as np

from systems.kernel import inlined_jit, jit

_LOW = np.uint64(0xFFFFFFFF)
_M0, _M1, _W0, _W1 = (np.uint64(k) for k in (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85))
_32 = np.uint64(32)


@inlined_jit
def philox(c0, c1, c2, c3, k0, k1):
    """Four random words of 32 bits for a counter of four and a key of two, all held in uint64."""
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@inlined_jit
def three_normals(low, high, count, system, particle):
    """Three normal numbers (Box and Muller 1958) of a particle of a system, in the draw ``count``;
    low and high are the seed's halves."""
    draw = np.uint64(count)
    w0, w1, w2, w3 = philox(
        np.uint64(particle), np.uint64(system), draw & _LOW, draw >> _32, low, high
    )
    # half a step away from zero, whose logarithm is infinite
    r = math.sqrt(-2.0 * math.log((w0 + 0.5) / 4294967296.0))
    angle = 2.0 * math.pi * w1 / 4294967296.0
    third = math.sqrt(-2.0 * math.log((w2 + 0.5) / 4294967296.0)) * math.cos(
        2.0 * math.pi * w3 / 4294967296.0
    )
    return r * math.cos(angle), r * math.sin(angle), third


@jit
def normals(seed, count, first, out):
    """Fill out [n_systems, n, 3] with normal numbers: each its own counter, of particle, system and
    draw."""
    low, high = np.uint64(seed) & _LOW, np.uint64(seed) >> _32
    for s in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[s, i, 0], out[s, i, 1], out[s, i, 2] = three_normals(low, high, count, first + s, i)
