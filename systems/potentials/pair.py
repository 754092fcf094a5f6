"""Common parts of potentials between near particles: neighbour lists, and pair kernels, which are
compiled functions that give the forces from a list.

A pair kernel is kernel(first, last, edges, x, table, starts, j, image, species, parameters, want,
energies, forces, virials) for the parts ``first`` to ``last``, those centres of part k being
edges[k] to edges[k + 1]. It takes positions x [n, 3], offsets of images table [n_images, 3], the
list (starts [n + 1], j and image [n_pairs] int32: r_ij = x[j] - x[i] + table[image]), which of the
potential's species each particle is, species [n], and parameters [any]. It fills forces [n, 3] of
the centres and, as ``want`` says (`FORCES`, `ENERGIES`, `VIRIAL`), energies [n] too, and the sum of
-u' / r d d over each part, virials [n_parts, 3, 3]. It checks nothing. All are compiled to one
signature.
"""

from typing import Any

import numpy as np
from numba import float64, int32, int64, types

from systems.neighbors.cells import PARALLEL
from systems.neighbors.pairs import Pairs
from systems.system import ListPotential, System
from systems.threads import shared

PAIR_SIGNATURE = types.void(
    int64,
    int64,
    int64[::1],
    float64[:, ::1],
    float64[:, ::1],
    int64[::1],
    int32[::1],
    int32[::1],
    int64[::1],
    float64[::1],
    int64,
    float64[::1],
    float64[:, ::1],
    float64[:, :, ::1],
)
FORCES, ENERGIES, VIRIAL = range(3)
# centres whose virial is one sum: fixed, so that bits do not depend on the number of threads
_PART = 256


def compile_pair_kernel(function: Any) -> Any:
    """A kernel of the packages (numba's) compiled to the signature."""
    function.compile(PAIR_SIGNATURE.args)
    return function


def parts_of(n: int) -> np.ndarray:
    """Edges [n_parts + 1] of the parts in which n centres are summed."""
    return np.append(np.arange(0, n, _PART), n)


class PairForces:
    """Results of a pair kernel for a system of n particles: energies [n], forces [n, 3], virial [3,
    3], which are overwritten by each call."""

    def __init__(self, potential: ListPotential, system: System, threads: int = 1) -> None:
        n = system.n_particles
        self.kernel = compile_pair_kernel(potential.pair_kernel)
        self.parameters = potential.parameters(system)
        self.species = potential.species_index(system)
        self.energies, self.forces = np.zeros(n), np.zeros((n, 3))
        self.edges = parts_of(n)
        self.virials = np.zeros((len(self.edges) - 1, 3, 3))
        self.threads = threads if n >= PARALLEL else 1
        self._shares = np.linspace(0, len(self.edges) - 1, self.threads + 1).astype(int)

    def __call__(self, x: np.ndarray, pairs: Pairs, table: np.ndarray, want: int) -> None:
        """Fill the arrays, on several threads where that pays."""

        def share(k: int) -> None:
            self.kernel(
                self._shares[k],
                self._shares[k + 1],
                self.edges,
                x,
                table,
                pairs.starts,
                pairs.j,
                pairs.image,
                self.species,
                self.parameters,
                want,
                self.energies,
                self.forces,
                self.virials,
            )

        shared(share, self.threads)

    @property
    def virial(self) -> np.ndarray:
        """[3, 3], the parts' in order."""
        return np.asarray(self.virials.sum(0))
