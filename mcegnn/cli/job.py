"""One rollout as the command line runs it: progress, frames to the file, checkpoints, and what it says at the end."""

import json
import platform
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import typer

from integrators.state import Flow, State
from mcegnn.cli.messages import mistakes, refuse_unwritable, size, table
from mcegnn.cli.progress import Report, progress
from mcegnn.cli.rows import TIMING, conserved_rows, jpl_rows, matter_rows, took
from mcegnn.simulation import AtomsRun, Configuration
from trajectories import checkpoint
from trajectories.checkpoint import Checkpoint
from trajectories.rollout import advance
from trajectories.whole import temporary_of
from trajectories.writer import H5MDWriter

_RECORDED = ("mcegnn", "numpy", "numba", "h5py")
_CHECKPOINT_SECONDS = 60.0
_MOST_RELAXING = 1000


def estimated_bytes(config: Configuration) -> float:
    """About how large the file will be: positions, velocities and forces, and the observables."""
    return (config.n_steps // config.every + 1) * (72 * config.n_particles * config.n_systems + 32 * config.n_systems + 16) + 5e4


def describe(config: Configuration, path: Path, n_steps: int) -> None:
    """Print what would be done."""
    free = shutil.disk_usage(path.parent).free
    many = f" x {config.n_systems:,} systems" if config.n_systems > 1 else ""
    seed = f", seed {config.seed}" if config.seeded else ""
    what = config.file if isinstance(config, AtomsRun) else config.system
    rows = [
        ("system", f"{what}, {config.n_particles:,} particles{many}{seed}"),
        *([("model", config.model)] if config.model else []),
        *config.rows(),
        ("time step", config.time(config.dt)),
        ("steps", f"{n_steps:,}, to time {config.time(config.n_steps * config.dt)}"),
        ("frames", f"{config.n_steps // config.every + 1:,}, steps from one to the next: {config.every:,}"),
        ("file", f"{path}, about {size(estimated_bytes(config))} ({size(free)} free)"),
    ]
    table("Would roll out", rows)


def refuse_too_large(config: Configuration, path: Path) -> None:
    """OSError where the run's file cannot be written, ValueError where the disk has no room for it."""
    refuse_unwritable(path)
    free = shutil.disk_usage(path.parent).free + (path.stat().st_size if path.exists() else 0)
    if estimated_bytes(config) > free:
        raise ValueError(f"the file would need about {size(estimated_bytes(config))}, and {size(free)} are free; use a larger --every")


def relaxed_start(config: Configuration, flow: Flow, quiet: bool) -> State:
    """The initial state, its positions relaxed under the flow's forces where that is asked."""
    state = config.start()
    if not isinstance(config, AtomsRun) or not config.relax:
        return state
    from mcegnn.interfaces.ase import relaxed

    assert flow.potential is not None
    system = state.system
    one = system if system.n_systems is None else system.copy_of(0)
    with progress(_MOST_RELAXING, "steps", quiet=quiet) as report, words():
        found, force, n_steps = relaxed(one, flow.potential, config.relax, _MOST_RELAXING, lambda k, f: report(k, f"force {f:.3f} eV/A"))
    if not quiet:
        reached = "" if force <= config.relax else f", not below {config.relax} eV/Angstrom: the run begins from there"
        typer.echo(f"relaxed in {n_steps} steps: the largest force is {force:.3f} eV/Angstrom{reached}", err=True)
    positions = np.broadcast_to(found.positions, system.positions.shape).copy()
    return replace(state, system=replace(system, positions=positions))


@dataclass(eq=False)
class Job:
    """A rollout that is ready to run: ``state`` is where it goes on from, with ``n_frames`` frames in the file already."""

    config: Configuration
    state: State
    flow: Flow
    path: Path
    fresh: bool = False
    n_frames: int = 0

    @property
    def n_steps(self) -> int:
        """Steps still to do."""
        return self.config.n_steps - self.state.step

    @property
    def _resume_command(self) -> str:
        return shlex.join(["mcegnn", "rollout", "--resume", str(self.path)])

    def run(self, threads: int | None, quiet: bool) -> None:
        """Roll out to the end; Ctrl-C and SIGTERM end at the last state with everything written, and say how to go on."""
        with mistakes():
            refuse_unwritable(self.path)
            refuse_unwritable(temporary_of(checkpoint.path_of(self.path)))
            phase = self.state.step % self.config.every
            states = _told(advance(self.flow, self.state, self.config.dt, self.n_steps, self.config.every, threads=threads, phase=phase))
            first = next(states)
            writer = self._writer()
        signal.signal(signal.SIGTERM, _terminate)
        with writer:
            if self.fresh:
                writer.write(first)
                self._save(writer, first)
            try:
                with progress(self.n_steps, "steps", quiet=quiet) as report:
                    speed = self._loop(states, writer, report)
                writer.record({f"{TIMING} from step {self.state.step}": json.dumps(self._timing(speed))})
            except KeyboardInterrupt as stop:
                typer.echo(f"stopped; go on with: {self._resume_command}", err=True)
                raise typer.Exit(143 if isinstance(stop, _Terminated) else 130) from None
            except typer.Exit:  # a RuntimeError too: the run has said itself why it ended
                raise
            except Failed as error:
                step = f"the time step of {self.config.time(self.config.dt)}"
                why = f"if particles have come too close, {step} is too long: start anew with a shorter one"
                left = f"{writer.n_written} frames are kept; once the cause is mended, go on with: {self._resume_command}"
                typer.echo(f"mcegnn: the forces failed after step {self._now.step} ({error}); {why}; {left}", err=True)
                raise typer.Exit(3) from None
            except (OSError, RuntimeError) as error:
                left = f"{writer.n_written} frames are kept; make room and go on with: {self._resume_command}"
                typer.echo(
                    f"mcegnn: writing {self.path} failed ({getattr(error, 'strerror', None) or ' '.join(str(error).split())}); {left}",
                    err=True,
                )
                raise typer.Exit(1) from None
        if not quiet:
            self._summary(speed)

    def _loop(self, states: Iterator[State], writer: H5MDWriter, report: Report) -> tuple[float, float]:
        """Write frames and checkpoints until the states end; returns seconds in all, and steps a second without the start."""
        began = saved = time.monotonic()
        now, started = self.state, (0, began)
        self._now = now
        try:
            for state in states:
                _refuse_broken(state, self.config.names)
                # written first: a stop in between must not leave a checkpoint that stands beyond a frame that is missing
                if state.step % self.config.every == 0:
                    writer.write(state)
                self._now = now = state
                if started[0] == 0:  # loading or compiling the driver is over with the first slice
                    started = (now.step, time.monotonic())
                if writer.due or time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    self._save(writer, now)
                    saved = time.monotonic()
                report(now.step - self.state.step, "rolling out")
        finally:
            if now is not self.state:
                self._save(writer, now)
        ended = time.monotonic()
        return ended - began, (now.step - started[0]) / max(ended - started[1], 1e-9)

    def _timing(self, speed: tuple[float, float]) -> dict[str, float]:
        return {
            "first": self.state.step,
            "last": self.config.n_steps,
            "seconds": speed[0],
            "steps_per_second": speed[1] * (self.state.system.n_systems or 1),
        }

    def _save(self, writer: H5MDWriter, state: State) -> None:
        writer.flush()
        # counted from the step, not from the file, which may already hold the next frame: a resume cuts it and writes it again
        checkpoint.save(self.path, Checkpoint(state, state.step // self.config.every + 1, self.config.to_json()))

    def _writer(self) -> H5MDWriter:
        if not self.fresh:
            return H5MDWriter.append(self.path, self.n_frames, {f"resumed at step {self.state.step}": self._provenance()["command"]})
        return H5MDWriter(
            self.path, self.state.system, names=self.config.names, provenance=self._provenance(),
            n_frames=self.config.n_steps // self.config.every + 1, overwrite=True,
        )  # fmt: skip

    def _provenance(self) -> dict[str, str]:
        return {
            "command": shlex.join(["mcegnn", *sys.argv[1:]]),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version("mcegnn"),
            "versions": json.dumps({name: version(name) for name in _RECORDED} | {"python": platform.python_version()}),
            "processor": platform.processor() or platform.machine(),
            "seed": str(self.config.seed) if self.config.seeded else "",
            "configuration": json.dumps(self.config.to_json()),
        }

    def _summary(self, speed: tuple[float, float]) -> None:
        from trajectories.conservation import conservation
        from trajectories.h5md import H5MDReader

        systems, timing = self.state.system.n_systems or 1, self._timing(speed)
        rows: list[tuple[str, ...]] = [
            ("steps", f"{self.n_steps:,}" + (f" in each of {systems:,} systems" if systems > 1 else "")),
            ("time", took(timing)),
        ]
        with H5MDReader(self.path) as reader:
            rows += conserved_rows(conservation(reader), reader)
            rows += matter_rows(reader)
            rows += jpl_rows(reader, last_only=True)
            rows.append(("file", f"{self.path}, {len(reader):,} frames, {size(self.path.stat().st_size)}"))
        table("Rolled out", rows)


def _refuse_broken(state: State, names: list[str]) -> None:
    """Stop where a number is not finite any more; the frame is not kept."""
    x = np.asarray(state.system.positions)
    if np.isfinite(x).all():
        return
    *system, particle = (int(k) for k in np.argwhere(~np.isfinite(x))[0][:-1])
    where = f"particle {names[particle] if names else particle}" + (f" of system {system[0]}" if system else "")
    typer.echo(f"mcegnn: {where} has no finite position at step {state.step}; the time step is probably too long", err=True)
    raise typer.Exit(3)


class Failed(RuntimeError):
    """What moves the particles, perhaps foreign code, has failed."""


@contextmanager
def words() -> Iterator[None]:
    """Whatever error the forces end in, perhaps of foreign code, becomes a `Failed` in words, so that it is not taken for the writer's."""
    try:
        yield
    except Exception as error:
        kind = "" if isinstance(error, ValueError | RuntimeError) and str(error) else f"{type(error).__name__}: "
        raise Failed(f"{kind}{' '.join(str(error).split())}") from None


def _told(states: Iterator[State]) -> Iterator[State]:
    """The states, whose making may fail in words."""
    with words():
        yield from states


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""


def _terminate(*_: Any) -> None:
    raise _Terminated
