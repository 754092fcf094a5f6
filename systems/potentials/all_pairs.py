"""What potentials between all particles in free space share: offsets, their kernels, and the check
that nothing is periodic."""

from typing import Any

import numpy as np

from systems.arrays import Array, like
from systems.system import System


def offsets(x: Array) -> tuple[Array, Array, Array]:
    """x_i - x_j [..., n, n, 3], its square with ones on the diagonal [..., n, n], and the
    off-diagonal mask [n, n]."""
    n = x.shape[-2]
    d = x[..., :, None, :] - x[..., None, :, :]
    return d, (d**2).sum(-1) + like(np.eye(n), x), like(1.0 - np.eye(n), x)


def compiled_kernel(name: str) -> Any:
    """A kernel of `systems.potentials._kernels`, compiled; imported here because numba takes a
    third of a second to import."""
    from systems.kernel import compile_kernel
    from systems.potentials import _kernels

    return compile_kernel(getattr(_kernels, name))


def check_free_space(system: System, name: str) -> None:
    """Raise ValueError if any direction is periodic."""
    if any(system.pbc):
        raise ValueError(
            f"{name} has no Ewald sum yet and cannot act in a periodic box; set pbc to (False,"
            " False, False)"
        )
