"""Energies, forces and stresses of many systems at once, as one graph without edges between
them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mcegnn.neighborhood import Neighborhood, from_graph
from mcegnn.nn.repulsion import estimated
from mcegnn.radius import Method, radius_graph
from systems.system import Evaluation, System

if TYPE_CHECKING:
    from mcegnn.models.atomic import AtomicPotential

_TOGETHER = 4096  # atoms of systems that are one graph


class _Graph(NamedTuple):
    """The atoms of all systems: whose each is (``owner``) and of which species (``kinds``), and
    their neighbours."""

    owner: Tensor
    kinds: np.ndarray
    offsets: Tensor
    hood: Neighborhood


def evaluate_together(
    model: "AtomicPotential", systems: Sequence[System], method: Method | None
) -> list[Evaluation]:
    """Evaluate NumPy systems of any sizes by torch, on whatever device the weights are.

    They are one graph, or several where they have many atoms. Raises ValueError if the model is not
    made for one of the systems.
    """
    for system in systems:
        model.check_system(system)
    sizes = np.array([system.n_particles for system in systems], dtype=int)
    group = (np.cumsum(sizes) - sizes) // _TOGETHER
    found: list[Evaluation] = []
    for k in np.unique(group):
        found += _evaluate_graph(
            model, [systems[int(s)] for s in np.flatnonzero(group == k)], method
        )
    return found


def _graph_of(model: "AtomicPotential", systems: Sequence[System], method: Method | None) -> _Graph:
    """The systems as one graph."""
    device = next(model.parameters()).device
    positions = np.concatenate([np.asarray(s.positions, dtype=float) for s in systems])
    x = torch.as_tensor(positions, device=device)
    sizes = torch.tensor([system.n_particles for system in systems])
    owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes).to(device)
    cells, options = None, {}
    if any(any(system.pbc) for system in systems):
        none = np.zeros((3, 3))
        vectors = [none if s.cell is None else np.asarray(s.cell, float) for s in systems]
        lattices = torch.as_tensor(np.stack(vectors), device=device)
        pbc = torch.tensor([system.pbc for system in systems])
        cells, options = lattices[owner], {"cell": lattices, "pbc": pbc}
    graph = radius_graph(x, model.cutoff, owner, method=method, **options)
    hood, offsets = from_graph(graph, x, model.cutoff, cells)
    hood = replace(hood, owner=owner)
    kinds = model.kinds(np.concatenate([np.asarray(system.species) for system in systems]))
    return _Graph(owner, kinds, offsets, hood)


def _evaluate_graph(
    model: "AtomicPotential", systems: Sequence[System], method: Method | None
) -> list[Evaluation]:
    """Evaluate systems that are one graph."""
    weight, graph = next(model.parameters()), _graph_of(model, systems, method)
    offsets, hood, kinds = graph.offsets, graph.hood, graph.kinds
    energies, gradient = model.energies_and_gradient(
        torch.from_numpy(kinds).to(weight.device), offsets.to(weight), hood
    )
    forces = (gradient.sum(1) - hood.returned(gradient)).double().cpu().numpy()
    of_atoms = energies.detach().double().cpu().numpy() + model.reference_energies[kinds]
    by_atom = torch.einsum("npa,npb->nab", offsets, gradient.double())
    none = offsets.new_zeros(len(systems), 3, 3)
    virials = none.index_add(0, graph.owner, by_atom).cpu().numpy()
    apart, senders = offsets.cpu().numpy(), hood.senders.cpu().numpy()
    found, end = [], 0
    for system, virial in zip(systems, virials, strict=True):
        own = slice(end, end + system.n_particles)
        end = own.stop
        stress = None
        if all(system.pbc) and system.cell is not None:
            stress = 0.5 * (virial + virial.T) / abs(np.linalg.det(system.cell))
        energy, closest = np.float64(of_atoms[own].sum()), None
        if model.nearest is not None:
            closest = _closest(model, kinds[own], apart[own], senders[own] - own.start)
        found.append(
            Evaluation(energy, forces[own], stress, of_atoms[own], closest=closest, potential=model)
        )
    return found


def _closest(
    model: "AtomicPotential", kinds: np.ndarray, offsets: np.ndarray, senders: np.ndarray
) -> np.ndarray:
    """`Evaluation.closest` of one system."""
    assert model.nearest is not None
    known = estimated(model.species, model.nearest, model.cutoff)[kinds[:, None], kinds[senders]]
    ratios = np.linalg.norm(offsets, axis=-1) / known
    i, place = np.unravel_index(ratios.argmin(), ratios.shape)
    if not ratios[i, place] < 1.0:
        return np.array([1.0, -1.0, -1.0, 0.0])
    return np.array([ratios[i, place], *sorted((i, senders[i, place])), known[i, place]])
