"""`LennardJones` between near particles, of one species or of several, in free space or in a
periodic cell."""

from contextlib import AbstractContextManager
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


class LennardJones:
    """u(r) = 4 epsilon ((sigma / r)^12 - (sigma / r)^6) for pairs nearer than ``cutoff`` (2.5 times
    the largest sigma where it is not given).

    ``epsilon`` and ``sigma`` are numbers for all particles, or of each species by its atomic
    number, ``{18: 0.0104, 36: 0.0141}``; of pairs they are then mixed by Lorentz' and Berthelot's
    rules (arithmetic mean of sigma, geometric mean of epsilon), unless the pair has its own, ``{18:
    0.0104, 36: 0.0141, (18, 36): 0.0119}``. One cutoff is that of all pairs.

    What happens there is ``truncation``: "force-shift" subtracts u(cutoff) + (r - cutoff)
    u'(cutoff), so that energy and force end at zero (Toxvaerd and Dyre 2011, J. Chem. Phys. 134,
    081102); "switch" multiplies u by a cubic in r^2 that falls from one at ``onset`` (0.9 cutoff
    where it is not given) to zero; "shift" subtracts u(cutoff) alone: the force then jumps and
    energy drifts.

    Numbers are in the system's units. ``skin`` is how much farther than the cutoff the neighbour
    list looks (0.3 of the largest sigma where it is not given). Energies [n], stress [3, 3] with
    tension positive. Raises ValueError if a number is not positive, the skin is negative, the onset
    is beyond the cutoff, or a pair or a species has no numbers. Cost: linear in the number of
    particles at a given density.
    """

    def __init__(
        self,
        epsilon: Parameter = 1.0,
        sigma: Parameter = 1.0,
        cutoff: float | None = None,
        truncation: Truncation = "force-shift",
        onset: float | None = None,
        skin: float | None = None,
        threads: int = 1,
    ) -> None:
        if truncation not in get_args(Truncation):
            raise ValueError(
                f"truncation is one of {', '.join(get_args(Truncation))}, not {truncation!r}"
            )
        self.species = species_of(epsilon, sigma)  #: none where one law is that of all particles
        self._epsilons = pair_parameters("epsilon", epsilon, self.species, geometric)
        self._sigmas = pair_parameters("sigma", sigma, self.species, arithmetic)
        if not (self._epsilons.min() > 0 and self._sigmas.min() > 0):
            raise ValueError(f"epsilon and sigma must be positive, not {epsilon} and {sigma}")
        largest = float(self._sigmas.max())
        self.truncation = truncation
        self.cutoff = 2.5 * largest if cutoff is None else cutoff
        self.onset = 0.9 * self.cutoff if onset is None else onset
        self.skin = 0.3 * largest if skin is None else skin
        check_cutoff(self.cutoff)
        if not 0 < self.onset < self.cutoff:
            raise ValueError(
                f"the onset of switching must lie between zero and the cutoff {self.cutoff}, not at"
                f" {self.onset}"
            )
        self._near = NearPairs(self.cutoff, self.skin, threads)

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
        """Index of each particle's species. Raises ValueError if one is unknown."""
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
