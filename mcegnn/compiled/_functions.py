# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""What a pair's distance and direction give: the envelope, the repulsion, the softened distance,
the harmonics."""

import math

from mcegnn.compiled._kernel import kernel
from mcegnn.compiled._pointers import number, put

# of the harmonics, and of Ziegler, Biersack and Littmark's screening
_A, _B, _C, _D = math.sqrt(3.0), math.sqrt(15.0), math.sqrt(5.0 / 8.0), math.sqrt(3.0 / 8.0)
_WEIGHTS, _EXPONENTS = (0.18175, 0.50986, 0.28022, 0.02817), (3.1998, 0.94229, 0.4029, 0.20162)
_WIDTH = 0.1  # of the nearest distance, over which the softened distance comes to rest


@kernel
def envelope(t):
    """One at zero, zero from t = 1 on, and its derivative."""
    t5 = t * t * t * t * t
    return 1.0 - t5 * t * (28.0 - 48.0 * t + 21.0 * t * t), -168.0 * t5 * (1.0 - t) * (1.0 - t)


@kernel
def softened_distance(r, nearest):
    """The softened distance of one below the nearest, and its derivative
    (`mcegnn.nn.repulsion`)."""
    t = max(0.0, (r / nearest - (1.0 - _WIDTH)) / _WIDTH)
    return nearest * (1.0 - _WIDTH + _WIDTH * (0.5 + t * t * t * (1.0 - 0.5 * t))), t * t * (
        3.0 - 2.0 * t
    )


@kernel
def repel(r, strength, length, end, wall):
    """Ziegler, Biersack and Littmark's energy of a pair and that of a wall, which end at ``end``,
    and its derivative."""
    screened = slope = 0.0
    for k in range(4):
        term = _WEIGHTS[k] * math.exp(-_EXPONENTS[k] * r / length)
        screened += term
        slope -= term * _EXPONENTS[k] / length
    fade, fall = envelope(r / end)
    pull, inside = strength / r, 1.0 - r / end
    energy = pull * screened * fade + wall * inside * inside * inside
    return (
        energy,
        pull * (slope * fade + screened * (fall / end - fade / r))
        - 3.0 * wall * inside * inside / end,
    )


@kernel
def harmonics(x, y, z, degrees, Y):
    """The harmonics of a direction (`mcegnn.nn.harmonics`)."""
    put(Y, 0, x)
    put(Y, 1, y)
    put(Y, 2, z)
    xx, yy, zz = x * x, y * y, z * z
    if degrees > 1:
        put(Y, 3, _A * x * y)
        put(Y, 4, _A * y * z)
        put(Y, 5, _A * x * z)
        put(Y, 6, 0.5 * _A * (xx - yy))
        put(Y, 7, 0.5 * (3.0 * zz - 1.0))
    if degrees > 2:
        put(Y, 8, _C * y * (3.0 * xx - yy))
        put(Y, 9, _B * x * y * z)
        put(Y, 10, _D * y * (5.0 * zz - 1.0))
        put(Y, 11, 0.5 * z * (5.0 * zz - 3.0))
        put(Y, 12, _D * x * (5.0 * zz - 1.0))
        put(Y, 13, 0.5 * _B * z * (xx - yy))
        put(Y, 14, _C * x * (xx - 3.0 * yy))


@kernel
def by_direction(x, y, z, degrees, g):
    """Derivatives by a direction's components from those by its harmonics, but for their part along
    it."""
    dx, dy, dz = float(number(g, 0)), float(number(g, 1)), float(number(g, 2))
    xx, yy, zz = x * x, y * y, z * z
    if degrees > 1:
        xy, yz, xz, difference, height = (
            number(g, 3),
            number(g, 4),
            number(g, 5),
            number(g, 6),
            number(g, 7),
        )
        dx += _A * (y * xy + z * xz + x * difference)
        dy += _A * (x * xy + z * yz - y * difference)
        dz += _A * (y * yz + x * xz) + 3.0 * z * height
    if degrees > 2:
        a, b, c, d = number(g, 8), number(g, 9), number(g, 10), number(g, 11)
        e, f, h = number(g, 12), number(g, 13), number(g, 14)
        plane, level = 3.0 * _C * (xx - yy), 5.0 * zz - 1.0
        dx += 6.0 * _C * x * y * a + _B * z * (y * b + x * f) + _D * level * e + plane * h
        dy += plane * a + _B * z * (x * b - y * f) + _D * level * c - 6.0 * _C * x * y * h
        dz += (
            _B * (x * y * b + 0.5 * (xx - yy) * f)
            + 10.0 * _D * z * (y * c + x * e)
            + 1.5 * level * d
        )
    return dx, dy, dz
