"""One rollout as the command line runs it: progress, frames to the file, checkpoints, and what it
says at the end."""

import json
import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import typer

from integrators.encounters import Halved
from integrators.state import Flow, State
from mcegnn import machine
from mcegnn.cli.messages import mistakes, table
from mcegnn.cli.progress import Report, progress
from mcegnn.cli.rows import (
    LOST,
    MARKED,
    SPARSE,
    TIMING,
    conserved_rows,
    known_of,
    last_jpl_rows,
    leave_out_marked,
    lost_systems,
    number_rows,
    took,
)
from mcegnn.cli.stops import Stops, stops
from mcegnn.runs.outputs import check_writable, room, size
from mcegnn.simulation import AtomsRun, Configuration, SolarRun
from systems.nearest import Near, nearer, nearer_than_trained
from systems.system import System
from trajectories import checkpoint
from trajectories.checkpoint import Checkpoint
from trajectories.watch import Breach, Exploded, Limits, Watch
from trajectories.whole import temporary_of
from trajectories.writer import H5MDWriter

_CHECKPOINT_SECONDS = 60.0
_MOST_RELAXING = 1000
_OPTIONS = {
    "energy": "--max-energy-jump",
    "distance": "--min-distance",
    "neighbors": "--min-distance",
}
_TOLD = 10  # systems that go bad and are told of one by one


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
        found, force, n_steps = relaxed(
            one,
            flow.potential,
            config.relax,
            _MOST_RELAXING,
            lambda k, f: report(k, f"force {f:.3f} eV/A"),
        )
    if not quiet:
        reached = (
            ""
            if force <= config.relax
            else f", not below {config.relax} eV/Angstrom: the run begins from there"
        )
        typer.echo(
            f"relaxed in {n_steps} steps: the largest force is {force:.3f} eV/Angstrom{reached}",
            err=True,
        )
    positions = np.broadcast_to(found.positions, system.positions.shape).copy()
    return replace(state, system=replace(system, positions=positions))


