"""Distances, bonds and angles of 500 random systems in cells of every kind against ASE and brute
force; time of g(r)."""

import itertools
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from random_systems import Sample, distances, nearest_by_brute_force, sample, without_ties
from record import Row, ratio, shown

from systems.orientation import standard_orientation
from systems.units import METAL
from trajectories.analysis.bonding import Bonds, bonds, measured
from trajectories.analysis.structure import radial_distribution, radial_distributions
from trajectories.convert import FORMATS
from trajectories.storage.h5md import H5MDReader

N_BINS = 100
_FEW = 40  # particles of which all images are looked at
_SINGLE = 4e-5  # of the longest length, that single precision may be off


def g_of_r(one: Sample, run: H5MDReader, stream: np.random.Generator) -> int:
    """How many bins hold another number of pairs than ASE's list, over both frames and each pair of
    elements."""
    wrong = 0
    for k, atoms in enumerate(one.atoms):
        reach = without_ties(atoms, stream, N_BINS, 5.0)
        edges = np.linspace(0.0, reach, N_BINS + 1)
        i, j, d = distances(atoms, reach)
        for a, b in itertools.combinations_with_replacement(np.unique(atoms.numbers), 2):
            first, second = (np.flatnonzero(atoms.numbers == z) for z in (a, b))
            _, g = radial_distribution(
                run, first, second, reach=reach, n_bins=N_BINS, frames=slice(k, k + 1)
            )
            n = max(len(first) * len(second) - (len(first) if a == b else 0), 1)
            shells = 4 / 3 * np.pi * np.diff(edges**3)
            counts = (
                g * n * shells / atoms.get_volume()
                if all(atoms.pbc)
                else g * len(first) * np.diff(edges)
            )
            expected = np.histogram(d[(atoms.numbers[i] == a) & (atoms.numbers[j] == b)], edges)[0]
            wrong += int((abs(counts - expected) > 1e-6).sum())
    return wrong


def coordination(one: Sample, run: H5MDReader) -> int:
    """How many running coordination numbers are not the mean of ASE's pairs, at edges on which
    there is no distance."""
    curves, _, _ = radial_distributions(run)
    if not curves:
        return 0
    (running,), atoms = (
        [c for c in curves if c.key == "coordination"],
        one.atoms[1],
    )  # the second half of the run
    i, j, d = distances(atoms, running.x[-1] * (1 + 1e-9))
    free = np.array([not (abs(d - edge) < 1e-6).any() for edge in running.x])
    wrong = 0
    for name, values in running.values.items():
        a, b = (atoms.symbols == part for part in name.split("-"))
        lengths = np.sort(d[a[i] & b[j]])
        expected = np.searchsorted(lengths, running.x) / a.sum()
        wrong += int((abs(values - expected) > 1e-9)[free].sum())
    return wrong


def bonded(one: Sample, run: H5MDReader) -> tuple[int, int]:
    """How many bonds are not those of all images below 0.55 times the sum of radii, and how many
    lengths and angles are wrong."""
    from MDAnalysis.guesser.tables import vdwradii

    atoms, between = one.atoms[0], bonds(run)
    radii = np.array([vdwradii[symbol] for symbol in atoms.symbols])
    i, j, d = distances(atoms, 1.1 * radii.max())
    expected = sorted(d[(d > 0.1) & (d < 0.55 * (radii[i] + radii[j]))])
    lengths, bends = measured(run, between)
    found = sorted(np.repeat(lengths[0], 2)) if len(between) else []
    if len(found) != len(expected) or not np.allclose(found, expected, atol=1e-9):
        return 1, 0
    wrong = 0
    for k in range(2) if len(between) else ():
        vectors = _expected_vectors(one, between, k)
        wrong += int((abs(lengths[k] - np.linalg.norm(vectors, axis=-1)) > 1e-9).sum())
        wrong += int(
            (abs(np.sort(bends[k]) - np.sort(_expected_angles(between, vectors))) > 1e-6).sum()
        )
    return 0, wrong


def _expected_vectors(one: Sample, between: Bonds, k: int) -> np.ndarray:
    """Of two that are bonded once the shortest image, else the image that the bond was to in the
    first frame."""
    atoms, (i, j) = one.atoms[k], between.pairs.T
    moved = (
        between.shifts + one.images[0][j] - one.images[0][i] - one.images[k][j] + one.images[k][i]
    )
    vectors = np.asarray(atoms.positions[j] - atoms.positions[i] + moved @ atoms.cell[:])
    times = Counter(tuple(sorted(pair)) for pair in between.pairs.tolist())
    once = np.array(
        [times[tuple(sorted(pair))] == 1 and pair[0] != pair[1] for pair in between.pairs.tolist()]
    )
    vectors[once] = nearest_by_brute_force(vectors[once], atoms.cell[:], atoms.pbc)
    return vectors


