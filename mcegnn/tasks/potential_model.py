"""The model of energies and forces: the hyper-parameters of a potential that its data decide."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.data.statistics import reference_energies
from mcegnn.models.atomic import AtomicPotential
from mcegnn.models.registry import MODELS, with_wrapped, wrapped
from mcegnn.models.store import Stored
from mcegnn.neighborhood import places
from mcegnn.training.nearest import fewest_neighbors, nearest_distances, nearest_of_both
from mcegnn.training.options import TrainingOptions
from mcegnn.training.prediction import residuals

_SAMPLE = 50  # structures whose neighbours are counted


def potential(
    options: TrainingOptions,
    train: Dataset,
    start: Stored | None = None,
    isolated: Mapping[int, float] | None = None,
) -> Stored:
    """Make a potential for these structures, with fresh weights or those of ``start``; species,
    reference energies and similar hyper-parameters are determined from the structures.

    ``isolated`` are energies of isolated atoms (eV), by atomic number, which fresh potentials take
    for their reference energies.

    Raises ValueError if ``start`` is another kind of model, has other hyper-parameters than those
    given, or does not know all of the species.
    """
    kind, whole = options.model.kind, options.model.hyperparameters
    inner, given = wrapped(kind, whole)
    if start is None:
        decided = {**_known_to(inner, _decided(train, given, isolated or {})), **given}
        made = Stored.make(kind, with_wrapped(kind, whole, decided))
        return _levelled(made, train, bool(isolated))
    if start.kind != options.model.kind:
        raise ValueError(f"a potential cannot start from a {start.kind}")
    _, own = wrapped(start.kind, start.hyperparameters)
    for name, value in given.items():
        if own[name] != value and name not in ("repulsion", "nearest", "fewest"):
            raise ValueError(
                f"the model to start from has {name} = {own[name]}, not {value}; leave it out"
            )
    model: Any = start.model
    model.kinds(train.species)
    periodic = bool(own.get("periodic")) or bool(train.periodic.any())
    decided = _known_to(inner, {"periodic": periodic, **_short_range(model, train)})
    now = {**own, **decided, **given}
    kept = Stored.make(start.kind, with_wrapped(start.kind, start.hyperparameters, now))
    kept.model.load_state_dict(start.model.state_dict())
    return _shifted(kept, train)


def _known_to(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the hyper-parameters that are the data's to decide for models of a class."""
    model_class: Any = MODELS[kind]
    has = inspect.signature(model_class.__init__).parameters
    return {name: values[name] for name in model_class.of_data if name in values and name in has}


def _levelled(stored: Stored, train: Dataset, bound: bool) -> Stored:
    """The potential with its readout at the structures' usual energy an atom, where reference
    energies are not of their own."""
    model: Any = stored.model
    if bound:
        sums = train.composition(model.species) @ model.reference_energies
        model.begin_at(float(np.median((train["energy"] - sums) / train.sizes)))
    return stored


def _decided(
    train: Dataset, given: Mapping[str, Any], isolated: Mapping[int, float]
) -> dict[str, Any]:
    """Species, their energies and nearest distances, the scale of forces, how many neighbours an
    atom has, of the training structures."""
    species = given.get("species") or train.elements.tolist()
    cutoff = float(given.get("cutoff", 5.0))
    some = np.linspace(0, len(train) - 1, min(len(train), _SAMPLE)).astype(int)
    near = [
        ((np.linalg.norm(p.offsets, axis=-1) < cutoff).sum(), len(p.senders))
        for p in (places(train.system(k), cutoff) for k in some)
    ]
    pairs, atoms = np.sum(near, 0)
    known = train["forces"][np.isfinite(train["forces"])]
    scale = float(np.sqrt((known**2).mean())) if len(known) else 0.0
    return {
        "species": species,
        "scale": scale if scale > 0 else 1.0,
        "n_neighbors": max(1.0, float(pairs / atoms)),
        "reference_energies": reference_energies(train, np.array(species), isolated).tolist(),
        "periodic": bool(train.periodic.any()),
        "repulsion": True,
        "nearest": nearest_distances(train, species, cutoff).tolist(),
        "fewest": fewest_neighbors(train, cutoff),
    }


def _short_range(model: AtomicPotential, train: Dataset) -> dict[str, Any]:
    """Repulsion below the nearest distances that either the model or these structures have, where
    it has none that it was trained with; and the fewest neighbours of either."""
    if model.repulsion is not None and model.nearest is None:
        return {}
    nearest, fewest = (
        nearest_distances(train, model.species, model.cutoff),
        fewest_neighbors(train, model.cutoff),
    )
    if model.nearest is not None:
        nearest = nearest_of_both(nearest, model.nearest)
    return {
        "repulsion": True,
        "nearest": nearest.tolist(),
        "fewest": min(fewest, model.fewest or fewest),
    }


def _shifted(stored: Stored, train: Dataset) -> Stored:
    """The model with reference energies shifted by its mean error: other methods have another zero
    of energy."""
    model: Any = stored.model
    missing = train.with_values(energy=residuals(model, train))
    shift = np.zeros(len(model.species))
    seen = [k for k, z in enumerate(model.species) if z in train.elements]
    shift[seen] = reference_energies(missing, np.array(model.species)[seen])
    energies = (model.reference_energies + shift).tolist()
    kind, whole = stored.kind, stored.hyperparameters
    inner = {**wrapped(kind, whole)[1], "reference_energies": energies}
    moved = Stored.make(kind, with_wrapped(kind, whole, inner), stored.record)
    moved.model.load_state_dict(model.state_dict())
    moved.model.to(next(model.parameters()).dtype)
    return moved
