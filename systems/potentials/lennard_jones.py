"""`LennardJones` between near particles, of one species or of several, in free space or in a
periodic cell."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from systems.arrays import Array, like, namespace
from systems.neighbors.box import check_cutoff
from systems.neighbors.lists import NeighborLists
from systems.potentials.mixing import (
    Parameter,
    arithmetic,
    geometric,
    pair_parameters,
    species_index,
    species_of,
)
from systems.potentials.near_pairs import NearPairs
from systems.system import Evaluation, System

Truncation = Literal["force-shift", "switch", "shift"]


@dataclass(frozen=True, eq=False)
class LennardJones:
    """u(r) = 4 epsilon ((sigma / r)^12 - (sigma / r)^6) for pairs nearer than ``cutoff`` (2.5 times
    the largest sigma where it is not given).

    ``epsilon`` and ``sigma`` are numbers for all particles, or of each species by its atomic
    number, ``{18: 0.0104, 36: 0.0141}``; of pairs they are then mixed by Lorentz' and Berthelot's
    rules (the mean sigma, the geometric mean of epsilon), unless the pair has its own, ``{18:
    0.0104, 36: 0.0141, (18, 36): 0.0119}``. One cutoff is that of all pairs.

    What happens there is ``truncation``: "force-shift" subtracts u(cutoff) + (r - cutoff)
    u'(cutoff), so that energy and force end at zero (Toxvaerd and Dyre 2011, J. Chem. Phys. 134,
    081102); "switch" multiplies u by a cubic in r^2 that falls from one at ``onset`` (0.9 cutoff
    where it is not given) to zero; "shift" subtracts u(cutoff) alone: the force then jumps and
    energy drifts.

    Numbers are in the system's units. ``skin`` is how much farther than the cutoff the neighbour
    list looks (0.3 of the largest sigma where it is not given). Energies [n], stress [3, 3] with
    tension positive. Raises ValueError for numbers that are not positive, a negative skin, an onset
    beyond the cutoff, and a pair or a species without numbers. Cost: linear in the number of
    particles at a given density.
    """

    epsilon: Parameter = 1.0
    sigma: Parameter = 1.0
    cutoff: float = 0.0
    truncation: Truncation = "force-shift"
    onset: float = 0.0
    skin: float = -1.0
    threads: int = 1

    def __post_init__(self) -> None:
        if not (self._epsilons.min() > 0 and self._sigmas.min() > 0):
            raise ValueError(
                f"epsilon and sigma must be positive, not {self.epsilon} and {self.sigma}"
            )
        if self.truncation not in get_args(Truncation):
            raise ValueError(
                f"truncation is one of {', '.join(get_args(Truncation))}, not {self.truncation!r}"
            )
        largest = float(self._sigmas.max())
        for name, default in (
            ("cutoff", 2.5 * largest),
            ("onset", 0.9 * (self.cutoff or 2.5 * largest)),
        ):
            object.__setattr__(self, name, getattr(self, name) or default)
        check_cutoff(self.cutoff)
        object.__setattr__(self, "skin", 0.3 * largest if self.skin == -1.0 else self.skin)
        if not 0 < self.onset < self.cutoff:
            raise ValueError(
                f"the onset of switching must lie between zero and the cutoff {self.cutoff}, not at"
                f" {self.onset}"
            )
        self._near  # noqa: B018  which checks the skin

    @cached_property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers of the particles that it knows; none where one law is that of all."""
        return species_of(self.epsilon, self.sigma)

    @cached_property
    def _epsilons(self) -> np.ndarray:
        return pair_parameters("epsilon", self.epsilon, self.species, geometric)

    @cached_property
    def _sigmas(self) -> np.ndarray:
        return pair_parameters("sigma", self.sigma, self.species, arithmetic)

    @cached_property
    def _near(self) -> NearPairs:
        return NearPairs(self.cutoff, self.skin, self.threads)

    def __call__(self, system: System) -> Evaluation:
        return self._near(self, system)

    @property
    def pair_kernel(self) -> Any:
        """The compiled kernel."""
        from systems.potentials import _pair_kernels

        # a kernel of one species of its own: the other takes a sixth longer for it
        several = len(self.species) > 1
        return _pair_kernels.lennard_jones_mixture if several else _pair_kernels.lennard_jones

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        number = float(get_args(Truncation).index(self.truncation))
        head = [self.cutoff, self.onset, number, float(len(self._sigmas))]
        return np.concatenate([head, self._epsilons.ravel(), self._sigmas.ravel()])

    def species_index(self, system: System) -> np.ndarray:
        """Which of its species each particle is. Raises ValueError for one that it does not
        know."""
        return species_index(self.species, system.species)

    def lists(self) -> AbstractContextManager[NeighborLists]:
        """The neighbour lists of the systems of an ensemble, or of a single one; nobody else uses
        them within the ``with``."""
        return self._near.lists()

    def law(self, r2: Array, one: Array, other: Array) -> tuple[Array, Array]:
        """u and u' / r at squared distances [n_pairs] within the cutoff, between two species each;
        tensors, of r2's kind."""
        epsilon, sigma = (
            like(table, r2).to(r2)[one, other] for table in (self._epsilons, self._sigmas)
        )
        i6 = (sigma**2 / r2) ** 3
        u, w = 4.0 * epsilon * (i6**2 - i6), -24.0 * epsilon * (2.0 * i6**2 - i6) / r2
        c6 = (sigma / self.cutoff) ** 6
        at_cutoff, slope = (
            4.0 * epsilon * (c6**2 - c6),
            -24.0 * epsilon * (2.0 * c6**2 - c6) / self.cutoff,
        )
        if self.truncation == "force-shift":
            r = r2**0.5
            return u - at_cutoff - (r - self.cutoff) * slope, w - slope / r
        if self.truncation == "shift":
            return u - at_cutoff, w
        width = self.cutoff**2 - self.onset**2
        t = namespace(r2).clip((self.cutoff**2 - r2) / width, 0.0, 1.0)
        switch = t**2 * (3.0 - 2.0 * t)
        return u * switch, w * switch - u * 12.0 * t * (1.0 - t) / width
