"""Numba solver of Kepler's problem in universal variables; `integrators.kepler` holds the same in whole arrays."""

import math

from systems.kernel import jit


@jit
def stumpff(z):
    """c0 ... c3 of z: a series for small arguments, quadrupling of the argument for others."""
    halvings = 0
    while abs(z) > 0.2:
        z *= 0.25
        halvings += 1
    c2 = 1.0 / 2.0 - z * (1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40320.0 - z * (1.0 / 3628800.0 - z * (
        1.0 / 479001600.0 - z * (1.0 / 87178291200.0))))))  # fmt: skip
    c3 = 1.0 / 6.0 - z * (1.0 / 120.0 - z * (1.0 / 5040.0 - z * (1.0 / 362880.0 - z * (1.0 / 39916800.0 - z * (
        1.0 / 6227020800.0 - z * (1.0 / 1307674368000.0))))))  # fmt: skip
    c0 = 1.0 - z * c2
    c1 = 1.0 - z * c3
    for _ in range(halvings):
        c3 = 0.25 * (c2 + c0 * c3)
        c2 = 0.5 * c1 * c1
        c1 = c0 * c1
        c0 = 2.0 * c0 * c0 - 1.0
    return c0, c1, c2, c3


@jit
def bisect(r0, eta, zeta, beta, t):
    """The root of Kepler's equation where Halley's iteration does not settle; the left side grows with X everywhere."""
    sign = 1.0 if t > 0 else -1.0
    low, high = 0.0, sign * abs(t) / r0
    for _ in range(200):
        _, _, c2, c3 = stumpff(beta * high * high)
        if sign * (high * (r0 + high * (eta * c2 + high * zeta * c3)) - t) > 0:
            break
        low, high = high, 2.0 * high
    for _ in range(120):
        middle = 0.5 * (low + high)
        _, _, c2, c3 = stumpff(beta * middle * middle)
        if sign * (middle * (r0 + middle * (eta * c2 + middle * zeta * c3)) - t) > 0:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


@jit
def kepler_coefficients(qx, qy, qz, vx, vy, vz, mu, dt):
    """f - 1, g, f', g' - 1 of one body; see `integrators.kepler.kepler_coefficients`."""
    r2 = qx * qx + qy * qy + qz * qz
    r0 = math.sqrt(r2)
    inverse = 1.0 / r0
    eta = qx * vx + qy * vy + qz * vz
    beta = 2.0 * mu * inverse - (vx * vx + vy * vy + vz * vz)
    zeta = mu - beta * r0
    t = dt
    if beta > 0.0 and beta * dt * dt * beta * beta > 9.0 * mu * mu:  # more than about half a period
        period = 2.0 * math.pi * mu / (beta * math.sqrt(beta))
        t = dt - period * round(dt / period)
    # the root to third order in t, then Halley's iteration
    u, a = t * inverse, 0.5 * eta * inverse
    X = u * (1.0 - u * (a - u * (2.0 * a * a - zeta * inverse / 6.0)))
    settled = False
    c0 = g1 = g2 = g3 = 0.0
    for _ in range(12):
        c0, c1, c2, c3 = stumpff(beta * X * X)
        g1, g2, g3 = X * c1, X * X * c2, X * X * X * c3
        error = r0 * X + eta * g2 + zeta * g3 - t
        r, slope = r0 + eta * g1 + zeta * g2, eta * c0 + zeta * g1
        step = -2.0 * error * r / (2.0 * r * r - error * slope)
        X += step
        if abs(step) <= 1e-6 * abs(X):
            settled = True
            break
    if settled:
        # the iteration is cubic, so X is the root by now; the functions follow it by their Taylor series, G_k' = G_(k-1)
        h, h2 = step, 0.5 * step * step
        g3 += h * g2 + h2 * g1
        g2 += h * g1 + h2 * c0
        g1 += h * c0 - h2 * beta * g1
    else:
        X = bisect(r0, eta, zeta, beta, t)
        c0, c1, c2, c3 = stumpff(beta * X * X)
        g1, g2, g3 = X * c1, X * X * c2, X * X * X * c3
    inverse_r = 1.0 / (r0 + eta * g1 + zeta * g2)
    return -mu * g2 * inverse, t - mu * g3, -mu * g1 * inverse * inverse_r, -mu * g2 * inverse_r
