"""Molybdenum (mlearn's DFT structures): errors of a potential after a few minutes, and a cell of
250 atoms at constant pressure.

The trained model and the run are kept in ``learned/`` and not made again.
"""

import json
import os
import subprocess
from pathlib import Path

import ase.io
import MDAnalysis
import numpy as np
from ase import Atoms
from ase.build import bulk
from bench_learning import RUNS, trained
from bench_rmd17 import COMMAND
from MDAnalysis.analysis.rdf import InterRDF
from record import Row

from trajectories.mdanalysis import universe
from trajectories.storage.h5md import H5MDReader

MODEL, RUN = RUNS / "molybdenum" / "best.safetensors", RUNS / "molybdenum" / "npt.h5md"
_SETTINGS = (
    "n_updates=2800",
    "batch=2",
    "lr=4e-3",
    "validate_every=200",
    "data.n_train=184",
    "data.n_validation=10",
)
_SITE, _RANGE, _BINS = (
    3.167,
    (2.0, 4.7),
    90,
)  # Angstrom; half of the data's cells, in which distances are known, is 4.73


def measure() -> list[Row]:
    """Needs ``MCEGNN_DATA``."""
    data = Path(os.environ["MCEGNN_DATA"]) / "crystals"
    _, minutes = trained(
        "molybdenum", "extxyz", f'data.name="{data / "mlearn_Mo_training.xyz"}"', *_SETTINGS
    )
    said = json.loads(_command("evaluate", MODEL, data / "mlearn_Mo_test.xyz", "--json"))
    errors = (
        f"energy {1e3 * said['energy_per_atom_mae']:.1f} meV an atom, force"
        f" {1e3 * said['force_mae']:.0f} meV/Angstrom"
    )
    return [
        Row(
            "Mo, 184 + 10 structures to train and validate: mean absolute errors of the 23 test"
            " structures",
            f"{errors}; {minutes:.0f} minutes on one core",
        ),
        *_crystal(data / "mlearn_Mo_training.xyz"),
    ]


def _command(*arguments: object) -> str:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout


def _crystal(data: Path) -> list[Row]:
    """250 atoms at 300 K and 1 bar for 20 ps, the second half of which is looked at."""
    if not RUN.is_file():
        start = RUN.with_name("start.extxyz")
        ase.io.write(start, bulk("Mo", cubic=True, a=_SITE) * 5)
        whole = RUN.with_name("running.h5md")
        _command(
            "rollout",
            start,
            "--model",
            MODEL,
            "--ensemble",
            "npt",
            "--temperature",
            "300 K",
            "--pressure",
            "1 bar",
            "--dt",
            "2 fs",
            "--time",
            "20 ps",
            "--every",
            50,
            "--seed",
            1,
            "--force",
            "-o",
            whole,
        )
        whole.rename(RUN)
    with H5MDReader(RUN) as reader:
        frames = [reader[k].system for k in range(len(reader) // 2, len(reader))]
    edges = np.array([np.linalg.det(s.cell) ** (1 / 3) / 5 for s in frames])
    off = np.concatenate(
        [_from_sites(np.linalg.solve(s.cell.T, s.positions.T).T, s.cell) for s in frames]
    )
    known = _data(data)
    ours, theirs = (
        _rdf(universe(RUN).atoms, len(frames), edges.mean()),
        _rdf(known.atoms, 0, known.dimensions[0] / 3),
    )
    gap = abs(ours - theirs).sum() / theirs.sum()
    return [
        Row(
            "250 atoms, 300 K, 1 bar, 20 ps: lattice constant, root mean square distance "
            "from the sites, largest",
            f"{edges.mean():.3f} +- {edges.std():.3f} Angstrom, "
            f"{np.sqrt((off**2).mean()):.3f}, {off.max():.2f}",
            "stays crystalline",
        ),
        Row(
            "the same: radial distribution in units of the lattice constant, up to the "
            "third shell, against that of the data's AIMD of "
            "smaller forces: sum |g - g'| over sum g'",
            f"{gap:.3f}",
        ),
    ]


def _from_sites(fractional: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Distances of atoms from the sites of the perfect crystal, which may be moved as a whole."""
    sites = (bulk("Mo", cubic=True, a=_SITE) * 5).get_scaled_positions()
    off = fractional - sites
    off -= np.round(off)
    return np.linalg.norm((off - off.mean(0)) @ cell, axis=1)


def _data(path: Path) -> MDAnalysis.Universe:
    """The AIMD structures at 300 K: those of 54 atoms of this group with the smaller forces (others
    are near melting)."""
    read = ase.io.read(path, ":")
    chosen: list[Atoms] = [
        a
        for a in read
        if a.info["group"] == "AIMD-NVT" and np.sqrt((a.arrays["REF_forces"] ** 2).mean()) < 1.0
    ]
    made = MDAnalysis.Universe.empty(54, trajectory=True)
    made.load_new(
        np.stack([a.positions for a in chosen]),
        dimensions=np.stack([a.cell.cellpar() for a in chosen]),
    )
    return made


def _rdf(atoms: MDAnalysis.AtomGroup, last: int, edge: float) -> np.ndarray:
    """g(r / lattice constant) of the last frames (0: of all), by MDAnalysis."""
    within = tuple(r * edge / _SITE for r in _RANGE)
    found = InterRDF(atoms, atoms, nbins=_BINS, range=within, exclusion_block=(1, 1)).run(
        start=-last if last else None
    )
    return np.asarray(found.results.rdf)
