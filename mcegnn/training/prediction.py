"""Predictions of a potential for labelled structures, and their errors."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mcegnn.data.dataset import Dataset
from mcegnn.models.atomic import AtomicPotential
from mcegnn.training.prepared import Batch, Prepared

_PLACES = 40_000  # pairs that are evaluated at once


class Predicted(NamedTuple):
    """Energies [n_structures] (eV, without the reference energies), forces [n_atoms, 3] and
    stresses [n_structures, 3, 3]."""

    energies: Tensor
    forces: Tensor
    stresses: Tensor


def predicted(
    model: AtomicPotential,
    batch: Batch,
    weights: Mapping[str, Tensor] | None = None,
    *,
    differentiable: bool = False,
) -> Predicted:
    """Predict a batch, with these weights of the network; stresses are NaN for systems without a
    volume."""
    hood, n = batch.hood, len(batch.energies)
    each, gradient = model.energies_and_gradient(
        batch.kinds, batch.offsets, hood, weights, differentiable=differentiable
    )
    forces = gradient.sum(1) - hood.returned(gradient)
    virials = (batch.offsets.unsqueeze(-1) * gradient.unsqueeze(-2)).sum(1)
    # the last row is that of atoms which only fill the batch up
    sums = (
        part.new_zeros(n + 1, *part.shape[1:]).index_add(0, batch.owner, part)[:n]
        for part in (each, virials)
    )
    energies, virial = sums
    return Predicted(energies, forces, virial / batch.volumes.view(-1, 1, 1))


def _said(model: AtomicPotential, prepared: Prepared) -> Iterator[tuple[Batch, Predicted]]:
    """The structures in blocks, with what the model says of them."""
    per_structure = int(prepared.structures.sizes.max()) * prepared.degree
    block = max(1, _PLACES // per_structure)
    for first in range(0, len(prepared), block):
        batch = prepared.batch(np.arange(first, min(first + block, len(prepared))))
        yield batch, Predicted(*(part.detach() for part in predicted(model, batch)))


def residuals(model: AtomicPotential, structures: Dataset) -> np.ndarray:
    """Energy of each structure minus the predicted energy [n] (eV)."""
    weight = next(model.parameters())
    prepared = Prepared(structures, model, weight.dtype, weight.device)
    return np.concatenate(
        [
            (batch.energies - said.energies).double().numpy(force=True)
            for batch, said in _said(model, prepared)
        ]
    )


def deviations(model: AtomicPotential, prepared: Prepared) -> dict[str, np.ndarray]:
    """Mean absolute errors of each structure [n]: of forces (eV / Angstrom), energy, energy per
    atom (eV) and, where known, stress."""
    found: dict[str, list[Tensor]] = {
        "forces": [],
        "energy": [],
        "energy per atom": [],
        "stress": [],
    }
    for batch, said in _said(model, prepared):
        known = batch.forces.isfinite()
        off, counted = (
            (said.forces - batch.forces).abs().where(known, 0.0).sum(1),
            known.sum(1).to(batch.forces),
        )
        energy = (said.energies - batch.energies).abs()
        off, counted = (
            torch.zeros_like(energy).index_add(0, batch.owner, part) for part in (off, counted)
        )
        found["forces"].append(off / counted.clamp(min=1.0))
        found["energy"].append(energy)
        found["energy per atom"].append(energy / batch.sizes)
        found["stress"].append((said.stresses - batch.stresses).abs().mean((1, 2)))
    joined = {name: torch.cat(parts).double().numpy(force=True) for name, parts in found.items()}
    joined["stress"] = joined["stress"][np.isfinite(joined["stress"])]
    return {name: values for name, values in joined.items() if len(values)}


class Differences(NamedTuple):
    """Predictions minus labels: energies [n] (eV), forces [n_atoms, 3] and stresses [n, 3, 3], both
    NaN if unknown."""

    energies: np.ndarray
    forces: np.ndarray
    stresses: np.ndarray


def differences(
    model: AtomicPotential,
    structures: Dataset,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> Differences:
    """Predictions of all structures minus their labels; ``told`` is called with the number done and
    the number of all."""
    weight = next(model.parameters())
    kept: tuple[list[np.ndarray], ...] = ([], [], [])
    done = 0
    for batch, said in _said(model, Prepared(structures, model, weight.dtype, weight.device)):
        off = (
            said.energies - batch.energies,
            said.forces - batch.forces,
            said.stresses - batch.stresses,
        )
        for parts, part in zip(kept, off, strict=True):
            parts.append(part.double().numpy(force=True))
        done += len(batch.energies)
        told(done, len(structures))
    return Differences(*(np.concatenate(parts) for parts in kept))


def measures(model: AtomicPotential, structures: Dataset) -> dict[str, float]:
    """`measures_of` the predictions of all structures."""
    return measures_of(differences(model, structures), structures)


def measures_of(off: Differences, structures: Dataset) -> dict[str, float]:
    """Mean absolute and root-mean-square errors over all structures: of energies (eV), energies per
    atom, components of forces (eV / Angstrom), also by element, and, where the data has them,
    components of stresses (eV / Angstrom^3). Those of atoms that were held fixed are unknown and do
    not count.
    """
    from ase.data import chemical_symbols

    energy, every, stress = off
    given = np.isfinite(structures["forces"])
    force, known = (
        every[given],
        stress[
            np.isfinite(structures["stress"])
            & np.asarray(structures.periodic.all(1))[:, None, None]
        ],
    )
    of_elements = {
        chemical_symbols[z]: every[(structures.species == z)[:, None] & given]
        for z in structures.elements
    }
    return {
        "energy_mae": float(abs(energy).mean()),
        "energy_rmse": float((energy**2).mean() ** 0.5),
        "energy_per_atom_mae": float(abs(energy / structures.sizes).mean()),
        **(
            {"force_mae": float(abs(force).mean()), "force_rmse": float((force**2).mean() ** 0.5)}
            if len(force)
            else {}
        ),
        **{
            f"force_mae_{symbol}": float(abs(own).mean())
            for symbol, own in of_elements.items()
            if len(own)
        },
        **({"stress_mae": float(abs(known).mean())} if len(known) else {}),
    }
