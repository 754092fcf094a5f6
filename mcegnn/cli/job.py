"""One rollout as the command line runs it: progress, frames to the file, checkpoints, and what it says at the end."""

import json
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import typer

from integrators.state import Flow, State
from mcegnn.cli.messages import mistakes, size, table
from mcegnn.simulation import Configuration
from trajectories import checkpoint
from trajectories.checkpoint import Checkpoint
from trajectories.h5md import H5MDWriter
from trajectories.rollout import advance

_RECORDED = ("mcegnn", "numpy", "numba", "h5py")
_CHECKPOINT_SECONDS = 60.0


@dataclass(eq=False)
class Job:
    """A rollout that is ready to run: ``state`` is where it goes on from, with ``n_frames`` frames in the file already."""

    config: Configuration
    state: State
    flow: Flow
    path: Path
    warnings: list[str] = field(default_factory=list)
    fresh: bool = False
    n_frames: int = 0

    @property
    def n_steps(self) -> int:
        """Steps still to do."""
        return self.config.n_steps - self.state.step

    @property
    def bytes(self) -> float:
        """About how large the file will be: positions, velocities and forces, and the observables."""
        particles = self.state.system.positions[..., 0].size
        return (self.config.n_steps // self.config.every + 1) * (72 * particles + 32 * (self.state.system.n_systems or 1) + 16) + 5e4

    def describe(self) -> None:
        """Print what would be done."""
        config, units = self.config, self.state.system.units
        rows = [
            (
                "system",
                f"{config.system}, {config.n_particles} particles"
                + (f" x {config.n_systems} systems" if config.system == "charged" else ""),
            ),
            ("integrator", config.integrator + (" with relativity" if config.relativity else "")),
            ("time step", f"{config.dt:.6g} {units.time}"),
            ("steps", f"{self.n_steps:,} (to time {config.n_steps * config.dt:.6g} {units.time})"),
            ("frames", f"{config.n_steps // config.every + 1:,}, one every {config.every:,} steps"),
            ("file", f"{self.path}, about {size(self.bytes)} ({size(shutil.disk_usage(self.path.parent).free)} free)"),
        ]
        table("Would roll out", rows)

    def run(self, threads: int | None, quiet: bool) -> None:
        """Roll out to the end; Ctrl-C ends at the last state with everything written, and says how to go on."""
        with mistakes():
            if self.fresh:
                _refuse_unwritable(self.path)
            states = advance(
                self.flow,
                self.state,
                self.config.dt,
                self.n_steps,
                self.config.every,
                threads=threads,
                phase=self.state.step % self.config.every,
            )
            first = next(states)
            writer = self._writer()
        with writer:
            if self.fresh:
                writer.write(first)
                self._save(writer, first)
            began = time.perf_counter()
            try:
                with _progress(self.n_steps, quiet) as report:
                    self._loop(states, writer, report)
            except KeyboardInterrupt:
                typer.echo(f"stopped; go on with: mcegnn rollout --resume {self.path}", err=True)
                raise typer.Exit(130) from None
            seconds = time.perf_counter() - began
        if not quiet:
            self._summary(seconds)

    def _loop(self, states: Iterator[State], writer: H5MDWriter, report: Any) -> None:
        saved, now = time.monotonic(), self.state
        try:
            for now in states:
                if now.step % self.config.every == 0:
                    _refuse_broken(now, self.config.names)
                    writer.write(now)
                if writer.due or time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    self._save(writer, now)
                    saved = time.monotonic()
                report(now.step - self.state.step)
        finally:
            if now is not self.state:
                self._save(writer, now)

    def _save(self, writer: H5MDWriter, state: State) -> None:
        checkpoint.save(self.path, Checkpoint(state, writer.flush(), self.config.to_json()))

    def _writer(self) -> H5MDWriter:
        if not self.fresh:
            return H5MDWriter.append(self.path, self.n_frames)
        return H5MDWriter(
            self.path, self.state.system, names=self.config.names, provenance=self._provenance(),
            n_frames=self.config.n_steps // self.config.every + 1, overwrite=True,
        )  # fmt: skip

    def _provenance(self) -> dict[str, str]:
        import shlex

        return {
            "command": shlex.join(["mcegnn", *sys.argv[1:]]),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version("mcegnn"),
            "versions": json.dumps({name: version(name) for name in _RECORDED} | {"python": platform.python_version()}),
            "processor": platform.processor() or platform.machine(),
            "seed": str(self.config.seed) if self.config.system == "charged" else "",
            "configuration": json.dumps(self.config.to_json()),
        }

    def _summary(self, seconds: float) -> None:
        from mcegnn.cli.analyse import conserved_rows, jpl_rows
        from trajectories.conservation import conservation
        from trajectories.h5md import H5MDReader

        systems = self.state.system.n_systems or 1
        rows: list[tuple[str, ...]] = [
            ("steps", f"{self.n_steps:,}" + (f" of {systems:,} systems" if systems > 1 else "")),
            ("time", f"{seconds:.2f} s, {self.n_steps * systems / seconds:,.0f} steps a second"),
        ]
        with H5MDReader(self.path) as reader:
            rows += conserved_rows(conservation(reader))
            rows += jpl_rows(reader, last_only=True)
            rows.append(("file", f"{self.path}, {len(reader):,} frames, {size(self.path.stat().st_size)}"))
        table("Rolled out", rows)


def _refuse_unwritable(path: Path) -> None:
    """PermissionError now rather than after the first second of work."""
    existed = path.exists()
    with open(path, "ab"):
        pass
    if not existed:
        path.unlink()


def _refuse_broken(state: State, names: list[str]) -> None:
    """Stop where a number is not finite any more; the frame is not kept."""
    x = np.asarray(state.system.positions)
    if np.isfinite(x).all():
        return
    *system, particle = (int(k) for k in np.argwhere(~np.isfinite(x))[0][:-1])
    where = f"particle {names[particle] if names else particle}" + (f" of system {system[0]}" if system else "")
    typer.echo(f"mcegnn: {where} has no finite position at step {state.step}; the time step is probably too long", err=True)
    raise typer.Exit(3)


@contextmanager
def _progress(n_steps: int, quiet: bool) -> Iterator[Any]:
    """A line with the share done, the speed and the time left, on standard error of a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("rolling out"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} steps"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("", total=n_steps)
        yield lambda done: progress.update(task, completed=done)
