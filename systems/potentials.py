"""Exact potentials: `Coulomb`, `Gravity` (softened, oblate), `Springs`, and their `Sum`.

Each holds its formula once for arrays (NumPy or torch, any ensemble) and names the numba kernel
that holds it for the compiled driver; a test keeps the two equal. The cost of Coulomb and Gravity
is n_particles^2.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property, reduce
from typing import Any

import numpy as np

from systems.arrays import Array, like, mask, namespace
from systems.system import Evaluation, Potential, System


def _offsets(x: Array) -> tuple[Array, Array, Array]:
    """x_i - x_j [..., n, n, 3], its square with ones on the diagonal [..., n, n], and the
    off-diagonal mask [n, n]."""
    n = x.shape[-2]
    d = x[..., :, None, :] - x[..., None, :, :]
    return d, (d**2).sum(-1) + like(np.eye(n), x), like(1.0 - np.eye(n), x)


def _named(name: str) -> Any:
    """A kernel of `systems._kernels`, compiled; imported here because numba takes a third of a
    second to import."""
    from systems import _kernels
    from systems.kernel import compile_kernel

    return compile_kernel(getattr(_kernels, name))


def _refuse_periodic(system: System, name: str) -> None:
    if any(system.pbc):
        raise ValueError(
            f"{name} has no Ewald sum yet and cannot act in a periodic box; set pbc to (False,"
            " False, False)"
        )


@dataclass(frozen=True, eq=False)
class Coulomb:
    """Charges in free space: energy sum_{i<j} k q_i q_j / r_ij.

    ``constant`` is k (``units.coulomb``; 1 in reduced units). With ``limit`` every cartesian
    component of a particle's force is clipped to +-limit, as the charged benchmark does: the force
    is then not the energy's gradient, nor rotation symmetric. Raises ValueError for a periodic
    system.
    """

    constant: float = 1.0
    limit: float = np.inf

    def __call__(self, system: System) -> Evaluation:
        _refuse_periodic(system, "Coulomb")
        d, r2, off = _offsets(system.positions)
        q = system.charges
        w = self.constant * q[..., :, None] * q[..., None, :] * off * r2**-1.5
        forces = namespace(d).clip((w[..., None] * d).sum(-2), -self.limit, self.limit)
        return Evaluation(0.5 * (w * r2).sum(-1).sum(-1), forces, potential=self)

    @property
    def kernel(self) -> Any:
        """The compiled kernel."""
        return _named("coulomb")

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        _refuse_periodic(system, "Coulomb")
        return np.array([self.constant, self.limit])


@dataclass(frozen=True, eq=False)
class Oblateness:
    """Bodies that are not spheres: their indices, J2, equatorial radii (unit of length) and poles
    (unit vectors), [k] and [k, 3]."""

    bodies: np.ndarray
    j2: np.ndarray
    radii: np.ndarray
    poles: np.ndarray


@dataclass(frozen=True, eq=False)
class Gravity:
    """Newtonian gravity: energy -sum_{i<j} G m_i m_j / sqrt(r_ij^2 + softening^2), plus the J2 term
    of each oblate body.

    The J2 term of body k upon a mass m at offset r from it is G m m_k J2 R^2 (3 (pole . r)^2 / r^5
    - 1 / r^3) / 2 (Murray and Dermott 1999, eq. 6.218), with the pull back on k. ``omit`` leaves
    one body's point-mass pairs out (Wisdom-Holman's star). Raises ValueError for a periodic system.
    """

    constant: float = 1.0
    softening: float = 0.0
    oblateness: Oblateness | None = None
    omit: int | None = None

    def without(self, body: int) -> "Gravity":
        """The same gravity without the pairs of one body."""
        return replace(self, omit=body)

    def __call__(self, system: System) -> Evaluation:
        _refuse_periodic(system, "Gravity")
        x, m = system.positions, system.masses
        d, r2, off = _offsets(x)
        r2 = r2 + self.softening**2
        if self.omit is not None:
            kept = mask(np.arange(system.n_particles) != self.omit, x)
            off = off * kept * kept[:, None]
        w = self.constant * m[:, None] * m * off * r2**-1.5
        energy, forces = -0.5 * (w * r2).sum(-1).sum(-1), -(w[..., None] * d).sum(-2)
        if self.oblateness is not None:
            o = self.oblateness
            for k, j2, radius, pole in zip(o.bodies, o.j2, o.radii, o.poles, strict=True):
                more, pull = self._oblate(x, m, int(k), 0.5 * j2 * radius**2, like(pole, x))
                energy, forces = energy + more, forces + pull
        return Evaluation(energy, forces, potential=self)

    def _oblate(self, x: Array, m: Array, k: int, size: float, pole: Array) -> tuple[Array, Array]:
        """Energy and forces of the J2 term of body k; ``size`` is J2 R^2 / 2."""
        own = mask(np.arange(x.shape[-2]) == k, x)
        d = x - x[..., k : k + 1, :]
        r2 = (d**2).sum(-1) + own
        s = (d * pole).sum(-1)
        w = self.constant * m[k] * m * size * r2**-2.5 * (1.0 - own)
        forces = (w * (15.0 * s**2 / r2 - 3.0))[..., None] * d - (6.0 * w * s)[..., None] * pole
        forces = forces - (own)[:, None] * forces.sum(-2)[..., None, :]
        return (w * (3.0 * s**2 - r2)).sum(-1), forces

    @property
    def kernel(self) -> Any:
        """The compiled kernel."""
        # two kernels, because the code of the J2 terms slows the other down by a fifth even where
        # it is not run
        return _named("gravity" if self.oblateness is None else "oblate_gravity")

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        _refuse_periodic(system, "Gravity")
        head = np.array(
            [self.constant, self.softening**2, -1.0 if self.omit is None else self.omit]
        )
        if self.oblateness is None:
            return head
        o = self.oblateness
        return np.concatenate(
            [head, np.column_stack([o.bodies, 0.5 * o.j2 * o.radii**2, o.poles]).ravel()]
        )


@dataclass(frozen=True, eq=False)
class Springs:
    """Harmonic springs between pairs of particles: energy sum stiffness (r_ij - length)^2 / 2.

    ``pairs`` [n_springs, 2] of particle indices; stiffness and length are numbers or [n_springs].
    """

    pairs: np.ndarray
    stiffness: Any = 1.0
    length: Any = 0.0

    @cached_property
    def _table(self) -> np.ndarray:
        pairs = np.asarray(self.pairs).reshape(-1, 2)
        k, length = (
            np.broadcast_to(np.asarray(v, dtype=float), len(pairs))
            for v in (self.stiffness, self.length)
        )
        return np.column_stack([pairs, k, length])

    def __call__(self, system: System) -> Evaluation:
        x = system.positions
        i, j = self._table[:, 0].astype(int), self._table[:, 1].astype(int)
        k, length = like(self._table[:, 2], x), like(self._table[:, 3], x)
        d = x[..., i, :] - x[..., j, :]
        loose = mask(self._table[:, 3] == 0.0, x)
        r = (
            (d**2).sum(-1) + loose
        ) ** 0.5  # a spring without length pulls along d itself and never divides by r
        w = k * (loose + (1.0 - loose) * (1.0 - length / r))
        ends = np.zeros((system.n_particles, len(i)))
        np.add.at(ends, (i, np.arange(len(i))), -1.0)
        np.add.at(ends, (j, np.arange(len(j))), 1.0)
        stretch2 = loose * (r**2 - loose) + (1.0 - loose) * (r - length) ** 2
        return Evaluation(
            0.5 * (k * stretch2).sum(-1), like(ends, x) @ (w[..., None] * d), potential=self
        )

    @property
    def kernel(self) -> Any:
        """The compiled kernel."""
        return _named("springs")

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        return self._table.ravel()


class Sum:
    """Several potentials acting at once; it has a kernel where each of them has one."""

    def __init__(self, *potentials: Potential) -> None:
        self.potentials = potentials

    def __call__(self, system: System) -> Evaluation:
        first, *rest = (potential(system) for potential in self.potentials)
        energy, forces, stress = first.energy, first.forces, first.stress
        for other in rest:
            energy = None if energy is None or other.energy is None else energy + other.energy
            forces = forces + other.forces
            stress = None if stress is None or other.stress is None else stress + other.stress
        return Evaluation(energy, forces, stress, potential=self)

    @cached_property
    def kernel(self) -> Any:
        """The kernels called in turn, compiled once a process; None where a part has none."""
        parts = [getattr(potential, "kernel", None) for potential in self.potentials]
        return None if None in parts else reduce(_kernel_sum, parts)

    def parameters(self, system: System) -> np.ndarray:
        """The parts' parameters, each behind its length."""
        return reduce(_joined, [potential.parameters(system) for potential in self.potentials])  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Frozen:
    """A potential whose forces do not act on the particles of which ``which`` [n_particles] is
    true: at rest, they stay where they are."""

    potential: Potential
    which: np.ndarray

    def __call__(self, system: System) -> Evaluation:
        return self.held(self.potential(system))

    def held(self, evaluation: Evaluation) -> Evaluation:
        """The potential's evaluation without the forces on those particles."""
        free = mask(~np.asarray(self.which, dtype=bool), evaluation.forces)
        return evaluation._replace(forces=evaluation.forces * free[:, None], potential=self)


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.concatenate([[len(first)], first, second])


@cache
def _kernel_sum(first: Any, second: Any) -> Any:
    from systems.kernel import compile_kernel

    def both(x, masses, charges, parameters, forces):  # type: ignore[no-untyped-def]
        n_first = int(parameters[0])
        energy = first(x, masses, charges, parameters[1 : 1 + n_first], forces)
        own = np.zeros_like(forces)
        energy += second(x, masses, charges, parameters[1 + n_first :], own)
        forces += own
        return energy

    return compile_kernel(both)
