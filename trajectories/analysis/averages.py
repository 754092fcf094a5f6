"""Means of correlated series with errors, by blocks (Flyvbjerg and Petersen, J. Chem. Phys. 91 (1989) 461)."""

import numpy as np

_FEWEST = 8  # blocks whose scatter is still known


def block_error(values: np.ndarray) -> float:
    """Standard error of the mean of one series [n]; nan below eight numbers, and the least that it may be where all of it is correlated.

    Neighbours are averaged again and again, until blocks of B numbers have B^3 > 2 n (error / error of single numbers)^4 (Lee et al.,
    Phys. Rev. E 83 (2011) 066706), which weighs the error's own scatter against what is left of the correlation.
    """
    x = np.asarray(values, dtype=float)
    n, block, single, largest = len(x), 1, 0.0, float("nan")
    if not np.isfinite(x).all():
        return float("nan")
    while len(x) >= _FEWEST:
        error = float(np.sqrt(x.var() / (len(x) - 1)))
        single = single or error
        if error == 0.0 or block**3 > 2 * n * (error / single) ** 4:
            return error
        largest = max(error, largest) if block > 1 else error
        x = 0.5 * (x[: len(x) // 2 * 2 : 2] + x[1::2])
        block *= 2
    return largest


def mean_and_error(values: np.ndarray) -> tuple[float, float | None]:
    """Mean of a series [n] or of independent ones [n, n_systems], and its standard error; None where that cannot be told."""
    series = np.asarray(values, dtype=float).reshape(len(values), -1)
    each = np.array([block_error(one) for one in series.T])
    if np.isfinite(each).all():
        return float(series.mean()), float(np.sqrt((each**2).sum()) / len(each))
    if series.shape[1] >= _FEWEST:
        means = series.mean(0)
        return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))
    return float(series.mean()), None
