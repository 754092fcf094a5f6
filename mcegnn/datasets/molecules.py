"""What a model of molecular properties learns from: molecules of any sizes with numbers of their
own, cut into three parts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcegnn.datasets.structures import atoms_of
from systems.system import System
from systems.units import METAL

_MOST_HASHED = 1000  # molecules


@dataclass(frozen=True, eq=False)
class Molecules:
    """Molecules in free space, one after the other; molecule k has the atoms ``starts[k]`` to
    ``starts[k + 1]``. eV and Angstrom.

    Shapes, for n molecules: starts int64 [n + 1]; species int64 (atomic numbers) [n_atoms],
    positions float64 [n_atoms, 3]; each of the properties, by name, float64 [n].
    """

    starts: np.ndarray
    species: np.ndarray
    positions: np.ndarray
    properties: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __repr__(self) -> str:
        return (
            f"Molecules({len(self)} molecules, {len(self.species)} atoms,"
            f" {', '.join(self.properties)})"
        )

    @property
    def sizes(self) -> np.ndarray:
        """Atoms of each molecule, int64 [n]."""
        return np.diff(self.starts)

    def take(self, which: slice | np.ndarray) -> "Molecules":
        """Some of the molecules, in the order asked for: a slice, or an array of numbers or of
        booleans."""
        chosen = np.arange(len(self))[which]
        starts, atoms = atoms_of(self.starts, chosen)
        properties = {name: values[chosen] for name, values in self.properties.items()}
        return Molecules(starts, self.species[atoms], self.positions[atoms], properties)

    def system(self, k: int) -> System:
        """Molecule k at rest, without charges, in metal units; IndexError where there is none."""
        from ase.data import atomic_masses

        k = range(len(self))[k]
        atoms = slice(self.starts[k], self.starts[k + 1])
        x, species = self.positions[atoms].copy(), self.species[atoms].copy()
        return System(
            x,
            np.zeros_like(x),
            atomic_masses[species],
            species,
            np.zeros(len(x)),
            None,
            (False, False, False),
            METAL,
        )

    def composition(self, species: Sequence[int] | np.ndarray) -> np.ndarray:
        """How many atoms of each of these species a molecule has, int64 [n, n_species]."""
        return np.add.reduceat(
            (self.species[:, None] == np.asarray(species)).astype(np.int64), self.starts[:-1]
        )


@dataclass(frozen=True, eq=False)
class MoleculeSplit:
    """Molecules to train on, to choose by, and to report; those of the test are looked at once, at
    the end. ``whole`` is as of `Split`."""

    train: Molecules
    validation: Molecules
    test: Molecules
    whole: int | None = None


def places(
    n: int, n_train: int, n_validation: int, n_test: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of n molecules train, validate and test: by one permutation (Philox of ``seed``), its
    first, those before its last, its last.

    With one seed, more training molecules are those of fewer and others, and so it is with those of
    the test, which do not depend on the other numbers. Raises ValueError where a number is below
    one or there are too few molecules.
    """
    if min(n_train, n_validation, n_test) < 1:
        raise ValueError(
            f"give at least one molecule to train on, to validate on and to test on, not {n_train},"
            f" {n_validation}, {n_test}"
        )
    if n_train + n_validation + n_test > n:
        wanted = (
            f"{n_train:,} molecules to train on, {n_validation:,} to validate on and {n_test:,} to"
            " test on"
        )
        raise ValueError(f"{wanted} are more than the {n:,} there are; ask for fewer")
    if seed < 0:
        raise ValueError(f"the seed must not be negative, not {seed}")
    order = np.random.Generator(np.random.Philox(seed)).permutation(n)
    return order[:n_train], order[n - n_test - n_validation : n - n_test], order[n - n_test :]


def digest(molecules: Molecules) -> str:
    """A short hash of the molecules, or of the first of many, to seven digits: the same on every
    machine."""
    some = molecules.take(slice(0, _MOST_HASHED))
    found = hashlib.sha256(np.concatenate([some.sizes, some.species]).astype("<i8").tobytes())
    for numbers in (some.positions, *(some.properties[name] for name in sorted(some.properties))):
        # zero added makes a negative zero positive
        found.update(
            " ".join(f"{value:.6e}" for value in (numbers.ravel() + 0.0).tolist()).encode()
        )
    return f"{len(molecules)} molecules, {found.hexdigest()[:12]}"
