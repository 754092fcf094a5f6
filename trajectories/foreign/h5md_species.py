"""Atomic numbers in H5MD files of other programs: ZnH5MD keeps them as the species of particles."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trajectories.storage.layout import GROUP

_BY_NUMBER = "ZnH5MD"  # what keeps atomic numbers
_STANDARD = ("box", "position", "velocity", "force", "mass", "charge", "image", "id", "species")


def atomic_numbers(path: Path) -> np.ndarray | None:
    """[n_particles] of an H5MD file that another program wrote; None where its species are none.

    The standard leaves open what species are. They are taken for atomic numbers where ZnH5MD says
    that it made the file, and where they are no types that are counted from one on. They must be
    whole, from 1 to 118, and the same in all frames.
    """
    try:
        with h5py.File(path, "r") as file:
            groups = list(file["particles"])
            if "h5md" not in file or len(groups) != 1 or groups[0] == GROUP.split("/")[1]:
                return None
            species = _read(file["particles"][groups[0]]["species"])
            creator = str(file["h5md/creator"].attrs.get("name", ""))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError):
        return None
    first = species.reshape(-1, species.shape[-1])[0]
    if not (np.isfinite(species).all() and (species == first).all() and (first % 1 == 0).all()):
        return None
    numbers = first.astype(int)
    found = np.unique(numbers)
    types = list(found) == list(range(1, len(found) + 1)) and creator != _BY_NUMBER
    return None if found[0] < 1 or found[-1] > 118 or types else numbers


def left_unread(path: Path) -> list[str]:
    """What such a file keeps of its particles that the standard does not know, by name."""
    with h5py.File(path, "r") as file:
        (group,) = file["particles"].values()
        return sorted(set(group) - set(_STANDARD))


def _read(species: Any) -> np.ndarray:
    """Those of all frames, or of a file that keeps them once."""
    return np.asarray(species["value"] if isinstance(species, h5py.Group) else species, dtype=float)
