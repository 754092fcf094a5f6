"""`Dataset`: systems of any sizes with named targets, for training and evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from mcegnn.data.hashes import hash_numbers
from mcegnn.data.target import Per, Target
from systems.system import System
from systems.units import METAL, Units

_MOST_HASHED = 20_000  # atoms: more would take longer than a tenth of a second


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Systems one after the other; system k has the atoms ``starts[k]`` to ``starts[k + 1]``.

    Shapes, for n systems: starts int64 [n + 1]; species int64 (atomic numbers) [n_atoms],
    positions float64 [n_atoms, 3]; cell [n, 3, 3], zeros where there is none; pbc bool [n, 3];
    masses and charges [n_atoms] and momenta [n_atoms, 3] where they are known (None: masses of the
    elements, no charges, at rest). Numbers are in ``units``. ``targets`` are known by name,
    `dataset[name]` gives a target's values. Targets that lie ``interval`` later (0: none
    do) are states of the same atoms. ``noun`` is what a system is called in messages, a plural.

    Raises ValueError if an array or a target does not have the length that it must have.
    """

    starts: np.ndarray
    species: np.ndarray
    positions: np.ndarray
    targets: Mapping[str, Target] = field(default_factory=dict)
    cell: np.ndarray | None = None
    pbc: np.ndarray | None = None
    masses: np.ndarray | None = None
    charges: np.ndarray | None = None
    momenta: np.ndarray | None = None
    units: Units = METAL
    interval: float = 0.0
    noun: str = "structures"

    def __post_init__(self) -> None:
        n, n_atoms = len(self), len(self.species)
        if self.starts[0] != 0 or self.starts[-1] != n_atoms or (np.diff(self.starts) < 0).any():
            raise ValueError(f"starts must rise from 0 to the {n_atoms} atoms there are")
        shapes = {
            "positions": (n_atoms, 3),
            "momenta": (n_atoms, 3),
            "masses": (n_atoms,),
            "charges": (n_atoms,),
            "cell": (n, 3, 3),
            "pbc": (n, 3),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} has shape {value.shape}, not {shape}")
        for name, target in self.targets.items():
            target.check(name, n, n_atoms)

    @classmethod
    def of_systems(
        cls,
        systems: Sequence[System],
        targets: Mapping[str, Target] | None = None,
        noun: str = "structures",
    ) -> Self:
        """Systems side by side. Raises ValueError if there are none, or their units differ."""
        if not systems:
            raise ValueError("there are no systems to make a dataset of")
        units = systems[0].units
        if any(system.units is not units for system in systems):
            raise ValueError("the systems of a dataset must be in the same units")
        sizes = [system.n_particles for system in systems]

        def joined(name: str) -> np.ndarray:
            return np.concatenate([np.asarray(getattr(system, name)) for system in systems])

        cells = [np.zeros((3, 3)) if s.cell is None else np.asarray(s.cell) for s in systems]
        return cls(
            np.cumsum([0, *sizes]).astype(np.int64),
            joined("species"),
            joined("positions"),
            targets or {},
            np.stack(cells),
            np.array([system.pbc for system in systems], dtype=bool),
            joined("masses"),
            joined("charges"),
            joined("momenta"),
            units,
            noun=noun,
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __repr__(self) -> str:
        targets = f", targets {', '.join(self.targets)}" if self.targets else ""
        return f"Dataset({len(self)} {self.noun}, {len(self.species)} atoms{targets})"

    def __getitem__(self, name: str) -> np.ndarray:
        """The values of a target. Raises KeyError, naming those there are, if there is none."""
        if name not in self.targets:
            raise KeyError(self._without(name))
        return self.targets[name].values

    def _without(self, name: str) -> str:
        known = ", ".join(self.targets) or "none"
        return f"the {self.noun} have no target {name!r}; there are: {known}"

    @property
    def sizes(self) -> np.ndarray:
        """Atoms of each system, int64 [n]."""
        return np.diff(self.starts)

    @property
    def elements(self) -> np.ndarray:
        """The atomic numbers that occur, in increasing order, int64 [n_species]."""
        return np.unique(self.species)

    @property
    def cells(self) -> np.ndarray:
        """Lattice vectors as rows, [n, 3, 3], zeros where there are none."""
        return np.zeros((len(self), 3, 3)) if self.cell is None else self.cell

    @property
    def periodic(self) -> np.ndarray:
        """In which directions systems are periodic, bool [n, 3]."""
        return np.zeros((len(self), 3), dtype=bool) if self.pbc is None else self.pbc

    def check_target(self, name: str, unit: str, per: Per = "system") -> None:
        """Raise ValueError if there is no such target, or it is in another unit or of others."""
        if name not in self.targets:
            raise ValueError(self._without(name))
        target = self.targets[name]
        if target.unit != unit:
            raise ValueError(f"the target {name!r} is in {target.unit or 'no unit'}, not in {unit}")
        if target.per != per:
            raise ValueError(f"the target {name!r} is one per {target.per}, not per {per}")

    def with_values(self, **values: np.ndarray) -> "Dataset":
        """The same with other values of some targets."""
        changed = {name: self.targets[name]._replace(values=new) for name, new in values.items()}
        return replace(self, targets={**self.targets, **changed})

    def take(self, which: slice | np.ndarray) -> "Dataset":
        """Select systems, in the given order: a slice, or an array of numbers or of booleans."""
        chosen = np.arange(len(self))[which]
        starts, atoms = atoms_of(self.starts, chosen)

        targets = {
            name: target._replace(values=target.values[chosen if target.per == "system" else atoms])
            for name, target in self.targets.items()
        }
        places = dict.fromkeys(OF_ATOMS, atoms) | dict.fromkeys(OF_SYSTEMS, chosen)
        arrays = {name: getattr(self, name) for name in places}
        taken: dict[str, Any] = {k: None if a is None else a[places[k]] for k, a in arrays.items()}
        return replace(self, starts=starts, targets=targets, **taken)

    def system(self, k: int) -> System:
        """System k. Raises IndexError if there is none."""
        from ase.data import atomic_masses

        k = range(len(self))[k]
        atoms = slice(self.starts[k], self.starts[k + 1])
        x, species = self.positions[atoms].copy(), self.species[atoms].copy()
        n = len(x)
        cell = self.cells[k].copy() if self.cells[k].any() else None
        pbc = (bool(self.periodic[k, 0]), bool(self.periodic[k, 1]), bool(self.periodic[k, 2]))
        return System(
            x,
            np.zeros((n, 3)) if self.momenta is None else self.momenta[atoms].copy(),
            atomic_masses[species] if self.masses is None else self.masses[atoms].copy(),
            species,
            np.zeros(n) if self.charges is None else self.charges[atoms].copy(),
            cell,
            pbc,
            self.units,
        )

    def ensemble(self) -> System:
        """All systems as one ensemble [n, n_particles, ...], in free space. Raises ValueError if
        they are not of the same particles."""
        n = len(self)
        size = int(self.sizes[0]) if n else 0
        if (self.sizes != size).any():
            raise ValueError(f"the {self.noun} have {self.sizes.min()} to {self.sizes.max()} atoms")
        masses, charges, momenta = self.masses, self.charges, self.momenta
        if masses is None or charges is None or momenta is None:
            raise ValueError(f"the {self.noun} have no masses, charges and velocities of their own")
        if n and (np.ptp(masses.reshape(n, size), axis=0).any() or self.cells.any()):
            raise ValueError(f"the {self.noun} are not of the same particles in free space")
        return System(
            self.positions.reshape(n, size, 3),
            momenta.reshape(n, size, 3),
            masses[:size],
            self.species[:size],
            charges.reshape(n, size),
            None,
            (False, False, False),
            self.units,
        )

    def of_ensemble(self, name: str) -> np.ndarray:
        """The values of a target of atoms, [n, n_particles, ...]."""
        values = self[name]
        return values.reshape(len(self), -1, *values.shape[1:])

    def composition(self, species: Sequence[int] | np.ndarray) -> np.ndarray:
        """How many atoms of each of these species a system has, int64 [n, n_species]. Raises
        ValueError if it has others too."""
        from ase.data import chemical_symbols

        others = np.setdiff1d(self.elements, species)
        if len(others):
            known = ", ".join(chemical_symbols[z] for z in species) or "none"
            raise ValueError(
                f"the {self.noun} hold {', '.join(chemical_symbols[z] for z in others)}; the"
                f" elements known are {known}"
            )
        is_one = self.species[:, None] == np.asarray(species)
        counted = np.concatenate([np.zeros((1, len(species)), int), np.cumsum(is_one, axis=0)])
        return counted[self.starts[1:]] - counted[self.starts[:-1]]

    def fingerprint(self) -> str:
        """How many systems there are, and a short hash of their numbers, or of a sample of many, to
        seven digits: the same on every machine."""
        some = self.take(slice(None, None, max(1, -(-len(self.species) // _MOST_HASHED))))
        counts = [some.sizes, some.species, some.periodic.ravel()]
        known = (some.positions, some.cells, some.masses, some.charges, some.momenta)
        found = hash_numbers(counts, [*known, *(some[name] for name in sorted(some.targets))])
        return f"{len(self)} {self.noun}, {found[:16]}"


#: arrays of atoms and of systems, by their names
OF_ATOMS = ("species", "positions", "masses", "charges", "momenta")
OF_SYSTEMS = ("cell", "pbc")


def atoms_of(starts: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where systems begin that are taken from flat arrays [len(chosen) + 1], and which atoms theirs
    are; both int64."""
    sizes = np.diff(starts)[chosen]
    taken = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return taken, np.repeat(starts[chosen] - taken[:-1], sizes) + np.arange(taken[-1])
