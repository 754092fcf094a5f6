"""What models say of structures in files: targets of each, and a table of them."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mcegnn.models.model import Model, Role
from systems.sources.atoms import read_all
from systems.system import System

_TOGETHER = 100  # structures that are predicted at once


class Named(NamedTuple):
    """A structure, and what it is called: its file, with @INDEX where that holds several."""

    name: str
    system: System


def check_predicts(model: Model, name: str) -> None:
    """Raise ValueError, saying for which verbs it is, if a model says nothing of structures."""
    if model.role is Role.FLOW:
        raise ValueError(
            f"{name} is a {type(model).__name__}, which moves particles and predicts nothing of"
            f" structures; it is for {model.role.verbs}"
        )


def read_structures(files: Sequence[str]) -> list[Named]:
    """The structures of files; FILE@INDEX is one of several. Raises FileNotFoundError or
    ValueError, naming the file, if one cannot be read."""
    found = []
    for file in files:
        systems = [system for system, _ in read_all(file)]
        several = len(systems) > 1
        found += [Named(f"{file}@{k}" if several else file, s) for k, s in enumerate(systems)]
    return found


def predict(
    model: Model,
    systems: Sequence[System],
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, tuple[np.ndarray, str]]:
    """Values [n] and unit of each target that the model has, by name. Raises ValueError if the
    model is not made for one of the systems, whose number it says."""
    blocks: list[Mapping[str, tuple[Any, str]]] = []
    for k, system in enumerate(systems):
        try:
            model.check_system(system)
        except ValueError as error:
            raise ValueError(f"structure {k}: {error}") from None
    for first in range(0, len(systems), _TOGETHER):
        blocks.append(model.predict_targets(systems[first : first + _TOGETHER]))
        on_progress(min(first + _TOGETHER, len(systems)), len(systems))
    return {
        name: (np.concatenate([np.asarray(block[name][0]) for block in blocks]), unit)
        for name, (_, unit) in blocks[0].items()
    }


def table_of(
    model: Model,
    structures: Sequence[Named],
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> str:
    """CSV: the names of the structures under "file", then a column a target, "NAME (UNIT)"."""
    for name, system in structures:
        try:
            model.check_system(system)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    found = predict(model, [system for _, system in structures], on_progress)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *(f"{name} ({u})" if u else name for name, (_, u) in found.items())])
    for k, (name, _) in enumerate(structures):
        writer.writerow([name, *(f"{values[k]:.10g}" for values, _ in found.values())])
    return text.getvalue()
