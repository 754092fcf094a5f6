"""Short hashes of numbers that are the same on every machine."""

import hashlib
from collections.abc import Sequence

import numpy as np


def hash_numbers(counts: Sequence[np.ndarray], numbers: Sequence[np.ndarray | None]) -> str:
    """Hash whole numbers, and others to seven digits; of those that are None nothing is hashed.

    Returns 64 hexadecimal digits.
    """
    found = hashlib.sha256(np.concatenate(counts).astype("<i8").tobytes())
    for values in numbers:
        if values is not None:
            # zero added makes a negative zero positive
            text = " ".join(f"{value:.6e}" for value in (values.ravel() + 0.0).tolist())
            found.update(text.encode())
    return found.hexdigest()
