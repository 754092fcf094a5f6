"""Pairs of states by name: ``charged``, ``solar``, ``solar-de440`` and ``solar:BODIES.csv``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcegnn.data.split import Split
from mcegnn.names import nearest

if TYPE_CHECKING:
    from mcegnn.tasks.pairs import PairsOptions

#: All but the solar systems of bodies files.
NAMES = ("charged", "solar", "solar-de440")


def load(options: "PairsOptions") -> Split:
    """As `split`."""
    return split(options.name, options.n_train, options.without)


def split(name: str, n_train: int | None = None, without: Sequence[str] = ()) -> Split:
    """Return training, validation and test samples. ``without`` leaves bodies out of a solar
    system.

    Raises ValueError, naming the nearest, if there is no such data set or it lacks these numbers or
    bodies; FileNotFoundError if there is no bodies file; RuntimeError if an extra is missing.
    """
    check_name(name)
    if name == "charged":
        from mcegnn.data.charged import N_TRAIN, charged

        if without:
            raise ValueError("only solar data sets can be without a body")
        return charged(N_TRAIN if n_train is None else n_train)
    made = _solar(name, without)
    if n_train is None:
        return made
    if not 1 <= n_train <= len(made.train):
        raise ValueError(f"{name} has {len(made.train)} training samples, not {n_train}")
    # spread over the year: the first days alone would show nothing of slow planets
    some = made.train.take(np.linspace(0, len(made.train) - 1, n_train).astype(int))
    return replace(made, train=some, whole=sum(map(len, (made.train, made.validation, made.test))))


def check_name(name: str) -> None:
    """Raise ValueError, naming the nearest, if there is no such data set; FileNotFoundError if
    there is no bodies file."""
    kind, _, path = name.partition(":")
    if kind == "solar" and path:
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no bodies file {path}")
    elif name not in NAMES:
        known = f"{', '.join(NAMES)}, solar:BODIES.csv"
        raise ValueError(
            f"there is no data set {name!r}; did you mean {nearest(name, NAMES)}? (known: {known})"
        )


def _solar(name: str, without: Sequence[str]) -> Split:
    from mcegnn.data import solar
    from systems.sources.solar import J2000, j2000, read_bodies

    if name == "solar-de440":
        if without:
            raise ValueError("solar-de440 has all of its bodies; take solar to leave some out")
        return solar.from_de440(J2000)
    bodies = j2000() if name == "solar" else read_bodies(name.partition(":")[2])
    return solar.simulated(bodies.without(without))
