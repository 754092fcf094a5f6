"""Predictions of models for structures in files, and a table of them."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcegnn.models.model import Model
from systems.sources.atoms import read_all
from systems.system import System

_TOGETHER = 100  # structures that are predicted at once

Targets = Mapping[str, tuple[Any, str]]  # values [n] and unit of each target, by name


class Named(NamedTuple):
    """A structure, and what it is called: its file, with @INDEX where that holds several."""

    name: str
    system: System


def read_structures(files: Sequence[str], folder: Path = Path()) -> list[Named]:
    """The structures of files in a folder, called as the files are given; FILE@INDEX is one of
    several. Raises FileNotFoundError or ValueError, naming the file, if one cannot be read."""
    found = []
    for file in files:
        systems = [system for system, _ in read_all(str(folder / file))]
        several = len(systems) > 1
        found += [Named(f"{file}@{k}" if several else file, s) for k, s in enumerate(systems)]
    return found


def check_structures(model: Model, structures: Sequence[Named]) -> None:
    """Raise ValueError, naming it, if the model is not made for one of the structures, or there are
    none."""
    if not structures:
        raise ValueError("there are no structures to predict of")
    for name, system in structures:
        try:
            model.check_system(system)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def predictions(model: Model, systems: Sequence[System]) -> Iterator[Targets]:
    """Predict the targets of systems, some at a time."""
    for first in range(0, len(systems), _TOGETHER):
        yield model.predict_targets(systems[first : first + _TOGETHER])


def joined(parts: Sequence[Targets]) -> dict[str, tuple[np.ndarray, str]]:
    """The targets of all parts, one after the other."""
    return {
        name: (np.concatenate([np.asarray(part[name][0]) for part in parts]), unit)
        for name, (_, unit) in parts[0].items()
    }


def predict(model: Model, systems: Sequence[System]) -> dict[str, tuple[np.ndarray, str]]:
    """Values [n] and unit of each target that the model has, by name. Raises ValueError, saying the
    number of the system, if the model is not made for one of them."""
    check_structures(model, [Named(f"structure {k}", one) for k, one in enumerate(systems)])
    return joined(list(predictions(model, systems)))


def table_of(names: Sequence[str], targets: Targets) -> str:
    """CSV: the names of the structures under "file", then a column a target, "NAME (UNIT)"."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *(f"{name} ({u})" if u else name for name, (_, u) in targets.items())])
    for k, name in enumerate(names):
        writer.writerow([name, *(f"{values[k]:.10g}" for values, _ in targets.values())])
    return text.getvalue()
