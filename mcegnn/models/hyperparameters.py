"""Checks of a potential's hyper-parameters."""

from collections.abc import Sequence

import numpy as np

from mcegnn.harmonics import MOST
from mcegnn.names import check_counts


def channels_of(n_channels: int | Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of channels of each rank, of which one is that of vectors alone."""
    if isinstance(n_channels, Sequence) and not isinstance(n_channels, str):
        return tuple(n_channels)
    return (n_channels,)


def check_channels(channels: tuple[int, ...], n_couplings: int) -> None:
    """Raise ValueError if the numbers of channels, or of those that are coupled, are not sound."""
    for count in channels:
        check_counts(n_channels=count)
    if not 1 <= len(channels) <= MOST:
        raise ValueError(
            f"n_channels are of vectors and of tensors up to rank {MOST}: one to {MOST}"
            f" numbers, not {len(channels)}"
        )
    most = min(channels) if len(channels) > 1 else 0
    whole = isinstance(n_couplings, int) and not isinstance(n_couplings, bool)
    if not whole or not 0 <= n_couplings <= most:
        allowed = (
            f"at most the fewest channels, and 0 with vectors alone: 0 to {most}, not"
            f" {n_couplings!r}"
        )
        raise ValueError(f"n_couplings is {allowed}; set n_couplings={most}")


def one_of_each(reference_energies: Sequence[float], n: int) -> np.ndarray:
    """Return reference energies of n species [n], zeros where none are given.

    Raises ValueError if there are not as many.
    """
    if reference_energies and len(reference_energies) != n:
        raise ValueError(
            f"{n} species need as many reference energies, not {len(reference_energies)}"
        )
    return np.array(reference_energies or [0.0] * n, dtype=float)


def distances_of(nearest: Sequence[Sequence[float]], n: int) -> np.ndarray:
    """Return nearest distances as an array [n, n].

    Raises ValueError if they are not symmetric, finite and never below zero.
    """
    table = np.array(nearest, dtype=float)
    if (
        table.shape != (n, n)
        or not np.isfinite(table).all()
        or (table < 0.0).any()
        or (table != table.T).any()
    ):
        raise ValueError(
            f"nearest are {n} rows of {n} distances, the same from both sides and never below zero,"
            f" not {nearest}"
        )
    return table
