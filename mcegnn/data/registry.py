"""Data sets by name. A new one is a function from options to a `Split`, and a line here."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcegnn.data.split import Split
from mcegnn.registry import Registry

if TYPE_CHECKING:
    from mcegnn.training.options import DataOptions

    Loader = Callable[[DataOptions], Split]

DATASETS = Registry(
    "data set",
    "mcegnn.datasets",
    {
        "charged": "mcegnn.data.pairs:load",
        "solar": "mcegnn.data.pairs:load",
        "solar-de440": "mcegnn.data.pairs:load",
        "qm9": "mcegnn.data.qm9:load",
        "rmd17": "mcegnn.data.structures:load",
    },
)
_FILES = ("solar", "rmd17")  # whose names may go on with a file, as in solar:BODIES.csv


def loader(name: str) -> "Loader":
    """The function that loads the data of a name: a data set, one with a file, such as
    solar:BODIES.csv, or a file of labelled structures. Raises ValueError, naming the nearest, if
    there is neither."""
    kind, colon, _ = name.partition(":")
    if name in DATASETS or (colon and kind in _FILES):
        found: Loader = DATASETS[kind if colon else name]
        return found
    if Path(name).exists() or "." in name or "/" in name:
        return _structures
    found = DATASETS[name]
    return found


def _structures(options: Any) -> Split:
    from mcegnn.data.structures import load as of_file

    return of_file(options)


def load(options: "DataOptions") -> Split:
    """Load the data of these options as a `Split`. Raises what the loader raises."""
    return loader(options.name)(options)


def check(name: str) -> None:
    """Raise ValueError or FileNotFoundError if there is no data of that name."""
    loader(name)
