"""Estimated position errors of a solar run, from a second run with finer steps."""

import json
from collections.abc import Iterator
from pathlib import Path

from integrators.state import Flow
from mcegnn.runs.events import Event, Progress, Started, Warned
from mcegnn.runs.provenance import ERRORS
from mcegnn.runs.signals import StopRequest, handled
from mcegnn.simulation import Configuration
from systems.units import ASTRONOMICAL
from trajectories.errors import PositionErrors, finer_run, position_errors
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

# steps of the finer run: where no step had to be halved, and where some had
_FEW_STEPS, _MOST_STEPS = 150_000, 2_000_000


def estimate_errors(
    configuration: Configuration, halvings: int, path: Path, request: StopRequest
) -> Iterator[Event]:
    """Estimate the errors of a finished run, in which ``halvings`` steps were halved, by a finer
    run, and write them to its file; a requested stop leaves the file as it is.

    The last frame is compared, or the last that the finer run reaches in a fixed number of steps,
    so that this adds about a second or two to an ordinary long run, and to a run with encounters
    about half more than it took. Where not even one frame could be compared, nothing is kept.
    """
    finer = configuration.finer()
    if finer is None:
        return
    comparison = _Comparison(configuration, *finer, _MOST_STEPS if halvings else _FEW_STEPS)
    with H5MDReader(path) as reader, handled(request):
        yield from comparison.events(reader, request)
        errors = comparison.errors
        if errors is None or request.asked:
            return
        km = errors.errors / ASTRONOMICAL.convert(1.0, "km")
        of_bodies = dict(zip(configuration.names, map(float, km), strict=True))
        positions = reader.frames("position", 0)
    kept = {"days": errors.time, "km": of_bodies, "dt": finer[1]}
    n_frames = configuration.n_steps // configuration.every + 1
    with H5MDWriter.append(path, n_frames) as writer:
        writer.record({f"{ERRORS} to step {configuration.n_steps}": json.dumps(kept)})
    for warning in configuration.warnings_of_errors(of_bodies, errors.time, positions):
        yield Warned(warning, minor=True)


class _Comparison:
    """A run beside ``finer`` in steps of about ``dt``, ``most_steps`` at the most; ``errors`` is
    what it has found, None before and where nothing can be compared."""

    def __init__(
        self, configuration: Configuration, finer: Flow, dt: float, most_steps: int
    ) -> None:
        self.configuration, self.finer, self.most_steps = configuration, finer, most_steps
        self.interval = configuration.every * configuration.dt
        self.n_parts = max(1, -int(-self.interval // dt))
        self.errors: PositionErrors | None = None

    def events(self, reader: H5MDReader, request: StopRequest) -> Iterator[Event]:
        config, n_parts = self.configuration, self.n_parts
        n_frames = min(config.n_steps // config.every, len(reader) - 1, self.most_steps // n_parts)
        if n_frames < 1:
            return
        yield Started("estimating errors", 100, "per cent")
        states = finer_run(reader, self.finer, self.interval, n_parts, n_frames)
        while True:
            try:
                state = next(states, None)
            except (ValueError, RuntimeError):
                return
            if state is None or request.asked:
                break
            if state.step % n_parts == 0:
                last = state
            yield Progress(
                100 * state.step // (n_parts * n_frames),
                100,
                "per cent",
                "judging each body's error by a finer run",
            )
        if not request.asked:
            self.errors = position_errors(reader, last, n_parts)
