"""Trajectories opened for a command: mistakes in a sentence, and a bar while they are read."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mcegnn.cli.messages import mistakes
from mcegnn.cli.progress import progress
from mcegnn.runs import reading
from systems.sources.file_options import FileOptions

if TYPE_CHECKING:
    from trajectories.storage.h5md import H5MDReader


def limit_of(tolerance: float | None, reference: Path | None) -> float:
    """The tolerated distance from a reference. Raises ValueError if there is a tolerance without a
    reference."""
    if tolerance is not None and reference is None:
        raise ValueError("--tolerance goes with --reference RUN")
    return 0.1 if tolerance is None else tolerance


@contextmanager
def opened(
    run: Path,
    quiet: bool,
    topology: Path | None = None,
    said: FileOptions | None = None,
    beside: Path | None = None,
) -> "Iterator[H5MDReader]":
    """As `mcegnn.runs.reading.opened`, with a bar while another program's trajectory is read."""
    with ExitStack() as stack:
        with mistakes(), reading_bar(quiet) as on_progress:
            reader = stack.enter_context(reading.opened(run, topology, said, beside, on_progress))
        yield reader


@contextmanager
def reading_bar(quiet: bool) -> "Iterator[reading.OnProgress]":
    """A bar for a trajectory that is read."""
    with progress(100, "per cent", quiet=quiet) as report:
        yield lambda done, n: report(round(100 * done / n), f"reading {n:,} frames")
