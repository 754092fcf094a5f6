"""Real spherical harmonics of degrees one to three as plain arithmetic, and how products of two of
them hold others."""

import math
from functools import cache
from typing import Any

import numpy as np

MOST = 3  #: degrees


def components(x: Any, y: Any, z: Any, n_degrees: int) -> list[list[Any]]:
    """The 2 l + 1 harmonics of degree l = 1 ... n_degrees of directions x, y, z: of unit length
    together for every direction.

    Those of a degree transform under rotations among themselves; those of degree 1 are x, y, z.
    """
    xx, yy, zz = x * x, y * y, z * z
    a, b, c, d = math.sqrt(3.0), math.sqrt(15.0), math.sqrt(5.0 / 8.0), math.sqrt(3.0 / 8.0)
    by_degree = [
        [x, y, z],
        [a * x * y, a * y * z, a * x * z, 0.5 * a * (xx - yy), 0.5 * (3.0 * zz - 1.0)],
        [
            c * y * (3.0 * xx - yy),
            b * x * y * z,
            d * y * (5.0 * zz - 1.0),
            0.5 * z * (5.0 * zz - 3.0),
            d * x * (5.0 * zz - 1.0),
            0.5 * b * z * (xx - yy),
            c * x * (xx - 3.0 * yy),
        ],
    ]
    return by_degree[:n_degrees]


@cache
def couplings(n_degrees: int) -> np.ndarray:
    """The couplings T [c, a, b] of tensors given by their components, degree after degree,
    n_degrees (n_degrees + 2) in all.

    sum_ab T_cab L_a R_b turns as the harmonics do, and is mirrored as they are: for each three
    degrees it is the integral of three harmonics over the sphere, Gaunt's, scaled so that the
    squares of the numbers of each component c add up to one. Those of an odd sum of degrees are
    zero, among them the cross product of vectors.
    """
    # exact for polynomials of degree 3 n_degrees
    heights, shares = np.polynomial.legendre.leggauss(2 * MOST)
    angles = 2.0 * np.pi * np.arange(4 * MOST) / (4 * MOST)
    z, turn = (a.ravel() for a in np.meshgrid(heights, angles, indexing="ij"))
    level = np.sqrt(1.0 - z * z)
    harmonics = [
        np.stack(parts)
        for parts in components(level * np.cos(turn), level * np.sin(turn), z, n_degrees)
    ]
    weights = np.repeat(shares, len(angles)) / (2.0 * len(angles))
    blocks = [
        [
            [_scaled(np.einsum("cp,ap,bp,p->cab", out, a, b, weights)) for b in harmonics]
            for a in harmonics
        ]
        for out in harmonics
    ]
    table: np.ndarray = np.concatenate(
        [np.concatenate([np.concatenate(row, 2) for row in part], 1) for part in blocks], 0
    )
    table.flags.writeable = False
    return table


def _scaled(integrals: np.ndarray) -> np.ndarray:
    """With squares that add up to one for each c; zeros where all vanish."""
    kept = np.where(abs(integrals) < 1e-12, 0.0, integrals)
    size = math.sqrt((kept**2).sum() / len(kept))
    return kept / size if size else kept
