"""Diffusion coefficients by Einstein's relation, with intervals from independent blocks of a
run."""

from dataclasses import dataclass

import numpy as np

from trajectories.analysis.blocks import Group, spacing
from trajectories.analysis.correlation import longest_lag, mean_squared_displacement
from trajectories.storage.h5md import H5MDReader

_BLOCKS = 5  # of a run whose diffusion is judged
_SHORTEST = 20  # frames in one of them


@dataclass(frozen=True)
class Diffusion:
    """D in length^2 / time, half of its 95 % interval, the lags fitted, in time, and the power of
    time that displacements grow with.

    ``powers`` are those of the first and of the second half of these lags, ``displacement`` is the
    mean squared one at the last of them. ``interval`` is None for fewer than three blocks.
    """

    coefficient: float
    interval: float | None
    begin: float
    end: float
    power: float
    powers: tuple[float, float]
    displacement: float
    n_blocks: int


@dataclass(frozen=True)
class _Lags:
    """The lags, in frames ``apart`` from each other, between which lines are fitted in each of
    ``n_blocks`` blocks of ``length`` frames."""

    low: int
    high: int
    apart: float
    n_blocks: int
    length: int

    @property
    def numbers(self) -> np.ndarray:
        """The lags, in frames."""
        return np.arange(self.low, self.high + 1)

    @property
    def blocks(self) -> list[slice]:
        """The frames of each block."""
        return [slice(k * self.length, (k + 1) * self.length) for k in range(self.n_blocks)]


def diffusion(
    run: H5MDReader,
    group: Group,
    begin: float | None = None,
    end: float | None = None,
    *,
    about_center: bool = False,
) -> Diffusion:
    """Einstein's D, the slope of the mean squared displacement over six, in five blocks of the run
    (fewer where they would be short).

    Each block and each system is a sample of its own, so the interval is Student's and needs no
    model of how lags correlate. ``begin`` and ``end`` are the lags between which the line is
    fitted: a tenth and a half of a block else. ``about_center`` is as in
    `mean_squared_displacement`. Raises ValueError below 20 frames, and for lags that are not within
    a block.
    """
    lags = _lags(run, begin, end)
    slopes, curves = [], []
    for block in lags.blocks:
        msd = mean_squared_displacement(
            run, {"": group}, lags.high, block, about_center=about_center
        )[""]
        curves.append(msd.mean(1))
        slopes += [
            np.polyfit(lags.numbers * lags.apart, column, 1)[0] / 6.0
            for column in msd[lags.low :].T
        ]
    samples, mean = np.array(slopes), np.mean(curves, 0)
    power, powers = _powers(lags.numbers, mean[lags.low :])
    return Diffusion(
        float(samples.mean()),
        _half_interval(samples),
        lags.low * lags.apart,
        lags.high * lags.apart,
        power,
        powers,
        float(mean[-1]),
        lags.n_blocks,
    )


def _lags(run: H5MDReader, begin: float | None, end: float | None) -> _Lags:
    n = len(run)
    if n < _SHORTEST:
        raise ValueError(f"a diffusion coefficient takes at least {_SHORTEST} frames, not {n}")
    apart = spacing(run.times)
    n_blocks = max(1, min(_BLOCKS, n // _SHORTEST))
    length = n // n_blocks
    most = longest_lag(run, length)
    low = max(1, length // 10) if begin is None else max(1, round(begin / apart))
    high = most if end is None else round(end / apart)
    if not low < high <= most:
        raise ValueError(
            f"the lags to be fitted must lie between {apart:.4g} and {most * apart:.4g}, the"
            " beginning before the end"
        )
    return _Lags(low, high, apart, n_blocks, length)


def _powers(lags: np.ndarray, displacements: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The power of time that displacements grow with; and in the first and second half of the
    lags."""
    grown, half = np.log(np.maximum(displacements, 1e-300)), len(lags) // 2

    def power(part: slice) -> float:
        return float(np.polyfit(np.log(lags[part]), grown[part], 1)[0])

    return power(slice(None)), (power(slice(half + 1)), power(slice(half - 1, None)))


def _half_interval(samples: np.ndarray) -> float | None:
    """Half of Student's 95 % interval of their mean; None for fewer than three."""
    if len(samples) < 3:
        return None
    from scipy import special

    quantile = special.stdtrit(len(samples) - 1, 0.975)
    return float(quantile * samples.std(ddof=1) / np.sqrt(len(samples)))
