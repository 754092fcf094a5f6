"""What survives, and what it costs: fifty kills of each kind of run, long runs' memory, and frames
a second with and without safety."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kills
import numpy as np
from ase.build import bulk
from record import COMMAND_AND_PEAK, Row, ratio, shown

from integrators.ensembles import symplectic_euler, velocity_verlet
from integrators.random import Random
from integrators.span import Span
from integrators.state import Flow, State
from integrators.velocities import maxwell_boltzmann
from systems.potentials.lennard_jones import LennardJones
from systems.sources.atoms import from_atoms
from systems.sources.charged import benchmark_coulomb, charged_systems
from trajectories.checks import Limits
from trajectories.monitor import Monitor
from trajectories.rollout import advance
from trajectories.storage import layout
from trajectories.storage import writer as writer_module
from trajectories.storage.journaled_file import JournaledFile
from trajectories.storage.plain import PlainFile
from trajectories.storage.writer import H5MDWriter

_KILLS = 50


def survival() -> list[Row]:
    """Fifty kills of each kind of run, half of them in moments that are looked for: creation,
    journal, checkpoint."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in kills.RUNS:
            found = kills.trial(
                Path(folder) / name, name, _KILLS, tell=lambda text: print(text, flush=True)
            )
            states = ", ".join(f"{count} {state}" for state, count in sorted(found.items()))
            rows.append(
                Row(
                    f"{name}: kills after which all reported frames were there and the "
                    "resumed run had the same bits",
                    f"{sum(found.values())} of {_KILLS} ({states})",
                    f"{_KILLS} of {_KILLS}",
                )
            )
    return rows


def long() -> list[Row]:
    """Peak memory of runs of two charges: by steps, and by frames, of which HDF5 keeps an index of
    at most some 32 MB."""
    rows = []
    for label, runs in {
        "1e4 frames of 1e6 and of 1e7 steps": ((1_000_000, 100), (10_000_000, 1000)),
        "1e7 steps with 1e5 frames, 2e7 steps with 2e5": ((10_000_000, 100), (20_000_000, 100)),
    }.items():
        peaks = []
        for steps, every in runs:
            arguments = [
                "rollout",
                "charged",
                "--systems",
                "1",
                "-n",
                "2",
                "--steps",
                str(steps),
                "--every",
                str(every),
                "--quiet",
            ]
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [sys.executable, "-c", COMMAND_AND_PEAK, *arguments],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=True,
                )
            peaks.append(int(done.stderr.split()[-1]) / 1024)
        rows.append(Row(f"peak memory: {label}", f"{peaks[0]:.0f} and {peaks[1]:.0f} MB", "flat"))
    return rows


@contextlib.contextmanager
def _without_checksums() -> Iterator[None]:
    """HDF5's own format and chunks."""
    before = layout.CHECKED, writer_module.VERSION
    layout.CHECKED, writer_module.VERSION = {}, None  # type: ignore[assignment]
    try:
        yield
    finally:
        layout.CHECKED, writer_module.VERSION = before


def _argon(n: int, cells: int) -> tuple[Flow, State, float]:
    start = maxwell_boltzmann(
        from_atoms(bulk("Ar", "fcc", 5.3, cubic=True) * cells), temperature=60.0, random=Random(1)
    )
    assert start.n_particles >= n
    return velocity_verlet(LennardJones(0.0104, 3.4)), State(start), 0.1


def cost() -> list[Row]:
    """Time of a run over that of the same without journal, checksums and looking, by how often a
    frame is kept."""
    cases: dict[str, tuple[tuple[Flow, State, float], int, float, float]] = {
        "5 charges": (
            (
                symplectic_euler(benchmark_coulomb()),
                State(charged_systems(1, seed=0).copy_of(0)),
                1e-3,
            ),
            40_000,
            np.inf,
            0.0,
        ),
        "1,372 atoms of argon": (_argon(1000, 7), 1_500, 10.0 * 1372, 0.3),
        "108,000 atoms of argon": (_argon(100_000, 30), 20, 10.0 * 108_000, 0.3),
    }
    rows = []
    for name, ((flow, state, dt), n_steps, jump, distance) in cases.items():
        for every in (1, 10, 100) if n_steps > 1000 else (1, 10):
            figure = _cost(flow, state, dt, n_steps, every, Limits(jump, distance))
            kept = "every step" if every == 1 else f"one step of {every}"
            rows.append(
                Row(
                    f"{name}, {kept} kept: time with safety over that without",
                    figure,
                    "at most 1.1",
                )
            )
    return rows


def _cost(flow: Flow, state: State, dt: float, n_steps: int, every: int, limits: Limits) -> str:
    """Of one run."""

    def run(states: Iterator[State], storage: writer_module.OpenStorage) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            H5MDWriter(
                Path(folder) / "run.h5md",
                state.system,
                n_frames=n_steps // every,
                overwrite=True,
                storage=storage,
            ) as writer,
        ):
            for now in states:
                if now.step % every == 0:
                    writer.write(now)

    def safe() -> None:
        run(Monitor(flow, dt, limits, print).states(state, n_steps, every), JournaledFile)

    def bare() -> None:
        with _without_checksums():
            run(advance(flow, state, dt, Span(n_steps, every)), PlainFile)

    for work in (safe, bare):
        work()
    return shown(ratio(bare, safe, 7))


def measure() -> list[Row]:
    """All of it."""
    return [*survival(), *long(), *cost()]
