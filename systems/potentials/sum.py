"""`Sum`: several potentials acting at once."""

from functools import cache, cached_property, reduce
from typing import Any

import numpy as np

from systems.system import Evaluation, KernelPotential, Potential, System


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
        parts = [
            potential.kernel if isinstance(potential, KernelPotential) else None
            for potential in self.potentials
        ]
        return None if None in parts else reduce(_kernel_sum, parts)

    def parameters(self, system: System) -> np.ndarray:
        """The parts' parameters, each behind its length."""
        return reduce(_joined, [potential.parameters(system) for potential in self.potentials])  # type: ignore[attr-defined]


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
