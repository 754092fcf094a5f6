"""Data are known again by the fingerprints that models and checkpoints keep: those of today, and
those of version 0.1, of which each kind of data had its own."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mcegnn.data.assembly import dataset_of_pairs, join_datasets
from mcegnn.data.dataset import Dataset
from mcegnn.data.fingerprints_0_1 import same_data
from mcegnn.data.label_targets import with_labels
from mcegnn.data.target import Target
from systems.system import System

STARTS, SPECIES = np.array([0, 3, 5]), np.array([8, 1, 1, 1, 9])


def numbers(*shape: int, of: float = 0.0) -> np.ndarray:
    return np.sin(of + np.arange(np.prod(shape))).reshape(shape)


def structures() -> Dataset:
    """A molecule whose stress nobody knows, and a crystal."""
    return with_labels(
        Dataset(
            STARTS,
            SPECIES,
            numbers(5, 3),
            cell=np.stack([np.zeros((3, 3)), 4.0 * np.eye(3)]),
            pbc=np.array([[False] * 3, [True] * 3]),
        ),
        energy=numbers(2, of=2.0),
        forces=numbers(5, 3, of=1.0),
        stress=np.stack([np.full((3, 3), np.nan), numbers(3, 3, of=3.0)]),
    )


def molecules() -> Dataset:
    values = {"gap": numbers(2, of=1.0), "U0": numbers(2, of=2.0)}
    targets = {name: Target(value, "eV") for name, value in values.items()}
    return Dataset(STARTS, SPECIES, numbers(5, 3), targets, noun="molecules")


def samples() -> Dataset:
    charges = numbers(9, 4, of=5.0)
    before, after = (
        System.create(
            numbers(9, 4, 3, of=of), velocities=numbers(9, 4, 3, of=of + 1.0), charges=charges
        )
        for of in (0.0, 2.0)
    )
    return dataset_of_pairs(before, after, 0.5)


#: made by version 0.1's `digest` of the same numbers
OLD: dict[str, tuple[str, Dataset]] = {
    "structures": ("2 structures, 6ea8a41694df", structures()),
    "a sample of many structures": (
        "8002 structures, 6e398edc7f06",
        join_datasets([structures()] * 4001),
    ),
    "molecules": ("2 molecules, fa73b0bd7ef5", molecules()),
    "the first of many molecules": (
        "3000 molecules, e5cc3ee08aa4",
        molecules().take(np.arange(3000) % 2),
    ),
    "samples": ("9 samples, c4a4d8300100", samples()),
}


@pytest.mark.parametrize("kind", OLD)
def test_data_are_known_again(kind: str) -> None:
    """By either fingerprint, after rounding too, and not by that of the others."""
    old, dataset = OLD[kind]
    new = dataset.fingerprint()
    assert re.fullmatch(rf"{len(dataset)} {dataset.noun}, [0-9a-f]{{16}}", new)
    rounded = replace(dataset, positions=dataset.positions * (1 + 1e-12))
    for recorded in (old, new):
        assert same_data(recorded, dataset)
        assert same_data(recorded, rounded)
        others = [other for name, (_, other) in OLD.items() if name != kind]
        assert not any(same_data(recorded, other) for other in others)


@pytest.mark.parametrize("kind", OLD)
def test_data_that_changed_are_not(kind: str) -> None:
    """Whichever numbers are others, in whichever order the systems are, and however many."""
    old, dataset = OLD[kind]
    changed = [dataset.take(slice(None, None, -1)), dataset.take(slice(0, -1))]
    changed.append(replace(dataset, positions=dataset.positions + 1e-3))
    for name in ("cell", "pbc", "species"):
        array: Any = getattr(dataset, name)
        if array is not None and (name != "species" or dataset.noun != "samples"):
            changed.append(replace(dataset, **{name: array + array.dtype.type(1)}))
    changed += [
        dataset.with_values(**{name: np.nan_to_num(dataset[name]) + 1e-3})
        for name in dataset.targets
        if name != "velocities"  # which version 0.1 did not look at
    ]
    for recorded in (old, dataset.fingerprint()):
        assert [one for one in changed if same_data(recorded, one)] == []


def test_velocities_masses_and_charges_count() -> None:
    found = samples()
    others = [
        found.with_values(velocities=found["velocities"] + 1e-3),
        replace(found, momenta=np.add(found.momenta, 1e-3)),  # type: ignore[arg-type]
        replace(found, charges=np.add(found.charges, 1e-3)),  # type: ignore[arg-type]
        replace(found, masses=np.multiply(found.masses, 2.0)),  # type: ignore[arg-type]
    ]
    assert len({found.fingerprint(), *(one.fingerprint() for one in others)}) == 5


@pytest.mark.parametrize("recorded", ["", "2 structures", "2 structures, 6ea8a41694d", "x" * 12])
def test_what_is_no_fingerprint_is_of_no_data(recorded: str) -> None:
    assert not same_data(recorded, structures())
