"""Errors of predicted positions, a number for each particle: [..., n_particles, 3] arrays, NumPy or
torch, in; [..., n_particles] out; and the loss of energies, forces and stresses.
"""

from collections.abc import Callable
from typing import Any, Protocol

from trajectories.forecast import displacement_error


def mean_square(predicted: Any, true: Any, start: Any) -> Any:
    """Mean over components of the squared error; over the particles too, it is the charged
    benchmark's measure."""
    return ((predicted - true) ** 2).mean(-1)


#: the mean over bodies of "displacement" is the solar task's measure
ERRORS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "mean-square": mean_square,
    "displacement": displacement_error,
}

_TINY = 1e-12  # (eV / Angstrom)^2: a length has no derivative at zero

#: what distances from the truth are divided by before they are squared: [..., n_particles, 1] or a
#: number, of true and start
SCALES: dict[str, Callable[[Any, Any], Any]] = {
    "mean-square": lambda true, start: 3**0.5,
    "displacement": lambda true, start: ((true - start) ** 2).sum(-1)[..., None] ** 0.5,
}


def saturated(errors: Any, scale: float) -> Any:
    """error / (error + scale): counts small errors fully, and large ones, such as those of chaotic
    samples, at most as one."""
    return errors / (errors + scale)


class Labels(Protocol):
    """Energies [n_structures], forces [n_atoms, 3] and stresses [n_structures, 3, 3], both NaN
    where unknown, torch."""

    @property
    def energies(self) -> Any:
        """[n_structures]."""

    @property
    def forces(self) -> Any:
        """[n_atoms, 3]."""

    @property
    def stresses(self) -> Any:
        """[n_structures, 3, 3]."""


def energy_force_loss(
    said: Labels,
    true: Labels,
    sizes: Any,
    real: Any,
    scale: float,
    weights: tuple[float, float, float],
) -> Any:
    """Weighted mean errors of energies per atom, forces and stresses, in units of ``scale`` (eV, eV
    / Angstrom, eV / Angstrom^3).

    A force's error is its length: less is made of single bad ones than by its square, and it does
    not depend on the axes. ``sizes`` [n] are numbers of atoms, ``real`` [n_atoms] is zero for atoms
    that do not count. Nor do forces and stresses that are not known.
    """
    energy, force, stress = weights
    known = true.forces.isfinite()
    off = ((said.forces - true.forces).where(known, 0.0).square().sum(-1) + _TINY).sqrt()
    counted = real * known.any(-1)
    loss = force * (off * counted).sum() / counted.sum().clamp(min=1.0)
    if energy:
        loss = loss + energy * ((said.energies - true.energies).abs() / sizes).mean()
    if stress:
        wrong = said.stresses - true.stresses
        loss = loss + stress * wrong.where(wrong.isfinite(), 0.0).abs().mean()
    return loss / scale