@dataclass(eq=False)
class Job:
    """A rollout that is ready to run: ``state`` is where it goes on from, with ``n_frames`` frames
    in the file already.

    ``lost`` are systems of an ensemble that went bad before, and the steps at which they did;
    ``frame`` is the last frame's system where the state is beyond it.
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
    marked: dict[int, int] = field(
        default_factory=dict
    )  # systems with a pair nearer than any in training, and from which step on
    sparse: dict[int, int] = field(
        default_factory=dict
    )  # those with fewer neighbours than in all of training

    @property
    def n_steps(self) -> int:
        """Steps still to do."""
        return self.config.n_steps - self.state.step

    @property
    def _resume_command(self) -> str:
        path = str(self.path)
        return shlex.join(
            ["mcegnn", "rollout", "--resume", f"./{path}" if path.startswith("-") else path]
        )

    def run(self, threads: int | None, quiet: bool, verbose: bool = False) -> None:
        """Roll out to the end; Ctrl-C and SIGTERM end at the last state with everything written,
        and say how to go on."""
        self._verbose = verbose
        with mistakes():
            check_writable(self.path)
            check_writable(temporary_of(checkpoint.path_of(self.path)))
            limits, asked = self.config.limits(), Stops()
            watch = Watch(
                self.flow,
                self.config.dt,
                limits,
                self._tell,
                threads,
                self.lost,
                self._start(),
                lambda: asked.code is not None,
                self._tell_near,
                self.marked,
                self.sparse,
            )
            states = watch.states(
                self.state,
                self.n_steps,
                self.config.every,
                self.state.step % self.config.every,
                self.frame,
            )
            with words(), _told_by_step():
                first = next(states)
            self._refuse_near(first, limits)
            self._refuse_apart(first, watch)
            if _idle(first) and not quiet:
                typer.echo(
                    "warning: the forces on all particles are zero at the start: has the potential"
                    " the right range and units?",
                    err=True,
                )
            writer = self._writer()
        with (
            stops(asked) as stop,
            np.errstate(all="ignore"),
            _told_by_step(),
        ):  # numbers that overflow are told of in words
            try:
                with writer:
                    speed = self._written(states, first, writer, quiet, stop)
            except OSError as error:
                failed = (
                    f"writing {self.path} failed ({error.strerror or ' '.join(str(error).split())})"
                )
                typer.echo(
                    f"mcegnn: {failed}; {self._kept(writer, 'make room and go on with')}", err=True
                )
                raise typer.Exit(1) from None
            except KeyboardInterrupt:  # a second signal, which does not wait
                typer.echo(f"stopped at once; {self._kept(writer, 'go on with')}", err=True)
                raise typer.Exit(stop.code or 130) from None
        if stop.code is not None:
            typer.echo(f"stopped; {self._kept(writer, 'go on with')}", err=True)
            raise typer.Exit(stop.code)
        self._judge(quiet)
        if not quiet:
            self._summary(speed)
        if self.lost:
            went = (
                f"{len(self.lost)} of {self.config.n_systems} systems went bad and were held from"
                " then on"
            )
            typer.echo(f"mcegnn: {went}: {lost_systems(self.lost)}", err=True)
            raise typer.Exit(3)

    def _start(self) -> State | None:
        """The run's first state, as its file has it; None where this is it."""
        from trajectories.h5md import H5MDReader

        if self.fresh:
            return None
        with H5MDReader(self.path) as reader:
            return reader[0] if len(reader) else None

    def _refuse_near(self, state: State, limits: Limits) -> None:
        """ValueError where particles are too near each other before anything has moved."""
        if state.step:
            return
        limit, closest = (
            limits.distance,
            (None if state.evaluation is None else state.evaluation.closest),
        )
        for system, (distance, i, j) in nearer(state.system, limit).items() if limit else ():
            names, unit = self.config.names, f" {self.config.units.length}".rstrip()
            who = f"{names[i]} and {names[j]}" if names else f"particles {i} and {j}"
            of = f" of system {system}" if self.config.n_systems > 1 else ""
            relax = (
                "relax them first (--relax)"
                if isinstance(self.config, AtomsRun)
                else "choose another start"
            )
            raise ValueError(
                f"{who}{of} are {distance:.3g}{unit} apart at the start, nearer than"
                f" {limit:g}{unit}; {relax}, or say --min-distance off"
            )
        if (
            closest is not None
            and (least := np.atleast_2d(closest)[np.argmin(closest[..., 0])])[0] < limits.nearness
        ):
            one = (
                state.system
                if self.config.n_systems == 1
                else state.system.copy_of(int(np.argmin(closest[..., 0])))
            )
            raise ValueError(
                f"at the start {nearer_than_trained(one, least)}; relax them first (--relax), or"
                " train on structures like this one"
            )

    def _refuse_apart(self, state: State, watch: Watch) -> None:
        """ValueError where atoms have far fewer neighbours than in training before anything has
        moved."""
        for system, (_, what) in (
            watch.apart(state, watch.limits.neighbors).items() if not state.step else ()
        ):
            of = f" of system {system}" if self.config.n_systems > 1 else ""
            raise ValueError(
                f"at the start{of} {what}; begin with a denser structure, or train on structures"
                " like this one; --min-distance off switches off this check too"
            )

    def _kept(self, writer: H5MDWriter, again: str) -> str:
        """What there is after a stop, and how it goes on."""
        if not self.path.exists() and not checkpoint.path_of(self.path).exists():
            return "nothing has been written yet; start again"
        frames = f"{_frames(writer.n_written)}; " if writer.n_written else ""
        return f"{frames}{again}: {self._resume_command}"

    def _written(
        self, states: Iterator[State], first: State, writer: H5MDWriter, quiet: bool, stop: Stops
    ) -> tuple[float, float]:
        """The whole run in its file; returns what `_loop` does."""
        if self.fresh:
            # before the file: who finds the file without its checkpoint could not go on with it
            self._checkpoint(first)
            writer.write(first)
            self.frame = first.system
            writer.flush()
        try:
            with progress(
                self.n_steps, "steps", head=f"writing {room(self.config, self.path)}", quiet=quiet
            ) as report:
                speed = self._loop(states, writer, report, stop)
        except Exploded as error:
            self._exploded(error, writer)
            raise typer.Exit(3) from None
        timing = (
            {}
            if stop.code
            else {f"{TIMING} from step {self.state.step}": json.dumps(self._timing(speed))}
        )
        writer.record(self._lost(self.lost) | timing)
        return speed

    def _loop(
        self, states: Iterator[State], writer: H5MDWriter, report: Report, stop: Stops
    ) -> tuple[float, float]:
        """Frames and checkpoints until the states end or a signal comes; returns seconds in all,
        and steps a second without the start."""
        began = saved = time.monotonic()
        now, started, written = self.state, (0, began), writer.n_written
        told = {MARKED: 0, SPARSE: 0}
        for state in states:
            now = state
            for entry, marked in ((MARKED, self.marked), (SPARSE, self.sparse)):
                if len(marked) > told[entry]:
                    told[entry] = len(marked)
                    writer.record(
                        {f"{entry} from step {self.state.step}, {len(marked)}": json.dumps(marked)}
                    )
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
        if len(self.lost) <= _TOLD:
            more = (
                "; of more such systems you are told at the end" if len(self.lost) == _TOLD else ""
            )
            typer.echo(
                f"warning: {self._what(breach)}; it is held where it was before, the others go"
                f" on{more}",
                err=True,
            )

    def _tell_near(self, breach: Breach) -> None:
        """Of a system that leaves what its potential was trained on."""
        n_told = len(self.sparse if breach.limit == "neighbors" else self.marked)
        if n_told <= _TOLD:
            more = "; of more such systems you are not told" if n_told == _TOLD else ""
            guess = (
                "what the model says of them is a guess; frames from here on are marked, and"
                " analyse leaves them out"
            )
            typer.echo(f"warning: {self._what(breach)}: {guess}{more}", err=True)

    def _what(self, breach: Breach) -> str:
        """A breach in words."""
        names = self.config.names
        where = "" if breach.system is None else f"system {breach.system}: "
        told = () if breach.limit == "nearness" else breach.particles  # there the words name them
        who = " and ".join(str(names[k]) if names else f"particle {k}" for k in told)
        return (
            f"{where}at step {breach.step:,} (time"
            f" {self.config.time(breach.time)}){f', {who}' if who else ''}: {breach.what}"
        )

    def _exploded(self, error: Exploded, writer: H5MDWriter) -> None:
        """Keep the last good frame, and say what happened and why, probably."""
        breach = error.breach
        last = (
            {breach.system: breach.step}
            if breach.system is not None and self.config.n_systems > 1
            else {}
        )
        writer.record(self._lost(self.lost | last))
        self._save(writer, error.good)
        kept = f"{_frames(writer.n_written)}, the last good state is of step {error.good.step:,}"
        typer.echo(f"mcegnn: {self._what(breach)}; {self._why(breach)}; {kept}", err=True)
        if self.lost:
            typer.echo(f"before it, other systems went bad: {lost_systems(self.lost)}", err=True)
        if breach.failed:
            typer.echo(
                f"if the cause lies elsewhere and is mended, go on with: {self._resume_command}",
                err=True,
            )
        elif breach.limit == "neighbors":
            off = f"{_OPTIONS[breach.limit]} off"
            typer.echo(
                f"to go on all the same, with no check of near pairs either: {self._resume_command}"
                f" {off}",
                err=True,
            )
        elif breach.limit and not self._collapsed(breach):
            typer.echo(
                f"if the run is sound, go on without this limit: {self._resume_command}"
                f" {_OPTIONS[breach.limit]} off",
                err=True,
            )

    def _collapsed(self, breach: Breach) -> bool:
        """Whether atoms have come nearer than can be sound, so that to go on is no use."""
        usual = isinstance(self.config, AtomsRun) and self.config.min_distance is None
        return (
            bool(self.marked)
            or breach.limit == "nearness"
            or (breach.limit == "distance" and usual)
        )

    def _why(self, breach: Breach) -> str:
        """What has happened, probably, and what helps."""
        dt, model = self.config.time(self.config.dt), self.config.model
        if breach.limit == "neighbors":
            where = (
                "at this temperature and pressure"
                if getattr(self.config, "pressure", ())
                else "at this temperature"
            )
            ways = (
                "start anew at a lower temperature, or train it on structures with more volume"
                " (mcegnn label, train --from)"
            )
            return f"{model or 'the potential'} does not hold these atoms together {where}: {ways}"
        if model and self._collapsed(breach):
            ways = (
                f"a shorter time step than {dt} or a lower temperature, or train it on structures"
                " like these (mcegnn label, train --from)"
            )
            return f"{model} was not trained on atoms that near: start anew with {ways}"
        step = f"the time step of {dt} is too long: start anew with a shorter one"
        outside = f"{model} is outside of what it was trained on, or " if model else ""
        return (
            f"if particles have come too close, {step}"
            if breach.failed
            else f"probably {outside}{step}"
        )

    def _lost(self, lost: dict[int, int]) -> dict[str, str]:
        """What the file is told of systems that went bad."""
        return {f"{LOST} from step {self.state.step}": json.dumps(lost)} if lost else {}

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
        # counted from the step, not from the file, which may already hold the next frame: a resume
        # cuts it and writes it again
        n_frames = state.step // self.config.every + 1
        frame = self.frame if state.step % self.config.every else None
        checkpoint.save(
            self.path, Checkpoint(state, n_frames, self.config.to_json(), self.lost, frame)
        )

    def _writer(self) -> H5MDWriter:
        if not self.fresh:
            again = {f"resumed at step {self.state.step}": self._provenance()["command"]}
            writer = H5MDWriter.append(self.path, self.n_frames, again)
            if (
                checkpoint.load(self.path).state.step != self.state.step
            ):  # looked at under the lock, before anything is cut
                writer.abandon()
                raise ValueError(f"another process has gone on with {self.path} meanwhile")
            return writer
        return H5MDWriter(
            self.path,
            self.state.system,
            names=self.config.names,
            provenance=self._provenance(),
            n_frames=self.config.n_steps // self.config.every + 1,
            overwrite=self.force,
        )

    def _provenance(self) -> dict[str, str]:
        return {
            "command": shlex.join(["mcegnn", *sys.argv[1:]]),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": machine.installed("mcegnn"),
            "versions": json.dumps(machine.versions()),
            "processor": machine.processor(),
            "seed": str(self.config.seed) if self.config.seeded else "",
            "configuration": json.dumps(self.config.to_json()),
            **(
                {"assumed": json.dumps(assumed)}
                if (assumed := getattr(self.config, "assumed", None))
                else {}
            ),
        }

    def _judge(self, quiet: bool) -> None:
        """Keep in the file how far each body of a solar run is from where a finer run has it; say
        so where that is too far."""
        from mcegnn.cli.judged import JUDGED, judged, judged_warnings
        from trajectories.h5md import H5MDReader

        if not isinstance(self.config, SolarRun):
            return
        halvings = int(self.flow.halvings[0]) if isinstance(self.flow, Halved) else 0
        asked = Stops()
        with (
            H5MDReader(self.path) as reader,
            stops(asked),
            progress(100, "per cent", quiet=quiet) as report,
        ):

            def told(done: int, of: int) -> bool:
                report(100 * done // of, "judging each body's error by a finer run")
                return asked.code is None

            found = judged(self.config, reader, halvings, told)
            warnings = judged_warnings(self.config, reader, found)
        if found is None or asked.code is not None:
            return
        with H5MDWriter.append(self.path, self.config.n_steps // self.config.every + 1) as writer:
            writer.record({f"{JUDGED} to step {self.config.n_steps}": json.dumps(found)})
        for warning in warnings if not quiet else ():
            typer.echo(f"warning: {warning}", err=True)

    def _summary(self, speed: tuple[float, float]) -> None:
        from mcegnn.cli.judged import judged_rows, judgement
        from trajectories.analysis import Analysis
        from trajectories.analysis.guard import left_out
        from trajectories.analysis.thermo import matter
        from trajectories.conservation import conservation
        from trajectories.h5md import H5MDReader

        systems, timing = self.state.system.n_systems or 1, self._timing(speed)
        rows: list[tuple[str, ...]] = [
            (
                "steps",
                f"{self.n_steps:,}" + (f" in each of {systems:,} systems" if systems > 1 else ""),
            ),
            ("time", took(timing)),
        ]
        found, failed = Analysis(), list[str]()
        with H5MDReader(self.path) as reader:
            n_frames = len(reader)
            with suppress(ValueError):  # where none is left all are looked at
                rows += [("left out", words) for words in leave_out_marked(reader)]
            with left_out("conserved quantities", failed):
                rows += conserved_rows(conservation(reader), reader)
            with left_out("temperature, energy and pressure", failed):
                matter(reader, known_of(reader), found)
            rows += number_rows(found)
            rows += judged_rows(judgement(reader))
            rows += last_jpl_rows(reader)
            rows.append(
                ("file", f"{self.path}, {n_frames:,} frames, {size(self.path.stat().st_size)}")
            )
        table("Rolled out", rows)
        for note in failed:
            typer.echo(f"note: {note}")


def _idle(state: State) -> bool:
    """Whether nothing acts on several particles, as where none is within a potential's range; in a
    perfect crystal there is an energy."""
    known = state.evaluation
    return (
        known is not None
        and state.system.n_particles > 1
        and not (np.any(known.forces) or np.any(known.energy))
    )


def _frames(n: int) -> str:
    """How many are kept, in words."""
    return f"{n:,} {'frame is' if n == 1 else 'frames are'} kept"


class Failed(RuntimeError):
    """What moves the particles, perhaps foreign code, has failed."""


@contextmanager
def _told_by_step() -> Iterator[None]:
    """Of pairs that are nearer than any in training the run tells itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Near)
        yield


@contextmanager
def words() -> Iterator[None]:
    """Whatever error the forces end in, perhaps of foreign code, becomes a `Failed` in words, so
    that it is not taken for the writer's."""
    try:
        yield
    except Exception as error:
        kind = (
            ""
            if isinstance(error, ValueError | RuntimeError) and str(error)
            else f"{type(error).__name__}: "
        )
        raise Failed(f"{kind}{' '.join(str(error).split())}") from None