def _expected_angles(between: Bonds, vectors: np.ndarray) -> np.ndarray:
    """At each atom between each two of its bonds."""
    beside: dict[int, list[np.ndarray]] = {}
    for (i, j), vector in zip(between.pairs.tolist(), vectors, strict=True):
        beside.setdefault(i, []).append(vector)
        beside.setdefault(j, []).append(-vector)
    pairs = [pair for those in beside.values() for pair in itertools.combinations(those, 2)]
    return np.array(
        [np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)) for a, b in pairs]
    )


def by_mdanalysis(one: Sample, run: H5MDReader, path: Path) -> int:
    """In how many frames MDAnalysis' distances with its box are not ours, from `universe` and from
    a DCD file."""
    import MDAnalysis
    from MDAnalysis.lib.distances import distance_array

    wrong, n = 0, run.n_particles
    i, j = np.triu_indices(n, 1)
    expected = [
        np.linalg.norm(
            nearest_by_brute_force(
                atoms.positions[j] - atoms.positions[i], atoms.cell[:], atoms.pbc
            ),
            axis=-1,
        )
        for atoms in one.atoms
    ]
    FORMATS[".dcd"](run, path, None)
    dcd = MDAnalysis.Universe.empty(n, trajectory=False)
    dcd.load_new(str(path), convert_units=False)
    for u in (run.universe(), dcd):
        for ts, atoms, lengths in zip(u.trajectory, one.atoms, expected, strict=True):
            largest = max(
                abs(atoms.positions).max(),
                0.0 if ts.dimensions is None else ts.dimensions[:3].max(),
            )
            found = distance_array(ts.positions, ts.positions, box=ts.dimensions)[i, j]
            wrong += int(not np.allclose(found, lengths, rtol=0, atol=_SINGLE * largest))
        u.trajectory.close()
    return wrong


def compared(one: Sample, folder: Path, seed: int) -> dict[str, int]:
    """What is wrong with a system, by what it is."""
    path, stream = one.write(folder / f"{seed}.h5md"), np.random.default_rng(seed)
    with H5MDReader(path) as run, warnings.catch_warnings(action="ignore"):
        found = {"g(r)": g_of_r(one, run, stream), "coordination": coordination(one, run)}
        if run.n_particles <= _FEW:
            found["bonds"], found["lengths and angles"] = bonded(one, run)
            found["MDAnalysis"] = by_mdanalysis(one, run, path.with_suffix(".dcd"))
    path.unlink()
    return found


def measure(n_systems: int = 500) -> list[Row]:
    """Systems with anything wrong, of all and by what, and what kinds of cells there were."""
    total, systems, standard = Counter[str](), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(n_systems):
            one = sample(seed, 40 if seed % 2 else 120)
            standard += int(
                np.allclose(standard_orientation(one.atoms[0].cell[:]).cell, one.atoms[0].cell[:])
            )
            for what, wrong in compared(one, Path(folder), seed).items():
                total[what] += wrong > 0
                systems[what] += 1
    rows = [
        Row(f"random systems with wrong {what}", f"{total[what]} of {n}", "0")
        for what, n in systems.items()
    ]
    rows.append(Row("of them in standard orientation", f"{standard} of {n_systems}", ""))
    return rows


def _liquid(folder: Path, n: int, n_frames: int) -> Path:
    """As dense as water's molecules, in a cell that is nothing special."""
    from dataclasses import replace

    from integrators.state import State
    from systems.system import System
    from trajectories.storage.writer import H5MDWriter

    stream, cell = (
        np.random.default_rng(0),
        np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [-0.2, 0.3, 1.0]]),
    )
    cell *= (n / 0.0334) ** (1 / 3)
    x, path = stream.uniform(0, 1, (n, 3)) @ cell, folder / f"{n}.h5md"
    system = replace(
        System.create(x, species=8, masses=16.0, units=METAL), cell=cell, pbc=(True,) * 3
    )
    with H5MDWriter(path, system, n_frames=n_frames) as writer:
        for k in range(n_frames):
            writer.write(
                State(replace(system, positions=x + stream.normal(size=x.shape)), float(k), k)
            )
    return path


def times() -> list[Row]:
    """g(r) to 10 Angstrom beside MDAnalysis' capped distances with a histogram, which it was made
    of before."""
    from MDAnalysis.lib.distances import self_capped_distance
    from MDAnalysis.lib.mdamath import triclinic_box

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n, n_frames in ((1000, 20), (100_000, 2)):
            with H5MDReader(_liquid(Path(folder), n, n_frames)) as run:
                every = np.arange(n)

                def theirs(run: Any = run) -> None:
                    for k in range(len(run)):
                        x = run.frames("position", k).astype(np.float32)
                        d = self_capped_distance(x, 10.0, box=triclinic_box(*run.cells[k]))[1]
                        np.histogram(d, 200, (0.0, 10.0))

                def ours(run: Any = run, every: np.ndarray = every) -> None:
                    radial_distribution(run, every, every, reach=10.0)

                ours()
                rows.append(
                    Row(
                        f"g(r) of {n:,} particles: speed over MDAnalysis'",
                        shown(ratio(ours, theirs, 3)),
                        "at least 1",
                    )
                )
    return rows
