"""The shortest distances between elements in labelled structures, and the fewest neighbours: beyond
them a potential extrapolates."""

from collections.abc import Sequence

import numpy as np

from mcegnn.data.dataset import Dataset
from systems.neighbors.lists import NeighborList
from systems.neighbors.sparse import mean_neighbors
from systems.species import places_among


def nearest_distances(structures: Dataset, species: Sequence[int], cutoff: float) -> np.ndarray:
    """[n_species, n_species] (Angstrom), zero for pairs that no structure has within ``cutoff``."""
    least = np.full((len(species), len(species)), np.inf)
    for k in range(len(structures)):
        system = structures.system(k)
        pairs = NeighborList(cutoff)(*system.geometry)
        kinds = places_among(species, np.asarray(system.species))
        apart = np.linalg.norm(pairs.offsets(system.positions, system.cell), axis=-1)
        np.minimum.at(least, (kinds[pairs.i], kinds[pairs.j]), apart)
    least = np.minimum(least, least.T)  # to the last bit, both ways
    return np.where(np.isfinite(least), least, 0.0)


def nearest_of_both(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The shorter of two such tables, where zero is no distance at all."""
    both = np.minimum(np.where(one > 0.0, one, np.inf), np.where(other > 0.0, other, np.inf))
    return np.where(np.isfinite(both), both, 0.0)


def fewest_neighbors(structures: Dataset, cutoff: float) -> float:
    """The least mean number of neighbours within ``cutoff`` (Angstrom) that an atom of a structure
    has; zero where one has none at all."""
    return min(
        (mean_neighbors(structures.system(k), cutoff) for k in range(len(structures))), default=0.0
    )
