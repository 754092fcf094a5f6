"""How cost grows: particles, steps; memory over a million frames; start-up of the command line."""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import Row, seconds

from integrators.ensembles import velocity_verlet
from integrators.span import Span
from integrators.state import State
from systems.potentials.coulomb import Coulomb
from systems.sources.solar import j2000
from systems.system import System
from trajectories.rollout import advance, rollout
from trajectories.storage.writer import H5MDWriter


def gas(n: int) -> System:
    """n charges of one sign in a cube at unit density."""
    rng = np.random.default_rng(0)
    return System.create(rng.uniform(0, n ** (1 / 3), (n, 3)), charges=1.0)


def slope(sizes: list[int], times: list[float]) -> float:
    """Exponent of a power law through the points."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def run(n: int, n_steps: int) -> float:
    """Median time of three rollouts."""
    flow, state = velocity_verlet(Coulomb()), State(gas(n))
    return statistics.median(
        seconds(lambda: list(rollout(flow, state, 1e-4, n_steps, n_steps))) for _ in range(3)
    )


def exponents() -> list[Row]:
    """Measured exponents of the cost."""
    run(10, 10)
    particles, steps = [400, 800, 1600, 3200], [20_000, 40_000, 80_000, 160_000]
    return [
        Row(
            "cost against particles, direct sum, 400 to 3,200: exponent",
            f"{slope(particles, [run(n, 50) for n in particles]):.2f}",
            "2",
        ),
        Row(
            "cost against steps, 20 particles, 2e4 to 1.6e5: exponent",
            f"{slope(steps, [run(20, k) for k in steps]):.2f}",
            "1",
        ),
    ]


def million_frames(n_frames: int = 1_000_000) -> list[Row]:
    """Peak memory of the process after a tenth and after all of a million written frames."""
    solar = j2000()
    flow = velocity_verlet(solar.gravity())
    peaks, began = [], time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        H5MDWriter(Path(folder) / "run.h5md", solar.system, n_frames=n_frames) as writer,
    ):
        for state in advance(flow, State(solar.system), 0.5, Span(n_frames - 1)):
            writer.write(state)
            if writer.due:
                writer.flush()
            if state.step in (n_frames // 10, n_frames - 2):
                peaks.append(
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    / (1024 if sys.platform == "linux" else 1024**2)
                )
        taken = time.perf_counter() - began
    return [
        Row(
            "memory growth from 1e5 to 1e6 written frames of 11 bodies",
            f"{peaks[1] - peaks[0]:.1f} MB",
            "within 50 MB",
        ),
        Row("frames written a second, 11 bodies, one a step", f"{n_frames / taken:,.0f}"),
    ]


def start_up(repeats: int = 7) -> list[Row]:
    """Whole processes of the command line, median."""
    command = [sys.executable, "-c", "from mcegnn.cli.app import main; main()"]

    def whole(*arguments: str) -> float:
        return seconds(
            lambda: subprocess.run([*command, *arguments], check=True, capture_output=True)
        )

    with tempfile.TemporaryDirectory() as folder:
        second = [
            "rollout",
            "charged",
            "--systems",
            "100",
            "--steps",
            "5000",
            "--force",
            "-o",
            f"{folder}/run.h5md",
        ]
        whole(*second)
        return [
            Row(
                "`mcegnn --help`",
                f"{statistics.median(whole('--help') for _ in range(repeats)):.2f} s",
                "under 0.5 s",
            ),
            Row(
                "a second `mcegnn rollout charged --systems 100 --steps 5000`",
                f"{statistics.median(whole(*second) for _ in range(repeats)):.2f} s",
                "under 3 s",
            ),
        ]


def measure() -> list[Row]:
    """Rows of cost and start-up."""
    return [*exponents(), *million_frames(), *start_up()]
