"""The central types: `System` holds the particles, a `Potential` acts on it, and an `Evaluation`
holds its energy and forces."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np

from systems.arrays import Array, namespace
from systems.cell import FREE, PBC
from systems.neighbors.lists import NeighborLists
from systems.units import REDUCED, Units


@dataclass(frozen=True, eq=False, repr=False)
class System:
    """Particles at one moment, or an ensemble of copies of them along a leading axis.

    Shapes: positions and momenta [..., n_particles, 3], masses and species [n_particles], charges
    [..., n_particles], cell [..., 3, 3] with lattice vectors as rows or None. Positions are never
    wrapped. Numbers are in ``units``.
    """

    positions: Array
    momenta: Array
    masses: Array
    species: Array
    charges: Array
    cell: Array | None = None
    pbc: PBC = FREE
    units: Units = REDUCED

    @classmethod
    def create(
        cls,
        positions: Any,
        *,
        velocities: Any = 0.0,
        masses: Any = 1.0,
        species: Any = 0,
        charges: Any = 0.0,
        units: Units = REDUCED,
    ) -> Self:
        """A system in free space from anything NumPy takes: scalars are spread over the particles.

        Raises ValueError if shapes do not fit, a number is not finite or a mass is not positive.
        """
        x = np.array(positions, dtype=float)
        if x.ndim < 2 or x.shape[-1] != 3 or 0 in x.shape:
            raise ValueError(
                f"positions have shape {x.shape}; they must be [..., n_particles, 3] with at least"
                " one particle"
            )
        m = np.broadcast_to(np.asarray(masses, dtype=float), x.shape[-2:-1]).copy()
        _check_finite("masses", m)
        momenta = np.broadcast_to(np.asarray(velocities, dtype=float), x.shape) * m[:, None]
        if not np.array_equal(species, np.asarray(species, dtype=int)):
            raise ValueError(f"species are atomic numbers; {species!r} are not whole numbers")
        z = np.broadcast_to(np.asarray(species, dtype=int), m.shape).copy()
        q = np.broadcast_to(np.asarray(charges, dtype=float), x.shape[:-1]).copy()
        system = cls(x, momenta, m, z, q, units=units)
        check(system)
        return system

    def __repr__(self) -> str:
        copies = "" if self.n_systems is None else f" x {self.n_systems} systems"
        return f"System({self.n_particles} particles{copies}, {self.units.name} units)"

    def copy_of(self, k: int) -> "System":
        """System ``k`` of an ensemble."""
        cell = self.cell if self.cell is None or self.cell.ndim == 2 else self.cell[k]
        return replace(
            self,
            positions=self.positions[k],
            momenta=self.momenta[k],
            charges=self.charges[k],
            cell=cell,
        )

    def map(self, convert: Callable[[Array], Array]) -> "System":
        """The same system with ``convert`` applied to every array: ``system.map(torch.as_tensor)``
        makes it one of tensors."""
        names = ("positions", "momenta", "masses", "species", "charges")
        cell = None if self.cell is None else convert(self.cell)
        return replace(self, cell=cell, **{name: convert(getattr(self, name)) for name in names})

    @property
    def velocities(self) -> Array:
        """Momenta over masses, [..., n_particles, 3]."""
        return self.momenta / self.masses[:, None]

    @property
    def geometry(self) -> tuple[Array, Array | None, PBC]:
        """(positions, cell, pbc), which is what neighbour lists take."""
        return self.positions, self.cell, self.pbc

    @property
    def n_particles(self) -> int:
        """Number of particles in one system."""
        return int(self.positions.shape[-2])

    @property
    def n_systems(self) -> int | None:
        """Number of systems of an ensemble; None for a single system."""
        return int(self.positions.shape[0]) if self.positions.ndim == 3 else None


def check(system: System) -> System:
    """Check shapes and numbers of a system, and return it. Raises ValueError, naming the first that
    is not valid."""
    shape = tuple(system.positions.shape)
    if len(shape) < 2 or shape[-1] != 3 or 0 in shape:
        raise ValueError(
            f"positions have shape {shape}; they must be [..., n_particles, 3] with at least one"
            " particle"
        )
    wanted = {
        "momenta": shape,
        "masses": shape[-2:-1],
        "species": shape[-2:-1],
        "charges": shape[:-1],
    }
    for name, expected in wanted.items():
        if tuple(getattr(system, name).shape) != expected:
            raise ValueError(
                f"{name} have shape {tuple(getattr(system, name).shape)}; for these positions it"
                f" must be {expected}"
            )
    for name in ("positions", "momenta", "masses", "charges"):
        _check_finite(name, getattr(system, name))
    if not bool((system.masses > 0).all()):
        raise ValueError(
            f"masses must be positive; particle {int(system.masses.argmin())} has"
            f" {float(system.masses.min())}"
        )
    return system


def all_finite(array: Array) -> bool:
    """Whether every number is finite; NumPy or torch, on any device."""
    return bool(namespace(array).isfinite(array).all())


def _check_finite(name: str, array: Array) -> None:
    if not all_finite(array):
        array = array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()
        where = [int(k) for k in np.argwhere(~np.isfinite(array))[0]]
        raise ValueError(f"{name} are not finite: {array[tuple(where)]} at index {where}")


def coincident(positions: Array) -> tuple[int, int, int] | None:
    """(system, i, j) of the first two particles at one place, None where there are none; [...,
    n_particles, 3]."""
    copies = np.asarray(positions).reshape(-1, *positions.shape[-2:])
    for s, x in enumerate(copies):
        _, first, inverse = np.unique(x, axis=0, return_index=True, return_inverse=True)
        if len(first) < len(x):
            j = int(np.flatnonzero(first[inverse.ravel()] != np.arange(len(x)))[0])
            return s, int(first[inverse.ravel()[j]]), j
    return None


class Evaluation(NamedTuple):
    """Result of a potential for a system: energy [...] (None if forces are no gradient), forces
    [..., n, 3], stress.

    ``energies`` [..., n], ``uncertainty`` and ``closest`` are given only by some potentials.
    ``closest`` [..., 4] is of the pair nearest relative to the training data of the potential: its
    distance over the shortest in training, the numbers of both particles, and that shortest
    distance; (1, -1, -1, 0) if no pair is nearer. ``potential`` is the one evaluated.
    """

    energy: Array | None
    forces: Array
    stress: Array | None = None
    energies: Array | None = None
    uncertainty: Array | None = None
    closest: Array | None = None
    potential: Any = None


@runtime_checkable
class Potential(Protocol):
    """A potential: energy and forces as a function of a system's positions."""

    def __call__(self, system: System) -> Evaluation: ...


@runtime_checkable
class ListPotential(Protocol):
    """A potential that the compiled driver can run with neighbour lists: it has a pair kernel
    (`systems.potentials.pair`), the kernel's parameters, and lists."""

    def __call__(self, system: System) -> Evaluation: ...

    @property
    def pair_kernel(self) -> Callable[..., None]:
        """The compiled kernel."""

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters. Raises ValueError if the potential cannot act on such a
        system."""

    def species_index(self, system: System) -> np.ndarray:
        """Which of the potential's species each particle is, int64 [n_particles]."""

    def lists(self) -> AbstractContextManager[NeighborLists]:
        """The lists of the systems of an ensemble, which nobody else uses within the ``with``."""


@runtime_checkable
class KernelPotential(Protocol):
    """A potential that the compiled driver can run: it also has a kernel (`systems.kernel`) and the
    kernel's parameters.

    ``kernel`` is None for a combination of which some part has no kernel. ``parameters`` is asked
    once a run, and raises ValueError if the potential cannot act on such a system (a periodic one,
    say): the kernel checks nothing.
    """

    def __call__(self, system: System) -> Evaluation: ...

    @property
    def kernel(self) -> Callable[..., float] | None:
        """The compiled kernel."""

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
