"""What analysis and reports cost, and how near the spectrum of a run is to the normal modes of the
same potential."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.optimize import BFGS
from ase.vibrations import Vibrations
from record import COMMAND_AND_PEAK, Row

from mcegnn import PotentialCalculator, load
from mcegnn.interfaces.named import calculator
from trajectories.analysis import analyse, peaks
from trajectories.storage.h5md import H5MDReader

_LOWEST = 500.0  # 1/cm
_REPLICAS = (
    4  # at 20 K modes hardly exchange energy, and each run gives some of them next to nothing
)


def command(folder: Path, *arguments: Any) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a process of its own; RuntimeError where it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND_AND_PEAK, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(
            f"mcegnn {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}"
        )
    return seconds, float(done.stderr.split()[-1]) / 1024


def argon(cells: tuple[int, int, int]) -> Atoms:
    """A crystal that is about to melt."""
    return bulk("Ar", "fcc", 5.6, cubic=True) * cells


def sizes() -> list[Row]:
    """Seconds, MB of memory and of pages, each beside a run of a tenth of the frames."""
    liquid = (
        "--potential",
        "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4",
        "--temperature",
        "120 K",
        "--dt",
        "5 fs",
    )
    runs: dict[str, tuple[tuple[Any, ...], int, int]] = {
        "5 charges": (("charged", "--systems", 1), 100_000, 1),
        "1,000 atoms": (("small.xyz", *liquid), 500, 10),
        "100,000 atoms": (("large.xyz", *liquid), 50, 2),
    }
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ase.io.write(folder / "small.xyz", argon((5, 5, 10)))
        ase.io.write(folder / "large.xyz", argon((25, 25, 40)))
        command(
            folder,
            "rollout",
            "charged",
            "--systems",
            1,
            "--steps",
            10,
            "-o",
            "warm.h5md",
            "--quiet",
        )
        for label, (what, n_frames, every) in runs.items():
            found: dict[str, list[tuple[float, float]]] = {"analyse": [], "report": []}
            for n in (n_frames // 10, n_frames):
                run = f"{n}.h5md"
                command(
                    folder,
                    "rollout",
                    *what,
                    "--steps",
                    (n - 1) * every,
                    "--every",
                    every,
                    "-o",
                    run,
                    "--quiet",
                )
                found["analyse"].append(
                    command(folder, "analyse", run, "--csv", "numbers", "--force", "--quiet")
                )
                found["report"].append(
                    command(folder, "report", run, "-o", "page.html", "--force", "--quiet")
                )
                megabytes = (folder / run).stat().st_size / 1e6
                (folder / run).unlink()
            page = (folder / "page.html").stat().st_size / 1e6
            for task, ((_, few), (seconds, many)) in found.items():
                bar = "under 10 MB" if task == "report" else "memory flat"
                size = f"; page {page:.1f} MB" if task == "report" else ""
                figure = (
                    f"{seconds:.1f} s; {many:,.0f} MB of memory, {few:,.0f} MB with a tenth of the"
                    f" frames{size}"
                )
                rows.append(
                    Row(
                        f"`mcegnn {task}`, {n_frames:,} frames of {label} ({megabytes:,.0f} MB)",
                        figure,
                        bar,
                    )
                )
    return rows


def modes(calc: Any, folder: Path) -> np.ndarray:
    """Wavenumbers of the normal modes above 500 1/cm of ethanol, by ASE."""
    atoms = molecule("CH3CH2OH")
    atoms.calc = calc
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=1000)
    vibrations = Vibrations(atoms, delta=0.005, name=str(folder / "vibrations"))
    vibrations.run()
    found = vibrations.get_frequencies().real
    vibrations.clean()
    return np.asarray(found[found > _LOWEST])


def spectrum() -> list[Row]:
    """Ethanol at 20 K, four runs of 10 ps, 0.2 fs: the learned potential that is shipped, and
    GFN2-xTB by tblite."""
    rows = []
    sources = {
        "the shipped potential": (
            ("--model", "ethanol"),
            lambda: PotentialCalculator(load("ethanol")),
        ),
        "GFN2-xTB (tblite)": (("--calculator", "tblite"), lambda: calculator("tblite")),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ase.io.write(folder / "ethanol.xyz", molecule("CH3CH2OH"))
        for label, (force, make) in sources.items():
            exact = modes(make(), folder)
            seconds, _ = command(
                folder,
                "rollout",
                "ethanol.xyz",
                *force,
                "--relax",
                "--temperature",
                "20 K",
                "--dt",
                "0.2 fs",
                "--time",
                "10 ps",
                "--every",
                5,
                "--systems",
                _REPLICAS,
                "--seed",
                1,
                "-o",
                "run.h5md",
                "--force",
                "--quiet",
            )
            with H5MDReader(folder / "run.h5md") as run:
                found = analyse(run)
            curve = found.curve("spectrum")
            near = np.concatenate([peaks(curve.x, power, 0.003) for power in curve.values.values()])
            off = np.abs(near[:, None] - exact).min(0)
            turns = [note for note in found.notes if "turn as a whole" in note]
            figure = (
                f"at most {off.max():.1f}, median {np.median(off):.1f} 1/cm ({len(exact)} modes;"
                f" rollout {seconds:.0f} s)"
            )
            rows.append(
                Row(
                    f"{label}: from each mode to the nearest peak",
                    figure + "".join(f"; {note}" for note in turns),
                    "30 1/cm",
                )
            )
    return rows
