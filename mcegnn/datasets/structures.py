"""What a model of energies and forces learns from: labelled structures of any sizes, and their
split into training, validation and test."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from systems.system import System
from systems.units import METAL

_MOST_HASHED = 20_000  # atoms: more would take longer than a tenth of a second


def atoms_of(starts: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where structures begin that are taken from flat arrays [len(chosen) + 1], and which atoms
    theirs are; both int64."""
    sizes = np.diff(starts)[chosen]
    taken = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return taken, np.repeat(starts[chosen] - taken[:-1], sizes) + np.arange(taken[-1])


@dataclass(frozen=True, eq=False)
class Structures:
    """Labelled structures, one after the other; structure k has the atoms ``starts[k]`` to
    ``starts[k + 1]``. eV and Angstrom.

    Shapes, for n structures: starts int64 [n + 1]; species int64 (atomic numbers) [n_atoms],
    positions and forces float64 [n_atoms, 3]; energies float64 [n], cells float64 [n, 3, 3] with
    zeros where there is none, pbc bool [n, 3], stresses float64 [n, 3, 3] with NaN where unknown,
    as forces are of atoms that were held fixed.
    """

    starts: np.ndarray
    species: np.ndarray
    positions: np.ndarray
    forces: np.ndarray
    energies: np.ndarray
    cells: np.ndarray
    pbc: np.ndarray
    stresses: np.ndarray

    @classmethod
    def of_one_molecule(
        cls, species: np.ndarray, positions: np.ndarray, forces: np.ndarray, energies: np.ndarray
    ) -> Self:
        """Frames of the same atoms in free space: species [n_atoms], positions and forces [n,
        n_atoms, 3], energies [n]."""
        n, n_atoms = positions.shape[:2]
        return cls(
            np.arange(n + 1) * n_atoms,
            np.tile(species, n),
            positions.reshape(-1, 3),
            forces.reshape(-1, 3),
            energies,
            np.zeros((n, 3, 3)),
            np.zeros((n, 3), dtype=bool),
            np.full((n, 3, 3), np.nan),
        )

    @classmethod
    def joined(cls, parts: Sequence["Structures"]) -> Self:
        """The structures of all parts, in their order; ValueError where there are no parts."""
        if not parts:
            raise ValueError("there are no structures to join")
        ends = np.cumsum(np.concatenate([part.sizes for part in parts]))
        rest = (
            np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)[1:]
        )
        return cls(np.concatenate([[0], ends]).astype(np.int64), *rest)

    def __len__(self) -> int:
        return len(self.energies)

    def __repr__(self) -> str:
        return f"Structures({len(self)} structures, {len(self.species)} atoms)"

    @property
    def sizes(self) -> np.ndarray:
        """Atoms of each structure, int64 [n]."""
        return np.diff(self.starts)

    @property
    def elements(self) -> np.ndarray:
        """The atomic numbers that occur, in increasing order, int64 [n_species]."""
        return np.unique(self.species)

    def take(self, which: slice | np.ndarray) -> "Structures":
        """Some of the structures, in the order asked for: a slice, or an array of numbers or of
        booleans."""
        chosen = np.arange(len(self))[which]
        starts, atoms = atoms_of(self.starts, chosen)
        of_atoms = (part[atoms] for part in (self.species, self.positions, self.forces))
        return Structures(
            starts,
            *of_atoms,
            *(part[chosen] for part in (self.energies, self.cells, self.pbc, self.stresses)),
        )

    def system(self, k: int) -> System:
        """Structure k at rest, without charges, in metal units; IndexError where there is none."""
        from ase.data import atomic_masses

        k = range(len(self))[k]
        atoms = slice(self.starts[k], self.starts[k + 1])
        x, species = self.positions[atoms].copy(), self.species[atoms].copy()
        cell = self.cells[k].copy() if self.cells[k].any() else None
        pbc = (bool(self.pbc[k, 0]), bool(self.pbc[k, 1]), bool(self.pbc[k, 2]))
        return System(
            x, np.zeros_like(x), atomic_masses[species], species, np.zeros(len(x)), cell, pbc, METAL
        )

    def composition(self, species: Sequence[int] | np.ndarray) -> np.ndarray:
        """How many atoms of each of these species a structure has, int64 [n, n_species]; ValueError
        where it has others too."""
        from ase.data import chemical_symbols

        others = np.setdiff1d(self.elements, species)
        if len(others):
            known = ", ".join(chemical_symbols[z] for z in species) or "none"
            raise ValueError(
                f"the structures hold {', '.join(chemical_symbols[z] for z in others)}; the"
                f" elements known are {known}"
            )
        counted = np.concatenate(
            [
                np.zeros((1, len(species)), int),
                np.cumsum(self.species[:, None] == np.asarray(species), axis=0),
            ]
        )
        return counted[self.starts[1:]] - counted[self.starts[:-1]]


