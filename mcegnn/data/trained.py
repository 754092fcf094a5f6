"""Training data of a potential as numbers that its file keeps: `identity.keys` of structures,
uint64 by their part."""

from collections.abc import Iterator, Mapping

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.data.identity import keys, known, label_keys
from mcegnn.data.split import Split

_TRAIN, _VALIDATION, _BEFORE, _LABELS = "train", "validation", "before", "labels"
_SAID = {
    _TRAIN: "trained on",
    _VALIDATION: "chose the best weights",
    _BEFORE: "trained on, or chose weights, of the model it began from",
}


def told_by(split: Split, before: np.ndarray | None) -> dict[str, np.ndarray]:
    """The numbers of a training: those of its structures, those ``before`` of the models it began
    from (None: unknown), those of its labels."""
    parts = (split.train, split.validation)
    found = {
        _TRAIN: keys(split.train),
        _VALIDATION: keys(split.validation),
        _LABELS: np.concatenate([label_keys(part) for part in parts]),
    }
    return found if before is None else {**found, _BEFORE: before}


def before_of(trained: Mapping[str, np.ndarray] | None) -> np.ndarray | None:
    """The numbers of all structures known to a model that begins from one with these numbers; None
    if the other does not hold all of its own."""
    if trained is None:
        return np.zeros(0, dtype=np.uint64)
    if _BEFORE not in trained:
        return None
    return np.unique(np.concatenate([trained[part] for part in _SAID]))


def without_labels(trained: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The numbers that a model's file keeps: labels are needed only to resume a training."""
    return {part: numbers for part, numbers in trained.items() if part != _LABELS}


def parts_of(
    structures: Dataset, trained: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """For each part that structures had in a training, in words, which had it, bool [n]; none
    counts twice."""
    left = np.ones(len(structures), dtype=bool)
    for part, words in _SAID.items():
        those = left & known(structures, trained.get(part, np.zeros(0, dtype=np.uint64)))
        left &= ~those
        yield words, those


def difference(was: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]) -> str:
    """In words, how the structures and labels of a training differ from those it began with;
    nothing where they do not."""
    lost = {part: int((~np.isin(was[part], now[part])).sum()) for part in (_TRAIN, _VALIDATION)}
    if any(lost.values()):
        names = ((_TRAIN, "training"), (_VALIDATION, "validation"))
        told = (f"{lost[part]:,} of {len(was[part]):,} {words} structures" for part, words in names)
        return f"{' and '.join(told)} are other ones"
    if any(not np.array_equal(was[part], now[part]) for part in lost):
        return "its structures are other ones too, or in another order"
    n_changed = int((was[_LABELS] != now[_LABELS]).sum())
    return (
        f"the labels of {n_changed:,} of its {len(was[_LABELS]):,} structures changed"
        if n_changed
        else ""
    )
