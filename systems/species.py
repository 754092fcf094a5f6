"""Species that a model knows, and the index of each atom's species among them."""

from collections.abc import Sequence

import numpy as np


def checked(species: Sequence[int]) -> tuple[int, ...]:
    """Return the atomic numbers. Raises ValueError if there are none, one occurs twice or is not
    valid."""
    found = tuple(int(z) for z in species)
    if not found or len(set(found)) < len(found) or min(found) < 1:
        raise ValueError(f"species are different atomic numbers, at least one, not {list(species)}")
    return found


def places_among(species: Sequence[int], numbers: np.ndarray) -> np.ndarray:
    """Index of each atomic number among the species, int64 of the same shape. Raises ValueError if
    one is not among them."""
    known = np.array(species)
    order = np.argsort(known)
    at = order[np.searchsorted(known, numbers, sorter=order).clip(max=len(known) - 1)]
    strange = np.unique(numbers[known[at] != numbers])
    if len(strange):
        from ase.data import chemical_symbols as symbols

        those, these = (", ".join(symbols[z] for z in group) for group in (strange, sorted(known)))
        raise ValueError(f"the model was not trained on {those}, only on {these}")
    return at
