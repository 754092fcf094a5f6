"""Systems of any sizes evaluated by a potential as one graph without edges between them: by torch,
on whatever device its weights are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mcegnn.neighborhood import Neighborhood, from_graph
from mcegnn.nn.repulsion import estimated
from mcegnn.radius import Method, radius_graph
from systems.system import Evaluation, System

if TYPE_CHECKING:
    from mcegnn.models.potential import ConservativePotential


class _Joined(NamedTuple):
    """Systems side by side: whose each atom is [n_atoms], who is near it, and the offsets to these
    [n_atoms, degree, 3]."""

    owner: Tensor
    hood: Neighborhood
    offsets: Tensor


def evaluate_together(
    model: "ConservativePotential", systems: Sequence[System], method: Method | None
) -> list[Evaluation]:
    """Evaluations of NumPy systems, in memory together; ``method`` is that of `radius_graph`."""
    weight = next(model.parameters())
    owner, hood, offsets = _joined(systems, model.cutoff, weight.device, method)
    kinds = model.kinds(np.concatenate([np.asarray(system.species) for system in systems]))
    energies, gradient = model.energies_and_gradient(
        torch.from_numpy(kinds).to(weight.device), offsets.to(weight), hood
    )
    forces = (gradient.sum(1) - hood.returned(gradient)).double().cpu().numpy()
    of_atoms = energies.detach().double().cpu().numpy() + model.reference_energies[kinds]
    by_atom = torch.einsum("npa,npb->nab", offsets, gradient.double())
    virials = offsets.new_zeros(len(systems), 3, 3).index_add(0, owner, by_atom).cpu().numpy()
    apart, senders = offsets.cpu().numpy(), hood.senders.cpu().numpy()
    found, first = [], 0
    for system, virial in zip(systems, virials, strict=True):
        own = slice(first, first + system.n_particles)
        closest = _closest(model, kinds[own], apart[own], senders[own] - first)
        energy = np.float64(of_atoms[own].sum())
        stress = _stress(system, virial)
        found.append(
            Evaluation(energy, forces[own], stress, of_atoms[own], closest=closest, potential=model)
        )
        first = own.stop
    return found


def _joined(
    systems: Sequence[System], cutoff: float, device: torch.device, method: Method | None
) -> _Joined:
    """With all pairs nearer than the cutoff, images included."""
    sizes = torch.tensor([system.n_particles for system in systems])
    owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes).to(device)
    x = torch.as_tensor(
        np.concatenate([np.asarray(s.positions, dtype=float) for s in systems]), device=device
    )
    cells, options = None, {}
    if any(any(system.pbc) for system in systems):
        none = np.zeros((3, 3))
        lattices = torch.as_tensor(
            np.stack([none if s.cell is None else np.asarray(s.cell, float) for s in systems]),
            device=device,
        )
        pbc = torch.tensor([system.pbc for system in systems])
        cells, options = lattices[owner], {"cell": lattices, "pbc": pbc}
    graph = radius_graph(x, cutoff, owner, method=method, **options)
    return _Joined(owner, *from_graph(graph, x, cutoff, cells))


def _stress(system: System, virial: np.ndarray) -> np.ndarray | None:
    """Where the cell is periodic in all directions."""
    if not all(system.pbc) or system.cell is None:
        return None
    symmetric: np.ndarray = 0.5 * (virial + virial.T)
    return symmetric / abs(np.linalg.det(system.cell))


def _closest(
    model: "ConservativePotential", kinds: np.ndarray, offsets: np.ndarray, senders: np.ndarray
) -> np.ndarray | None:
    """`Evaluation.closest` of one system; None if nobody knows the nearest distances of
    training."""
    if model.nearest is None:
        return None
    known = estimated(model.species, model.nearest, model.cutoff)[kinds[:, None], kinds[senders]]
    ratios = np.linalg.norm(offsets, axis=-1) / known
    i, place = np.unravel_index(ratios.argmin(), ratios.shape)
    if not ratios[i, place] < 1.0:
        return np.array([1.0, -1.0, -1.0, 0.0])
    return np.array([ratios[i, place], *sorted((i, senders[i, place])), known[i, place]])