@dataclass(frozen=True, eq=False)
class StructureSplit:
    """Structures to train on, to choose by, and to report; those of the test are looked at once, at
    the end. ``whole`` is as of `Split`.

    ``isolated`` are energies of atoms alone, by atomic number, eV; ``notes`` what there is to say
    of labels and parts, rows of a table, and ``doubts`` sentences.
    """

    train: Structures
    validation: Structures
    test: Structures
    whole: int | None = None
    isolated: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = ()


def split(
    structures: Structures,
    n_train: int,
    n_validation: int,
    seed: int,
    same: np.ndarray | None = None,
) -> StructureSplit:
    """A random split by Philox of ``seed``; the rest is the test, which may be empty.

    With one seed, validation structures are the same for every ``n_train``, and more training
    structures are those of fewer and others. Structures with the same number in ``same`` [n] are
    never cut apart, so that a part may have some more than is asked for. Raises ValueError where
    there are too few structures, nothing to train on, or a number is negative.
    """
    n = len(structures)
    if n_train < 1 or n_validation < 0:
        raise ValueError(
            f"cannot train on {n_train} structures and validate on {n_validation}; give at least 1"
            " and 0"
        )
    if n_train + n_validation > n:
        raise ValueError(
            f"{n_train} structures to train on and {n_validation} to validate on are more than the"
            f" {n} there are; ask for fewer"
        )
    if seed < 0:
        raise ValueError(f"the seed must not be negative, not {seed}")
    order = np.random.Generator(np.random.Philox(seed)).permutation(n)
    if same is None:
        validation, train, test = np.split(order, [n_validation, n_validation + n_train])
    else:
        order = _together(order, same)
        validation, rest = np.split(order, [_end(same[order], n_validation)])
        train, test = np.split(rest, [_end(same[rest], n_train)])
    if not len(train):
        raise ValueError(
            f"the {n} structures are copies of so few that none are left to train on; add"
            " structures that differ"
        )
    return StructureSplit(
        structures.take(train), structures.take(validation), structures.take(test)
    )


def _together(order: np.ndarray, same: np.ndarray) -> np.ndarray:
    """The order in which those that are the same follow the first of them."""
    first = np.full(len(order), len(order))
    np.minimum.at(first, same[order], np.arange(len(order)))
    return order[np.argsort(first[same[order]], kind="stable")]


def _end(same: np.ndarray, n: int) -> int:
    """Where n are over, or more where the last of them goes on."""
    while 0 < n < len(same) and same[n] == same[n - 1]:
        n += 1
    return n


def digest(structures: Structures) -> str:
    """A short hash of the numbers of all structures, or of a sample of many, to seven digits: the
    same on every machine."""
    n = len(structures)
    step = max(1, -(-len(structures.species) // _MOST_HASHED))
    some = structures.take(slice(None, None, step))
    found = hashlib.sha256(
        np.concatenate([some.sizes, some.species, some.pbc.ravel()]).astype("<i8").tobytes()
    )
    for numbers in (some.positions, some.forces, some.energies, some.cells, some.stresses):
        # zero added makes a negative zero positive
        found.update(
            " ".join(f"{value:.6e}" for value in (numbers.ravel() + 0.0).tolist()).encode()
        )
    return f"{n} structures, {found.hexdigest()[:12]}"
