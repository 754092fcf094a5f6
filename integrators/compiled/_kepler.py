"""Numba solver of Kepler's problem in universal variables; `integrators.kepler` holds the same in
whole arrays."""

import math

from systems.kernel import inlined_jit

TURN = 2.0 * math.pi
HALVINGS, DOUBLINGS = 520, 2200  # at most, as in `integrators.kepler`


@inlined_jit
def stumpff(z):
    """c0 ... c3 of z: a series for small arguments, quadrupling of the argument for others."""
    halvings = 0
    while abs(z) > 0.2 and halvings < HALVINGS:
        z *= 0.25
        halvings += 1
    c2 = 1.0 / 2.0 - z * (
        1.0 / 24.0
        - z
        * (
            1.0 / 720.0
            - z
            * (
                1.0 / 40320.0
                - z * (1.0 / 3628800.0 - z * (1.0 / 479001600.0 - z * (1.0 / 87178291200.0)))
            )
        )
    )
    c3 = 1.0 / 6.0 - z * (
        1.0 / 120.0
        - z
        * (
            1.0 / 5040.0
            - z
            * (
                1.0 / 362880.0
                - z * (1.0 / 39916800.0 - z * (1.0 / 6227020800.0 - z * (1.0 / 1307674368000.0)))
            )
        )
    )
    c0 = 1.0 - z * c2
    c1 = 1.0 - z * c3
    for _ in range(halvings):
        c3 = 0.25 * (c2 + c0 * c3)
        c2 = 0.5 * c1 * c1
        c1 = c0 * c1
        c0 = 2.0 * c0 * c0 - 1.0
    return c0, c1, c2, c3


@inlined_jit
def kepler_equation(X, r0, eta, zeta, beta):
    """r0 X + eta G2 + zeta G3, which grows with X everywhere, and its slope, the distance r."""
    _, c1, c2, c3 = stumpff(beta * X * X)
    return X * (r0 + X * (eta * c2 + X * zeta * c3)), r0 + X * (eta * c1 + X * zeta * c2)


@inlined_jit
def bracketed(r0, eta, zeta, beta, t):
    """The root of Kepler's equation for a time of either sign by Newton's steps that never leave a
    shrinking bracket."""
    sign = 1.0 if t > 0.0 else -1.0
    eta, t = sign * eta, sign * t
    low, high = 0.0, t / r0
    if beta > 0.0:
        high = TURN / math.sqrt(
            beta
        )  # t is at most half a period, so the anomaly changes by less than a turn
    else:
        if (
            high == 0.0
        ):  # so short a time, or so far away, that the anomaly's change underflows: nothing moves
            return 0.0
        for _ in range(DOUBLINGS):
            if not kepler_equation(high, r0, eta, zeta, beta)[0] < t:
                break
            low, high = high, 2.0 * high
    X, last = 0.5 * (low + high), high - low
    for _ in range(200):
        value, slope = kepler_equation(X, r0, eta, zeta, beta)
        if value <= t:
            low = X
        else:  # above, or overflown and so far above
            high = X
        new = X - (value - t) / slope
        # far out on a hyperbola Newton's steps are all of length one, and halving is quicker
        newton = low <= new <= high and abs(new - X) <= 0.5 * last
        if not newton:
            new = 0.5 * (low + high)
        last = abs(new - X)
        # Newton's steps converge quadratically: the one after a small step would be lost in
        # round-off
        done = last <= (1e-11 if newton else 4e-16) * abs(new)
        X = new
        if done:
            break
    return sign * X


@inlined_jit
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
        period = TURN * mu / (beta * math.sqrt(beta))
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
        if not abs(beta) * X * X < TURN * TURN:  # beyond a turn, or not a number: far from the root
            break
        if abs(step) <= 1e-6 * abs(X):
            settled = True
            break
    if settled:
        # the iteration is cubic, so X is the root by now; the functions follow it by their Taylor
        # series, G_k' = G_(k-1)
        h, h2 = step, 0.5 * step * step
        g3 += h * g2 + h2 * g1
        g2 += h * g1 + h2 * c0
        g1 += h * c0 - h2 * beta * g1
    else:
        X = bracketed(r0, eta, zeta, beta, t)
        c0, c1, c2, c3 = stumpff(beta * X * X)
        g1, g2, g3 = X * c1, X * X * c2, X * X * X * c3
    inverse_r = 1.0 / (r0 + eta * g1 + zeta * g2)
    return -mu * g2 * inverse, t - mu * g3, -mu * g1 * inverse * inverse_r, -mu * g2 * inverse_r
