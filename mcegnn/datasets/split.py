"""What a dynamics model learns from: pairs of systems a fixed time apart, and their split into
training, validation and test."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from systems.system import System


@dataclass(frozen=True, eq=False)
class Samples:
    """Ensembles [n_samples, n_particles, ...] of the same particles before and after ``interval``,
    in the systems' units."""

    before: System
    after: System
    interval: float

    def __len__(self) -> int:
        return int(self.before.positions.shape[0])

    def take(self, which: slice | np.ndarray) -> "Samples":
        """Some of the samples."""
        return Samples(_take(self.before, which), _take(self.after, which), self.interval)


def _take(system: System, which: slice | np.ndarray) -> System:
    return replace(
        system,
        positions=system.positions[which],
        momenta=system.momenta[which],
        charges=system.charges[which],
    )


@dataclass(frozen=True, eq=False)
class Split:
    """Samples to train on, to choose by, and to report; test samples are looked at once, at the
    end.

    ``whole`` is how many the data set has, those in no part too; None where these are all.
    """

    train: Samples
    validation: Samples
    test: Samples
    whole: int | None = None

    @classmethod
    def at(cls, samples: Samples, validation: int, test: int) -> Self:
        """Cut before sample ``validation`` and before sample ``test``."""
        return cls(
            samples.take(slice(0, validation)),
            samples.take(slice(validation, test)),
            samples.take(slice(test, None)),
        )


class Part(NamedTuple):
    """Samples, structures or molecules to score, which part of a data set they are, and how many
    there are in it.

    ``left_out`` says how many were, by the reason; ``notes`` what else there is to say, rows of a
    table.
    """

    samples: Any
    name: str
    whole: int
    left_out: Mapping[str, int] = {}
    notes: tuple[tuple[str, str], ...] = ()


def part_of(split: Any, name: str) -> Part:
    """A part of a split of any kind by its name."""
    every = sum(len(one) for one in (split.train, split.validation, split.test))
    whole = every if split.whole is None else split.whole
    return Part(getattr(split, name), name, whole, notes=getattr(split, "notes", ()))
