"""`Split`: a dataset cut into training, validation and test systems."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from mcegnn.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Split:
    """Systems for training, validation (which chooses the best weights) and test; the test systems
    are used once, at the end, and may be none.

    ``whole`` is how many the data set has, those in no part too; None if these are all.
    ``isolated`` are energies of atoms alone, by atomic number, eV; ``notes`` are rows of a table on
    targets and parts, ``doubts`` warnings in sentences.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    whole: int | None = None
    isolated: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = ()

    @classmethod
    def at(cls, dataset: Dataset, validation: int, test: int) -> Self:
        """Cut before system ``validation`` and before system ``test``."""
        return cls(
            dataset.take(slice(0, validation)),
            dataset.take(slice(validation, test)),
            dataset.take(slice(test, None)),
        )

    def part(self, name: str) -> "Part":
        """The part of this name: "train", "validation" or "test"."""
        every = sum(len(one) for one in (self.train, self.validation, self.test))
        whole = every if self.whole is None else self.whole
        return Part(getattr(self, name), name, whole, notes=self.notes)


class Part(NamedTuple):
    """Systems to score, the part of a data set that they are, and the size of the whole.

    ``left_out`` says how many were left out, by the reason; ``notes`` are further rows of a table.
    """

    samples: Dataset
    name: str
    whole: int
    left_out: Mapping[str, int] = {}
    notes: tuple[tuple[str, str], ...] = ()


def random_split(
    dataset: Dataset,
    n_train: int,
    n_validation: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> Split:
    """A random split by Philox of ``seed``; the rest is the test, which may be empty.

    With one seed, validation systems are the same for every ``n_train``, and more training systems
    are those of fewer and others. Systems with the same number in ``groups`` [n] are never cut
    apart, so that a part may have some more than requested. Raises ValueError if there are too few
    systems, nothing to train on, or a number is negative.
    """
    n, noun = len(dataset), dataset.noun
    if n_train < 1 or n_validation < 0:
        raise ValueError(
            f"cannot train on {n_train} {noun} and validate on {n_validation}; give at least 1"
            " and 0"
        )
    if n_train + n_validation > n:
        raise ValueError(
            f"{n_train} {noun} to train on and {n_validation} to validate on are more than the"
            f" {n} there are; ask for fewer"
        )
    if seed < 0:
        raise ValueError(f"the seed must not be negative, not {seed}")
    order = np.random.Generator(np.random.Philox(seed)).permutation(n)
    if groups is None:
        validation, train, test = np.split(order, [n_validation, n_validation + n_train])
    else:
        order = _together(order, groups)
        validation, rest = np.split(order, [_end(groups[order], n_validation)])
        train, test = np.split(rest, [_end(groups[rest], n_train)])
    if not len(train):
        raise ValueError(
            f"the {n} {noun} are copies of so few that none are left to train on; add"
            f" {noun} that differ"
        )
    return Split(dataset.take(train), dataset.take(validation), dataset.take(test))


def _together(order: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The order in which members of a group follow the first of them."""
    first = np.full(len(order), len(order))
    np.minimum.at(first, groups[order], np.arange(len(order)))
    return order[np.argsort(first[groups[order]], kind="stable")]


def _end(groups: np.ndarray, n: int) -> int:
    """Where n are over, or more where the group of the last of them goes on."""
    while 0 < n < len(groups) and groups[n] == groups[n - 1]:
        n += 1
    return n
