"""Data sets by name: ``charged``, ``solar``, ``solar-de440`` and ``solar:BODIES.csv``."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mcegnn.datasets.split import Samples, Split
from mcegnn.names import nearest

#: All but the solar systems of bodies files.
NAMES = ("charged", "solar", "solar-de440")


def split(name: str, n_train: int | None = None, without: Sequence[str] = ()) -> Split:
    """Training, validation and test samples. ``without`` leaves bodies out of a solar system.

    Raises ValueError, naming the nearest, where there is no such data set, and for numbers or
    bodies it does not have; FileNotFoundError where there is no bodies file; RuntimeError where an
    extra is missing.
    """
    refuse_unknown(name)
    if name == "charged":
        from mcegnn.datasets.charged import N_TRAIN, charged

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


def refuse_unknown(name: str) -> None:
    """ValueError, naming the nearest, where there is no such data set; FileNotFoundError where
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
    from mcegnn.datasets import solar
    from systems.sources.solar import J2000, j2000, read_bodies

    if name == "solar-de440":
        if without:
            raise ValueError("solar-de440 has all of its bodies; take solar to leave some out")
        return solar.from_de440(J2000)
    bodies = j2000() if name == "solar" else read_bodies(name.partition(":")[2])
    return solar.simulated(bodies.without(without))


def digest(samples: Samples) -> str:
    """A short hash of the samples' numbers, which a model's file keeps: to seven digits, so that it
    is the same on every machine."""
    found = hashlib.sha256()
    for system in (samples.before, samples.after):
        found.update(np.array([f"{value:.6e}" for value in system.positions[:8].ravel()]).tobytes())
    return f"{len(samples)} samples, {found.hexdigest()[:12]}"
