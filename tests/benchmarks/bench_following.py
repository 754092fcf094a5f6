"""Whether atoms are followed across the faces of a cell: diffusion and positions of random walks,
as files of other programs."""

import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from record import Row
from walks import (
    FORMATS,
    FORMS,
    Walk,
    diffusion,
    imported,
    random_walk,
    stray,
    write,
    written_by_us,
)

from trajectories.storage.h5md import H5MDReader

_PRECISION = 0.03  # Angstrom: XTC rounds to 0.005, single precision to less
_HOPELESS = ("wrapped", "late-wrapped", "molecules", "breathing", "sheared", "shearing")


def walks(
    n: int, forms: tuple[str, ...], widths: tuple[float, float] | None = None, seed: int = 0
) -> Iterator[Walk]:
    """Walks of each form in each format in turn; only LAMMPS' dumps have image flags."""
    pairs = [
        (form, ending)
        for form, ending in product(forms, FORMATS)
        if form != "image flags" or ending == "lammpstrj"
    ]
    stream = np.random.default_rng(seed)
    for k in range(n):
        form, ending = pairs[k % len(pairs)]
        yield random_walk(
            seed + k, form, ending, None if widths is None else float(stream.uniform(*widths))
        )


def measure(n: int = 300, n_hopeless: int = 50) -> list[Row]:
    """Share of walks whose D is within its interval, of those in no file, positions, and
    warnings."""
    within, control, exact, warned = [], [], [], []
    for walk in walks(n, FORMS):
        with tempfile.TemporaryDirectory() as folder:
            path = imported(walk, *write(walk, Path(folder)), Path(folder) / "imported.h5md")
            for counts, file in (
                (within, path),
                (control, written_by_us(walk, Path(folder) / "ours.h5md")),
            ):
                d, half = diffusion(file)
                counts.append(abs(d - walk.diffusion) <= half)
            with H5MDReader(path) as run:
                exact.append(stray(walk, run.frames("position")) < _PRECISION)
                warned.append(bool(run.cannot_follow))
    said = []
    for walk in walks(n_hopeless, _HOPELESS, (0.2, 0.8), seed=1000):
        with tempfile.TemporaryDirectory() as folder:
            path = imported(walk, *write(walk, Path(folder)), Path(folder) / "imported.h5md")
            with H5MDReader(path) as run:
                said.append("cannot be followed" in run.cannot_follow)
    return [
        Row(
            "walks in files of 7 formats whose D is within its 95 % interval",
            f"{sum(within)} of {n}",
            "92 to 98 %",
        ),
        Row(
            "the same walks, never in a file of another program",
            f"{sum(control)} of {n}",
            "92 to 98 %",
        ),
        Row(f"walks with all positions followed to {_PRECISION} A", f"{sum(exact)} of {n}", ""),
        Row("warnings that atoms cannot be followed, where they can", f"{sum(warned)} of {n}", "0"),
        Row(
            "walks that cannot be followed, with the warning", f"{sum(said)} of {n_hopeless}", "all"
        ),
    ]


if __name__ == "__main__":
    for row in measure():
        print(row.what, "|", row.figure, "|", row.bar)
