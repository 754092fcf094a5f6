"""Fingerprints of data as version 0.1 wrote them into models and checkpoints, to know their data
again."""

import hashlib

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.data.hashes import hash_numbers

_MOST_ATOMS, _MOST_MOLECULES, _DIGITS = 20_000, 1000, 12


def same_data(recorded: str, dataset: Dataset) -> bool:
    """Whether a fingerprint, of this version or of 0.1, is the dataset's."""
    old = len(str(recorded).rpartition(" ")[2]) == _DIGITS
    return recorded == (_fingerprint(dataset) if old else dataset.fingerprint())


def _fingerprint(dataset: Dataset) -> str:
    """Each kind of data had its own."""
    if dataset.interval:
        digits = _hash_text(dataset.ensemble().positions, dataset.of_ensemble("positions"))
    elif dataset.noun == "molecules":
        some = dataset.take(slice(0, _MOST_MOLECULES))
        targets = [some[name] for name in sorted(some.targets)]
        digits = hash_numbers([some.sizes, some.species], [some.positions, *targets])
    else:
        some = dataset.take(slice(None, None, max(1, -(-len(dataset.species) // _MOST_ATOMS))))
        counts = [some.sizes, some.species, some.periodic.ravel()]
        known = [some.positions, some["forces"], some["energy"], some.cells, some["stress"]]
        digits = hash_numbers(counts, known)
    return f"{len(dataset)} {dataset.noun}, {digits[:_DIGITS]}"


def _hash_text(*arrays: np.ndarray) -> str:
    """Of the first samples, as arrays of text."""
    found = hashlib.sha256()
    for x in arrays:
        found.update(np.array([f"{value:.6e}" for value in x[:8].ravel()]).tobytes())
    return found.hexdigest()
