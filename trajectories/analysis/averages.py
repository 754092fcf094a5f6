"""Means of correlated series with errors, by blocks (Flyvbjerg and Petersen, J. Chem. Phys. 91
(1989) 461)."""

from typing import NamedTuple

import numpy as np

_FEWEST = 8  # blocks whose scatter is still known
# standard errors, of a known error and of one that may be larger, from which on a change is one:
# each is seen in about a hundredth of series that fluctuate faster than a tenth of their length
_SURE, _LEAST_SURE = 3.0, 6.0


class Mean(NamedTuple):
    """A mean with its standard error, None if unknown; ``least`` is whether the error is only a
    lower bound."""

    value: float
    error: float | None
    least: bool


def block_error(values: np.ndarray) -> float:
    """Standard error of the mean of one series [n]; nan below eight numbers, and a lower bound if
    the whole series is correlated.

    Neighbours are averaged again and again, until blocks of B numbers have B^3 > 2 n (error / error
    of single numbers)^4 (Lee et al., Phys. Rev. E 83 (2011) 066706), which weighs the error's own
    scatter against what is left of the correlation.
    """
    return _blocked(np.asarray(values, dtype=float))[0]


def _blocked(x: np.ndarray) -> tuple[float, bool]:
    """The error, and whether blocks became long enough for it to be more than a lower bound."""
    n, block, single, largest = len(x), 1, 0.0, float("nan")
    if not np.isfinite(x).all():
        return float("nan"), False
    while len(x) >= _FEWEST:
        error = float(np.sqrt(x.var() / (len(x) - 1)))
        single = single or error
        if error == 0.0 or block**3 > 2 * n * (error / single) ** 4:
            return error, True
        largest = max(error, largest) if block > 1 else error
        x = 0.5 * (x[: len(x) // 2 * 2 : 2] + x[1::2])
        block *= 2
    return largest, False


def mean_and_error(values: np.ndarray) -> Mean:
    """Mean of a series [n] or of independent ones [n, n_systems], and its standard error."""
    series = np.asarray(values, dtype=float).reshape(len(values), -1)
    each = [_blocked(one) for one in series.T]
    errors = np.array([error for error, _ in each])
    if np.isfinite(errors).all() and all(long for _, long in each):
        return Mean(float(series.mean()), float(np.sqrt((errors**2).sum()) / len(each)), False)
    if series.shape[1] >= _FEWEST:
        means = series.mean(0)
        return Mean(float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means))), False)
    if np.isfinite(errors).all():
        return Mean(float(series.mean()), float(np.sqrt((errors**2).sum()) / len(each)), True)
    return Mean(float(series.mean()), None, False)


def trend(values: np.ndarray) -> Mean | None:
    """Change of a series [n], or of the mean of independent ones [n, n_systems], from end to end
    along its regression line; None if it is not significant.

    The standard error is that of the line's slope, by blocks of what is left beside the line.
    """
    series = np.asarray(values, dtype=float).reshape(len(values), -1).mean(1)
    if len(series) < _FEWEST or not np.isfinite(series).all():
        return None
    along = np.linspace(-0.5, 0.5, len(series))
    change = float(along @ series / (along @ along))
    beside = mean_and_error(series - change * along)
    if beside.error is None:
        return None
    error = float(np.sqrt(12.0)) * beside.error  # of places that are evenly spread
    rounding = 1e-9 * float(abs(series).max())
    if abs(change) <= max((_LEAST_SURE if beside.least else _SURE) * error, rounding):
        return None
    return Mean(change, error, beside.least)
