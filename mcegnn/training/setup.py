"""From options to data and model: which structures, and the hyper-parameters of a potential that its data decide."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mcegnn.datasets.labelled import Labelled, named
from mcegnn.datasets.split import Part, part_of
from mcegnn.datasets.statistics import reference_energies
from mcegnn.datasets.structures import Structures, StructureSplit, split
from mcegnn.models.potential import ConservativePotential
from mcegnn.models.store import Stored
from mcegnn.neighborhood import places
from mcegnn.training.nearest import nearest_distances, nearest_of_both
from mcegnn.training.options import DataOptions, TrainingOptions
from mcegnn.training.prediction import residuals

_SAMPLE = 50  # structures whose neighbours are counted


def structures(options: DataOptions) -> StructureSplit:
    """The data of the options, cut: an official test where there is one, else what is left. ValueError where there is too little."""
    found = named(options.name)
    n = len(found.structures)
    n_validation = max(1, n // 20) if options.n_validation is None else options.n_validation
    if found.test is None:
        n_train = options.n_train if options.n_train is not None else max(1, n - n_validation - n // 10)
        return split(found.structures, n_train, n_validation, options.seed)
    return _official(found, options.n_train or n - n_validation, n_validation)


def _official(found: Labelled, n_train: int, n_validation: int) -> StructureSplit:
    """The first of the official training structures train, those that follow validate."""
    pool, last = found.structures, n_train + n_validation
    if last > len(pool):
        raise ValueError(f"the official split has {len(pool)} structures to train and validate on, not {n_train} + {n_validation}")
    assert found.test is not None
    return StructureSplit(pool.take(slice(0, n_train)), pool.take(slice(n_train, last)), found.test, len(pool) + len(found.test))


def tested(name: str, trained: DataOptions | None, validation: bool) -> Part:
    """The test (or validation) structures of the data a model was ``trained`` with, an official test, or all structures of a file."""
    if trained is not None and _same(trained.name, name):
        chosen = part_of(structures(trained), "validation" if validation else "test")
        if not len(chosen.samples):
            raise ValueError(f"all of {name} was trained on, so nothing of it is left to test")
        return chosen
    if validation:
        raise ValueError(f"the model was not trained with {name}, so it has no validation structures there; leave out --validation")
    found = named(name)
    if found.test is None:
        return Part(found.structures, "all", len(found.structures))
    return Part(found.test, "test", len(found.structures) + len(found.test))


def _same(one: str, other: str) -> bool:
    """Whether two names are of the same data: by other names a model must not be tested on what it was trained on."""
    return one == other or (Path(one).is_file() and Path(other).is_file() and Path(one).samefile(other))


def potential(options: TrainingOptions, train: Structures, start: Stored | None = None) -> Stored:
    """A potential with fresh weights for these structures, or with those of ``start``, fitted to them in what its data decide.

    Raises ValueError where ``start`` is another model, has other hyper-parameters than those given, or knows not all of the species.
    """
    given = options.model.hyperparameters
    if start is None:
        return Stored.make(options.model.kind, {**_decided(train, given), **given})
    if not isinstance(start.model, ConservativePotential):
        raise ValueError(f"a potential cannot start from a {start.kind}")
    own = start.hyperparameters
    for name, value in given.items():
        if own[name] != value and name not in ("repulsion", "nearest"):
            raise ValueError(f"the model to start from has {name} = {own[name]}, not {value}; leave it out")
    start.model.kinds(train.species)
    periodic = bool(own.get("periodic")) or bool(train.pbc.any())
    kept = Stored.make(start.kind, {**own, "periodic": periodic, **_short_range(start.model, train), **given})
    kept.model.load_state_dict(start.model.state_dict())
    return _shifted(kept, train)


def _decided(train: Structures, given: Mapping[str, Any]) -> dict[str, Any]:
    """Species, their energies and nearest distances, the scale of forces, how many neighbours an atom has, of the training structures."""
    species = given.get("species") or train.elements.tolist()
    cutoff = float(given.get("cutoff", 5.0))
    some = np.linspace(0, len(train) - 1, min(len(train), _SAMPLE)).astype(int)
    near = [((np.linalg.norm(p.offsets, axis=-1) < cutoff).sum(), len(p.senders)) for p in (places(train.system(k), cutoff) for k in some)]
    pairs, atoms = np.sum(near, 0)
    scale = float(np.sqrt((train.forces**2).mean()))
    return {
        "species": species, "scale": scale if scale > 0 else 1.0, "n_neighbors": max(1.0, float(pairs / atoms)),
        "reference_energies": reference_energies(train, np.array(species)).tolist(), "periodic": bool(train.pbc.any()),
        "repulsion": True, "nearest": nearest_distances(train, species, cutoff).tolist(),
    }  # fmt: skip


def _short_range(model: ConservativePotential, train: Structures) -> dict[str, Any]:
    """Repulsion below the nearest distances that either the model or these structures have, where it has none that it was trained with."""
    if model.repulsion is not None and model.nearest is None:
        return {}
    nearest = nearest_distances(train, model.species, model.cutoff)
    return {"repulsion": True, "nearest": (nearest if model.nearest is None else nearest_of_both(nearest, model.nearest)).tolist()}


def _shifted(stored: Stored, train: Structures) -> Stored:
    """The model with reference energies that make up for the mean of what it is wrong by: other methods count from another zero."""
    model = stored.model
    assert isinstance(model, ConservativePotential)
    missing = replace(train, energies=residuals(model, train))
    shift = np.zeros(len(model.species))
    seen = [k for k, z in enumerate(model.species) if z in train.elements]
    shift[seen] = reference_energies(missing, np.array(model.species)[seen])
    energies = (model.reference_energies + shift).tolist()
    moved = Stored.make(stored.kind, {**stored.hyperparameters, "reference_energies": energies}, stored.record)
    moved.model.load_state_dict(model.state_dict())
    moved.model.to(next(model.parameters()).dtype)
    return moved
