"""Splits of labelled structures: isolated atoms and duplicates are treated, and no training
structure is in a test."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcegnn.data.assembly import join_datasets
from mcegnn.data.dataset import Dataset
from mcegnn.data.fingerprints_0_1 import same_data
from mcegnn.data.identity import known, same
from mcegnn.data.isolated import energies, isolated
from mcegnn.data.label_rules import AS_THEY_ARE, Notes
from mcegnn.data.label_targets import Labelled
from mcegnn.data.labelled import named
from mcegnn.data.split import Part, Split, random_split
from mcegnn.data.trained import parts_of
from mcegnn.data.upright import upright

if TYPE_CHECKING:
    from mcegnn.tasks.energies_forces import StructureOptions

_SAME_ENERGY = 0.01  # eV, of copies that are rounded
_UNKNOWN = "the model's file does not tell all of it, so that what is scored may hold some"


def load(options: "StructureOptions") -> Split:
    """Load `structures` for a model without earlier training."""
    return structures(options)


def structures(options: "StructureOptions", before: np.ndarray | None = None) -> Split:
    """Load and split the data of the options: an official test if there is one, else what is left.
    Raises ValueError if there are too few structures.

    Isolated atoms are in no part, copies of a structure in one and the same; the test has none that
    is known by a number of ``before``.
    """
    found = named(options.name, options.reading)
    if options.upright:
        test = None if found.test is None else upright(found.test, found.structures)
        found = found._replace(structures=upright(found.structures), test=test)
    atoms, pool = _apart(found.structures, options.name)
    n = len(pool)
    n_validation = max(1, n // 20) if options.n_validation is None else options.n_validation
    if found.test is None:
        copies = same(pool)
        n_train = (
            options.n_train if options.n_train is not None else max(1, n - n_validation - n // 10)
        )
        made = random_split(
            pool,
            n_train,
            n_validation,
            options.seed,
            copies if len(np.unique(copies)) < n else None,
        )
        made = replace(made, whole=len(found.structures))
        said, doubts = _copies(pool, copies)
    else:
        made, said = _official(found, options.n_train or n - n_validation, n_validation)
        doubts = []
    references, more = energies(atoms)
    notes = (*found.notes, *said, *_alone(references), *(_known_before(made.test, before)))
    test = made.test if before is None else made.test.take(~known(made.test, before))
    return replace(made, test=test, isolated=references, notes=notes, doubts=(*doubts, *more))


def _apart(every: Dataset, name: str) -> tuple[Dataset, Dataset]:
    """Isolated atoms, and the others. Raises ValueError if there are no others."""
    alone = isolated(every)
    if alone.all():
        raise ValueError(
            f"{name} holds isolated atoms alone, whose energies are but the zero of others; add"
            " molecules or crystals"
        )
    return every.take(alone), every.take(~alone)


def _alone(references: Mapping[int, float]) -> Notes:
    """Notes on isolated atoms."""
    from ase.data import chemical_symbols

    told = ", ".join(f"{chemical_symbols[z]} {energy:.6g} eV" for z, energy in references.items())
    return (("isolated atoms", f"reference energies, in no part: {told}"),) if told else ()


def _copies(pool: Dataset, copies: np.ndarray) -> tuple[Notes, list[str]]:
    """Notes on duplicate structures, and on the first of them whose energies differ."""
    again = np.flatnonzero(copies != np.arange(len(copies)))
    if not len(again):
        return (), []
    apart = abs(pool["energy"][again] - pool["energy"][copies[again]])
    differ = np.flatnonzero(apart > _SAME_ENERGY)
    doubts = (
        [
            f"{len(differ):,} structures are there twice with energies that differ, the "
            f"first by {apart[differ[0]]:.4g} eV (structure "
            f"{again[differ[0]]} is structure {copies[again[differ[0]]]}, isolated atoms "
            "not counted); are they of one method?"
        ]
        if len(differ)
        else []
    )
    return (
        ("copies", f"{len(again):,} structures are others once more; copies are kept in one part"),
    ), doubts


def _known_before(test: Dataset, before: np.ndarray | None) -> Notes:
    """Notes on test structures that the initial model was trained on."""
    if before is None:
        return (
            (
                "test",
                (
                    "may hold what the model it begins from was trained on, of which its file does"
                    " not tell"
                ),
            ),
        )
    n = int(known(test, before).sum()) if len(before) else 0
    return (
        (
            (
                "left out of the test",
                f"{n:,} structures that the model it begins from was trained on or chosen by",
            ),
        )
        if n
        else ()
    )


def _official(found: Labelled, n_train: int, n_validation: int) -> tuple[Split, Notes]:
    """The first of the official training structures train, those that follow validate; copies of
    them are taken out of the test."""
    pool, last = found.structures, n_train + n_validation
    if last > len(pool):
        raise ValueError(
            f"the official split has {len(pool)} structures to train and validate on, not {n_train}"
            f" + {n_validation}"
        )
    assert found.test is not None
    copies = same(join_datasets([pool.take(slice(0, last)), found.test]))[last:] < last
    notes = (
        (("copies", f"{copies.sum():,} structures of the test are training's; left out"),)
        if copies.any()
        else ()
    )
    train, validation = pool.take(slice(0, n_train)), pool.take(slice(n_train, last))
    return (
        Split(train, validation, found.test.take(~copies), len(pool) + len(found.test)),
        notes,
    )


def to_score(
    name: str,
    trained: "StructureOptions | None",
    validation: bool,
    numbers: Mapping[str, np.ndarray] | None = None,
    data: str | None = None,
) -> Part:
    """The test (or validation) structures of the data a model was ``trained`` with, an official
    test, or all structures of a file; always without those that it or a model it began from was
    trained on or chosen by, as far as the ``numbers`` of `trained.told_by` tell.

    ``data`` is the digest of what it was trained on: where the file of that name now gives another,
    it is a file like any other.
    """
    made = None if trained is None else _as_trained(name, trained, numbers or {}, data)
    if made is not None:
        chosen = made.part("validation" if validation else "test")
        if not len(chosen.samples):
            raise ValueError(f"all of {name} was trained on, so nothing of it is left to test")
        return chosen
    if validation:
        raise ValueError(
            f"the model was not trained with {name} as it is now, so it has no validation"
            " structures; leave out --validation"
        )
    found = named(name, AS_THEY_ARE if trained is None else trained.reading)
    n, n_test = len(found.structures), 0 if found.test is None else len(found.test)
    every = (
        Part(found.structures, "all", n)
        if found.test is None
        else Part(found.test, "test", n + n_test)
    )
    return _unknown_to(numbers or {}, every._replace(notes=found.notes), name)


def _as_trained(
    name: str, trained: "StructureOptions", numbers: Mapping[str, np.ndarray], data: str | None
) -> Split | None:
    """The data cut as for the training; None where they are not those it was trained with.

    Of a model without numbers, which older ones are, another file is its own where its digest is.
    """
    if not _same_file(trained.name, name) and (numbers or data is None):
        return None
    try:
        made = structures(
            trained.model_copy(update={"name": name}),
            numbers.get("before") if numbers else np.zeros(0, dtype=np.uint64),
        )
    except ValueError:  # too few of them, perhaps; whoever reads them next says what is wrong
        return None
    return made if data is None or same_data(data, made.train) else None


def _unknown_to(numbers: Mapping[str, np.ndarray], part: Part, name: str) -> Part:
    """The structures of a part that are not among the numbers of a model's training. Raises
    ValueError if there are none."""
    atoms, pool = _apart(part.samples, name)
    left, reasons = np.ones(len(pool), dtype=bool), {"isolated atoms": len(atoms)}
    for words, those in parts_of(pool, numbers):
        left &= ~those
        reasons[words] = int(those.sum())
    if not left.any():
        raise ValueError(
            f"all {len(pool):,} structures of {name} were trained on or chose the weights, so"
            " nothing of it is left to test"
        )
    notes = part.notes if "before" in numbers else (*part.notes, ("trained on", _UNKNOWN))
    reasons = {words: n for words, n in reasons.items() if n}
    return Part(pool.take(left), part.name if left.all() else "test", part.whole, reasons, notes)


def _same_file(one: str, other: str) -> bool:
    """Whether two names are of the same data: by other names a model must not be tested on what it
    was trained on."""
    return one == other or (
        Path(one).is_file() and Path(other).is_file() and Path(one).samefile(other)
    )
