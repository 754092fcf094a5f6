"""`Committee`: several potentials whose mean acts, and whose spread is the uncertainty."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from systems.neighbors.sparse import KnowsNeighbors
from systems.system import Evaluation, Potential, System


class ExtrapolationError(RuntimeError):
    """The members of a committee disagree by more than the limit ``stop``."""


class ExtrapolationWarning(UserWarning):
    """A result may be unreliable, since it is an extrapolation."""


class Committee:
    """The mean of several potentials for NumPy systems.

    The uncertainty [...] of an evaluation is the largest over particles of the members'
    root-mean-square distance from the mean force, in units of force. Above ``warn`` a warning is
    given, once for each committee; above ``stop`` `ExtrapolationError` is raised. Raises ValueError
    if there are fewer than two members, or a limit is not positive.
    """

    def __init__(
        self, members: Sequence[Potential], *, warn: float = np.inf, stop: float = np.inf
    ) -> None:
        if len(members) < 2:
            raise ValueError(f"a committee has at least two members, not {len(members)}")
        if not (warn > 0 and stop > 0):
            raise ValueError(f"limits of the uncertainty must be positive, not {warn} and {stop}")
        self.members, self.warn, self.stop = tuple(members), warn, stop
        self._to_warn = [True]  # taking it away is atomic: one warning, whatever the threads

    def __call__(self, system: System) -> Evaluation:
        said = [member(system) for member in self.members]
        forces = np.stack([np.asarray(one.forces) for one in said])
        spread = ((forces - forces.mean(0)) ** 2).sum(-1).mean(0) ** 0.5  # [..., n]
        uncertainty = spread.max(-1, initial=0.0)
        self._judge(spread, system)
        return Evaluation(
            _mean([one.energy for one in said]),
            forces.mean(0),
            _mean([one.stress for one in said]),
            _mean([one.energies for one in said]),
            uncertainty,
            _closest([one.closest for one in said if one.closest is not None]),
            potential=self,
        )

    @property
    def fewest_neighbors(self) -> dict[float, float]:
        """By cutoff, the fewest neighbours on average in the training of its members, that of the
        member with the most."""
        found: dict[float, float] = {}
        for member in self.members:
            if isinstance(member, KnowsNeighbors):
                for cutoff, fewest in member.fewest_neighbors.items():
                    found[cutoff] = max(fewest, found.get(cutoff, 0.0))
        return found

    def _judge(self, spread: np.ndarray, system: System) -> None:
        """Warn or stop if the members disagree."""
        limit = min(self.stop, self.warn if self._to_warn else np.inf)
        if not spread.size or not spread.max() > limit:
            return
        *copy, particle = np.unravel_index(int(spread.argmax()), spread.shape)
        of = f" of system {copy[0]}" if copy else ""
        unit = f" {system.units.energy}/{system.units.length}" if system.units.energy else ""
        said = (
            f"the {len(self.members)} models of the committee disagree on the force on particle"
            f" {particle}{of} by {spread.max():.3g}{unit}"
        )
        if spread.max() > self.stop:
            raise ExtrapolationError(
                f"{said}, more than the {self.stop:g} allowed: they are outside what they were"
                " trained on"
            )
        try:
            self._to_warn.pop()
        except IndexError:  # another thread has warned
            return
        warnings.warn(
            f"{said}, more than {self.warn:g}: they may be outside what they were trained on",
            ExtrapolationWarning,
            stacklevel=3,
        )


def _closest(values: list[Any]) -> Any:
    """That of the member which has been trained least near, [..., 4]."""
    if not values:
        return None
    every = np.stack([np.asarray(value) for value in values])
    return np.take_along_axis(every, every[..., :1].argmin(0)[None], 0)[0]


def _mean(values: list[Any]) -> Any:
    """Mean over all members, or None if one of them gives no value."""
    return (
        None
        if any(value is None for value in values)
        else np.mean(np.stack([np.asarray(value) for value in values]), 0)
    )
