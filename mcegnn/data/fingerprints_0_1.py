"""Fingerprints of data as version 0.1 wrote them into models and checkpoints, to know their data
again."""

import hashlib

import numpy as np

from mcegnn.data.dataset import Dataset

_MOST_ATOMS, _MOST_MOLECULES, _DIGITS = 20_000, 1000, 12


def same_data(recorded: str, dataset: Dataset) -> bool:
    """Whether a fingerprint, of this version or of 0.1, is the dataset's."""
    old = len(str(recorded).rpartition(" ")[2]) == _DIGITS
    return recorded == (_fingerprint(dataset) if old else dataset.fingerprint())


def _fingerprint(dataset: Dataset) -> str:
    """Each kind of data had its own."""
    if dataset.interval:
        found = hashlib.sha256()
        for x in (dataset.ensemble().positions, dataset.of_ensemble("positions")):
            found.update(np.array([f"{value:.6e}" for value in x[:8].ravel()]).tobytes())
    elif dataset.noun == "molecules":
        some = dataset.take(slice(0, _MOST_MOLECULES))
        found = hashlib.sha256(np.concatenate([some.sizes, some.species]).astype("<i8").tobytes())
        _add(found, some.positions, *(some[name] for name in sorted(some.targets)))
    else:
        some = dataset.take(slice(None, None, max(1, -(-len(dataset.species) // _MOST_ATOMS))))
        counts = [some.sizes, some.species, some.periodic.ravel()]
        found = hashlib.sha256(np.concatenate(counts).astype("<i8").tobytes())
        _add(found, some.positions, some["forces"], some["energy"], some.cells, some["stress"])
    return f"{len(dataset)} {dataset.noun}, {found.hexdigest()[:_DIGITS]}"


def _add(found: "hashlib._Hash", *arrays: np.ndarray) -> None:
    for numbers in arrays:
        # zero added makes a negative zero positive
        text = " ".join(f"{value:.6e}" for value in (numbers.ravel() + 0.0).tolist())
        found.update(text.encode())
