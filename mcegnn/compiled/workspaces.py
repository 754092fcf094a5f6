"""The arrays that the kernels work in, for so many atoms and pairs."""

from typing import Any

import numpy as np

from mcegnn.compiled._workspace import BLOCK, NODES, Numbers, Workspace, scratch_size, slot_size
from mcegnn.compiled.weights import Network, aligned, sizes

# sums of pairs that are made side by side, whatever the threads; one for a few atoms
_PARTS, _FEW = 8, 100
_KEPT = 1 << 25  # bytes that may be kept of the forward pass


def numbers_of(network: Network, dtype: Any, n: int) -> Numbers:
    """The sizes of a network, and of a workspace for n atoms."""
    parts = _PARTS if n > _FEW else 1
    numbers = Numbers(**sizes(network, dtype), parts=parts, nodes=n, scratch=0, kept=0)
    return numbers._replace(scratch=scratch_size(numbers))


def workspace_for(species_index: np.ndarray, N: Numbers, dtype: Any) -> Workspace:
    """Arrays for atoms of these species, and as yet no pairs."""
    F, W, L, P = N.F, N.W, N.layers, N.parts
    n, blocks = len(species_index), -(-len(species_index) // NODES)
    none: Any = np.zeros(0)
    workspace = Workspace(
        counts=np.zeros(1, np.int64),
        species_index=species_index,
        energies=np.zeros(n),
        pairs=none,
        offsets=none,
        closest=np.zeros(4),
        geometry=none,
        basis=none,
        gradient=none,
        h=aligned((n, F), dtype),
        sides=aligned((L, n, 2 * F), dtype),
        x=aligned((L + 1, n * W), dtype),
        factors=aligned((L, 2 * n * W), dtype),
        slopes=aligned((L, n, F), dtype),
        by_h=aligned((n, F), dtype),
        by_messages=aligned((n, F), dtype),
        by_x=aligned((n * W,), dtype),
        sums=aligned((P, n, 2 * F + W), dtype),
        touched=np.zeros((P, blocks), np.uint8),
        scratch=aligned((P, N.scratch), dtype),
        kept=none,
    )
    return with_pairs(workspace, N, 0, dtype)


def with_pairs(workspace: Workspace, N: Numbers, pairs: int, dtype: Any) -> Workspace:
    """The same with arrays for so many pairs, and a few more."""
    m, slot = pairs + pairs // 8, slot_size(N.F, N.E2)
    kept = min(-(-m // BLOCK), _KEPT // (N.layers * slot * np.dtype(dtype).itemsize))
    return workspace._replace(
        pairs=np.zeros((m, 2), np.int32),
        offsets=np.zeros((m, 7)),
        geometry=aligned((m, N.components + 2), dtype),
        basis=aligned((m, 2 * N.B), dtype),
        gradient=aligned((m, N.components + 1), dtype),
        kept=aligned((kept, N.layers, slot), dtype),
    )
