"""`PairTable`: a central pair force given by numbers at radii, as learned forces and tabulated
potentials are."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from systems.arrays import Array
from systems.kernel import evaluate
from systems.system import Evaluation, System


@dataclass(frozen=True, eq=False)
class PairTable:
    """F_i = sum_j c_i c_j w(r_ij) (x_i - x_j) with c the charges or the masses, and w cubic between
    knots at equal steps of log r.

    ``radii`` [n_knots] grow by one factor from knot to knot; ``values`` [n_knots] is w there.
    Energies are the integral of w r from the last knot, where they are zero. Beyond the ends the
    outermost cubics go on. ``limit`` clips each component of a particle's force as
    `systems.potentials.coulomb.Coulomb` does. Raises ValueError if radii do not grow by one
    factor, or for a periodic system.
    """

    radii: np.ndarray
    values: np.ndarray
    coupling: Literal["charges", "masses"] = "charges"
    limit: float = np.inf

    def __post_init__(self) -> None:
        if self.coupling not in ("charges", "masses"):
            raise ValueError(f"pairs couple by 'charges' or 'masses', not by {self.coupling!r}")
        if not np.isfinite(self.values).all():
            raise ValueError("a pair table needs finite values")
        steps = (
            np.diff(np.log(self.radii))
            if len(self.radii) > 3 and np.min(self.radii) > 0
            else np.array([])
        )
        if (
            not len(steps)
            or np.min(steps) <= 0
            or np.ptp(steps) > 1e-9 * abs(steps[0]) * len(steps)
            or self.values.shape != self.radii.shape
        ):
            raise ValueError(
                "a pair table needs four or more positive radii that grow by one factor, and a"
                " value at each"
            )

    @classmethod
    def of(
        cls,
        law: Callable[[np.ndarray], np.ndarray],
        first: float,
        last: float,
        n_knots: int = 8192,
        **options: Any,
    ) -> "PairTable":
        """The table of a law w(r) between two radii: smooth laws are met to (step of log r)^4 times
        their fourth derivative / 384."""
        radii = np.geomspace(first, last, n_knots)
        return cls(radii, law(radii), **options)

    @cached_property
    def _parameters(self) -> np.ndarray:
        step = np.log(self.radii[-1] / self.radii[0]) / (len(self.radii) - 1)
        slopes = _slopes(self.values)
        # d energy / d log r = -w r^2, whose slope is known too: the integral of its cubic between
        # two knots
        rate = -self.values * self.radii**2 * step
        rate_slope = _slopes(rate)
        pieces = 0.5 * (rate[:-1] + rate[1:]) + (rate_slope[:-1] - rate_slope[1:]) / 12.0
        energy = np.concatenate([-np.cumsum(pieces[::-1])[::-1], [0.0]])
        head = [
            float(self.coupling == "charges"),
            self.limit,
            np.log(self.radii[0]),
            step,
            len(self.radii),
        ]
        return np.concatenate([head, np.column_stack([self.values, slopes, energy, rate]).ravel()])

    def __call__(self, system: System) -> Evaluation:
        return evaluate(self, system)

    @property
    def kernel(self) -> Any:
        """The compiled kernel."""
        from systems.kernel import compile_kernel
        from systems.potentials import _kernels

        return compile_kernel(_kernels.pair_table)

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters."""
        if any(system.pbc):
            raise ValueError("a pair table acts in free space; set pbc to (False, False, False)")
        return self._parameters


def _slopes(values: Array) -> np.ndarray:
    """Derivatives per knot: central differences of fourth order, lower at the ends."""
    slopes = np.gradient(values, edge_order=2)
    slopes[2:-2] = (values[:-4] - 8.0 * values[1:-3] + 8.0 * values[3:-1] - values[4:]) / 12.0
    return slopes
