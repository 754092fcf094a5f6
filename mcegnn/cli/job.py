"""One rollout as the command line runs it: progress, frames to the file, checkpoints, and what it says at the end."""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import typer

from integrators.state import Flow, State
from mcegnn import machine
from mcegnn.cli.describe import room
from mcegnn.cli.messages import mistakes, refuse_unwritable, size, table
from mcegnn.cli.progress import Report, progress
from mcegnn.cli.rows import TIMING, conserved_rows, jpl_rows, matter_rows, took
from mcegnn.cli.stops import Stops, stops
from mcegnn.simulation import AtomsRun, Configuration
from systems.system import System
from trajectories import checkpoint
from trajectories.checkpoint import Checkpoint
from trajectories.watch import Breach, Exploded, Watch
from trajectories.whole import temporary_of
from trajectories.writer import H5MDWriter

_CHECKPOINT_SECONDS = 60.0
_MOST_RELAXING = 1000
_LOOSER = "--max-energy-jump off --min-distance off"


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
    """A rollout that is ready to run: ``state`` is where it goes on from, with ``n_frames`` frames in the file already.

    ``lost`` are systems of an ensemble that went bad before, and the steps at which they did; ``frame`` is the last frame's system where
    the state is beyond it.
    """

    config: Configuration
    state: State
    flow: Flow
    path: Path
    fresh: bool = False
    force: bool = False
    n_frames: int = 0
    lost: dict[int, int] = field(default_factory=dict)
    frame: System | None = None

    @property
    def n_steps(self) -> int:
        """Steps still to do."""
        return self.config.n_steps - self.state.step

    @property
    def _resume_command(self) -> str:
        return shlex.join(["mcegnn", "rollout", "--resume", str(self.path)])

    def run(self, threads: int | None, quiet: bool, verbose: bool = False) -> None:
        """Roll out to the end; Ctrl-C and SIGTERM end at the last state with everything written, and say how to go on."""
        self._verbose = verbose
        with mistakes():
            refuse_unwritable(self.path)
            refuse_unwritable(temporary_of(checkpoint.path_of(self.path)))
            watch = Watch(self.flow, self.config.dt, self.config.limits(), self._tell, threads, self.lost)
            states = watch.states(self.state, self.n_steps, self.config.every, self.state.step % self.config.every, self.frame)
            with words():
                first = next(states)
            writer = self._writer()
        with stops() as stop, np.errstate(all="ignore"):  # numbers that overflow are told of in words
            try:
                with writer:
                    speed = self._written(states, first, writer, quiet, stop)
            except OSError as error:
                left = f"{writer.n_written} frames are kept; make room and go on with: {self._resume_command}"
                typer.echo(f"mcegnn: writing {self.path} failed ({error.strerror or ' '.join(str(error).split())}); {left}", err=True)
                raise typer.Exit(1) from None
            except KeyboardInterrupt:  # a second signal, which does not wait
                typer.echo(f"stopped at once; {writer.n_written} frames are kept; go on with: {self._resume_command}", err=True)
                raise typer.Exit(stop.code or 130) from None
        if stop.code is not None:
            typer.echo(f"stopped; go on with: {self._resume_command}", err=True)
            raise typer.Exit(stop.code)
        if not quiet:
            self._summary(speed)
        if self.lost:
            each = ", ".join(f"{system} (step {step:,})" for system, step in list(self.lost.items())[:10])
            typer.echo(f"mcegnn: {len(self.lost)} of {self.config.n_systems} systems went bad and were held from then on: {each}", err=True)
            raise typer.Exit(3)

    def _written(self, states: Iterator[State], first: State, writer: H5MDWriter, quiet: bool, stop: Stops) -> tuple[float, float]:
        """The whole run in its file; returns what `_loop` does."""
        if self.fresh:
            # before the file: who finds the file without its checkpoint could not go on with it
            self._checkpoint(first)
            writer.write(first)
            self.frame = first.system
            writer.flush()
        try:
            with progress(self.n_steps, "steps", head=f"writing {room(self.config, self.path)}", quiet=quiet) as report:
                speed = self._loop(states, writer, report, stop)
        except Exploded as error:
            self._exploded(error, writer)
            raise typer.Exit(3) from None
        if stop.code is None:
            writer.record(self._left(speed))
        return speed

    def _loop(self, states: Iterator[State], writer: H5MDWriter, report: Report, stop: Stops) -> tuple[float, float]:
        """Frames and checkpoints until the states end or a signal comes; returns seconds in all, and steps a second without the start."""
        began = saved = time.monotonic()
        now, started, written = self.state, (0, began), writer.n_written
        for state in states:
            now = state
            if now.step % self.config.every == 0:
                writer.write(now)
                self.frame = now.system
            if started[0] == 0:  # loading or compiling the driver is over with the first slice
                started = (now.step, time.monotonic())
            if writer.n_written > written or time.monotonic() - saved > _CHECKPOINT_SECONDS:
                self._save(writer, now)
                saved, written = time.monotonic(), writer.n_written
            report(now.step - self.state.step, "rolling out")
            if stop.code is not None:
                break
        if now is not self.state:
            self._save(writer, now)
        ended = time.monotonic()
        return ended - began, (now.step - started[0]) / max(ended - started[1], 1e-9)

    def _tell(self, breach: Breach) -> None:
        """Of a system of an ensemble that is lost."""
        typer.echo(f"warning: {self._what(breach)}; it is held where it was before, the others go on", err=True)

    def _what(self, breach: Breach) -> str:
        """A breach in words."""
        names = self.config.names
        where = "" if breach.system is None else f"system {breach.system}: "
        who = " and ".join(str(names[k]) if names else f"particle {k}" for k in breach.particles)
        return f"{where}at step {breach.step:,} (time {self.config.time(breach.time)}){f', {who}' if who else ''}: {breach.what}"

    def _exploded(self, error: Exploded, writer: H5MDWriter) -> None:
        """Keep the last good frame, and say what happened and why, probably."""
        self._save(writer, error.good)
        step = f"the time step of {self.config.time(self.config.dt)}"
        kept = f"{writer.n_written} frames are kept, the last good state is of step {error.good.step:,}"
        if error.breach.failed:
            why = f"if particles have come too close, {step} is too long: start anew with a shorter one"
            again = f"once the cause is mended, go on with: {self._resume_command}"
        else:
            model = f"{self.config.model} is outside of what it was trained on, or " if self.config.model else ""
            why = f"probably {model}{step} is too long: start anew with a shorter one"
            again = f"if it is sound, go on with: {self._resume_command} {_LOOSER}"
        typer.echo(f"mcegnn: {self._what(error.breach)}; {why}; {kept}; {again}", err=True)

    def _left(self, speed: tuple[float, float]) -> dict[str, str]:
        """What the file is told at the end."""
        lost = {f"lost systems from step {self.state.step}": json.dumps(self.lost)} if self.lost else {}
        return {f"{TIMING} from step {self.state.step}": json.dumps(self._timing(speed)), **lost}

    def _timing(self, speed: tuple[float, float]) -> dict[str, float]:
        return {
            "first": self.state.step,
            "last": self.config.n_steps,
            "seconds": speed[0],
            "steps_per_second": speed[1] * (self.state.system.n_systems or 1),
        }

    def _save(self, writer: H5MDWriter, state: State) -> None:
        writer.flush()
        self._checkpoint(state)
        if self._verbose:
            typer.echo(f"written: {writer.n_written} frames, step {state.step}", err=True)

    def _checkpoint(self, state: State) -> None:
        # counted from the step, not from the file, which may already hold the next frame: a resume cuts it and writes it again
        n_frames = state.step // self.config.every + 1
        frame = self.frame if state.step % self.config.every else None
        checkpoint.save(self.path, Checkpoint(state, n_frames, self.config.to_json(), self.lost, frame))

    def _writer(self) -> H5MDWriter:
        if not self.fresh:
            again = {f"resumed at step {self.state.step}": self._provenance()["command"]}
            writer = H5MDWriter.append(self.path, self.n_frames, again)
            if checkpoint.load(self.path).state.step != self.state.step:  # looked at under the lock, before anything is cut
                writer.abandon()
                raise ValueError(f"another process has gone on with {self.path} meanwhile")
            return writer
        return H5MDWriter(
            self.path, self.state.system, names=self.config.names, provenance=self._provenance(),
            n_frames=self.config.n_steps // self.config.every + 1, overwrite=self.force,
        )  # fmt: skip

    def _provenance(self) -> dict[str, str]:
        return {
            "command": shlex.join(["mcegnn", *sys.argv[1:]]),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": machine.installed("mcegnn"),
            "versions": json.dumps(machine.versions()),
            "processor": machine.processor(),
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
