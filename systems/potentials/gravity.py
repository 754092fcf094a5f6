"""`Gravity` in free space, softened or oblate."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from systems.arrays import Array, like, mask
from systems.potentials.all_pairs import check_free_space, compiled_kernel, offsets
from systems.system import Evaluation, System


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
    one body's point-mass pairs out (Wisdom-Holman's star). Raises ValueError if a system is
    periodic.
    """

    constant: float = 1.0
    softening: float = 0.0
    oblateness: Oblateness | None = None
    omit: int | None = None

    def without(self, body: int) -> "Gravity":
        """The same gravity without the pairs of one body."""
        return replace(self, omit=body)

    def __call__(self, system: System) -> Evaluation:
        check_free_space(system, "Gravity")
        x, m = system.positions, system.masses
        d, r2, off = offsets(x)
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
        return compiled_kernel("gravity" if self.oblateness is None else "oblate_gravity")

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        check_free_space(system, "Gravity")
        head = np.array(
            [self.constant, self.softening**2, -1.0 if self.omit is None else self.omit]
        )
        if self.oblateness is None:
            return head
        o = self.oblateness
        return np.concatenate(
            [head, np.column_stack([o.bodies, 0.5 * o.j2 * o.radii**2, o.poles]).ravel()]
        )
