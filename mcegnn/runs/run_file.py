"""The H5MD file of a rollout and the checkpoint beside it: frames, provenance, and where the run
can be resumed."""

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

from integrators.state import State
from mcegnn.runs import provenance
from mcegnn.runs.events import Event, FrameWritten, Saved
from mcegnn.runs.outputs import check_writable
from mcegnn.runs.resume import Position
from mcegnn.simulation import Configuration
from trajectories.storage import checkpoint
from trajectories.storage.atomic_write import temporary_path
from trajectories.storage.checkpoint import Checkpoint
from trajectories.storage.writer import H5MDWriter

CHECKPOINT_SECONDS = 60.0  # from one checkpoint to the next, where frames are farther apart


def check_run_file(output: Path) -> None:
    """Raise OSError if a run's file or its checkpoint cannot be written."""
    check_writable(output)
    check_writable(temporary_path(checkpoint.path_of(output)))


class RunFile:
    """The file of a rollout from a position on, locked until it is closed or abandoned.

    ``lost`` are the systems that have diverged, which each checkpoint keeps as they are then.
    ``command`` is kept as what made the file or resumed the run. Raises as `H5MDWriter`, and
    ValueError if another process has continued the file since the position was read.
    """

    def __init__(
        self,
        configuration: Configuration,
        output: Path,
        position: Position,
        lost: Mapping[int, int],
        command: str,
    ) -> None:
        self.configuration, self.output, self.position = configuration, output, position
        self.lost, self._frame = lost, position.frame
        self._saved_at, self._n_told = time.monotonic(), position.n_frames
        self._recorded = dict.fromkeys((provenance.MARKED, provenance.SPARSE), 0)
        self._writer = self._new(command) if position.new else self._appended(command)

    def _new(self, command: str) -> H5MDWriter:
        config = self.configuration
        return H5MDWriter(
            self.output,
            self.position.state.system,
            names=config.names,
            provenance=provenance.provenance(config, command),
            n_frames=config.n_steps // config.every + 1,
            overwrite=self.position.overwrite,
        )

    def _appended(self, command: str) -> H5MDWriter:
        """Cut to the frames that its checkpoint stands for."""
        step = self.position.state.step
        writer = H5MDWriter.append(
            self.output, self.position.n_frames, {f"resumed at step {step}": command}
        )
        # looked at under the lock, before anything is cut
        if checkpoint.load(self.output).state.step != step:
            writer.abandon()
            raise ValueError(f"another process has continued {self.output} meanwhile")
        return writer

    def begin(self, first: State) -> list[Event]:
        """Write the first frame of a new file, after its checkpoint, without which the file could
        not be resumed."""
        self._checkpoint(first)
        self._writer.write(first)
        self._frame = first.system
        self._writer.flush()
        return self._written(first.step)

    def take(self, state: State) -> list[Event]:
        """Write a state if it is a frame, and save a checkpoint if frames have been flushed or the
        last one is old."""
        n_written = self._writer.n_written
        if state.step % self.configuration.every == 0:
            self._writer.write(state)
            self._frame = state.system
        late = time.monotonic() - self._saved_at > CHECKPOINT_SECONDS
        return self.save(state) if self._writer.n_written > n_written or late else []

    def save(self, state: State) -> list[Event]:
        """Flush the frames to disk, then write the checkpoint."""
        self._writer.flush()
        self._checkpoint(state)
        return self._written(state.step)

    def _written(self, step: int) -> list[Event]:
        self._saved_at, n_written = time.monotonic(), self._writer.n_written
        more, self._n_told = n_written > self._n_told, n_written
        frames: list[Event] = [FrameWritten(self.output, n_written)] if more else []
        return [*frames, Saved(self.output, step, n_written)]

    def _checkpoint(self, state: State) -> None:
        # counted from the step, not from the file, which may already hold the next frame: a resume
        # cuts it and writes it again
        n_frames = state.step // self.configuration.every + 1
        frame = self._frame if state.step % self.configuration.every else None
        values = self.configuration.to_json()
        checkpoint.save(self.output, Checkpoint(state, n_frames, values, self.lost, frame))

    def record(self, entry: str, values: Mapping[int, int] | Mapping[str, float]) -> None:
        """Keep in the file what has happened from this position on."""
        key = f"{entry} from step {self.position.state.step}"
        self._writer.record({key: json.dumps(values)})

    def record_more(self, entry: str, systems: Mapping[int, int]) -> None:
        """Keep systems and steps, where there are more than when they were last kept."""
        if len(systems) > self._recorded[entry]:
            self._recorded[entry] = len(systems)
            key = f"{entry} from step {self.position.state.step}, {len(systems)}"
            self._writer.record({key: json.dumps(systems)})

    def close(self) -> None:
        """Flush, close and unlock."""
        self._writer.close()

    def abandon(self) -> None:
        """Close and unlock without what has not been flushed."""
        self._writer.abandon()

    @property
    def kept(self) -> str:
        """Number of frames in the file, in words."""
        n = self._writer.n_written
        return f"{n:,} {'frame is' if n == 1 else 'frames are'} kept"

    def how_to_go_on(self, again: str) -> str:
        """Message after a stop: what was saved, and how the run is resumed."""
        if not self.output.exists() and not checkpoint.path_of(self.output).exists():
            return "nothing has been written yet; start again"
        frames = f"{self.kept}; " if self._writer.n_written else ""
        return f"{frames}{again}: {self.resume_command}"

    @property
    def resume_command(self) -> str:
        """The command line that resumes the run."""
        path = str(self.output)
        return shlex.join(
            ["mcegnn", "rollout", "--resume", f"./{path}" if path.startswith("-") else path]
        )
