"""A run's events in a terminal: lines on standard error, a bar for each part of the work, and exit
codes."""

import shlex
import sys
from contextlib import ExitStack, closing
from typing import Any

import typer

from mcegnn.cli.messages import mistakes
from mcegnn.cli.progress import Report, progress
from mcegnn.runs.errors import RunDiverged, WritingFailed
from mcegnn.runs.events import (
    Diverged,
    Event,
    Finished,
    Noted,
    Progress,
    Run,
    Saved,
    Started,
    Stopped,
    Warned,
)

_INTERRUPTED = 130
_NAMED = 10  # systems that diverge and are told of one by one


def command_line() -> str:
    """The command that is being run, as one would type it."""
    return shlex.join(["mcegnn", *sys.argv[1:]])


def follow(run: Run, *, quiet: bool = False, verbose: bool = False) -> Any:
    """Do the run, and print what it tells; its result.

    Ends the command with exit code 1 where a disk takes no more, 2 where the run cannot begin, 3
    where it diverged, and with that of its signal where it was stopped.
    """
    try:
        with mistakes(), closing(_Lines(quiet, verbose)) as lines:
            last = _last(run, lines)
    except RunDiverged as error:
        typer.echo(f"mcegnn: {error}", err=True)
        raise typer.Exit(3) from None
    except WritingFailed as error:
        typer.echo(f"mcegnn: {error}", err=True)
        raise typer.Exit(1) from None
    if isinstance(last, Stopped):
        typer.echo(last.message, err=True)
        raise typer.Exit(_INTERRUPTED if last.signal is None else 128 + last.signal)
    return last.result


def _last(run: Run, lines: "_Lines") -> Finished | Stopped:
    """Show all events but the last."""
    for event in run:
        if isinstance(event, Finished | Stopped):
            return event
        lines.show(event)
    raise RuntimeError("the run ended without a result")


class _Lines:
    """Shows events but the last one; the bar of the part under way is open until `close`."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.bar, self.report = ExitStack(), None

    report: Report | None

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()

    def show(self, event: Event) -> None:
        """In a line, or in the bar."""
        if isinstance(event, Progress):
            if self.report is not None:
                self.report(event.done, event.what)
        elif isinstance(event, Started):
            self.bar.close()
            bar = progress(
                event.total, event.unit, head=event.detail, done=event.done, quiet=self.quiet
            )
            self.report = self.bar.enter_context(bar)
        elif line := self._line(event):
            typer.echo(line, err=True)

    def _line(self, event: Event) -> str:
        """In words; empty where nothing is to be said."""
        if isinstance(event, Warned) and not (event.minor and self.quiet):
            return f"warning: {event.message}"
        if isinstance(event, Diverged) and event.n_diverged <= _NAMED:
            last = event.n_diverged == _NAMED
            more = "; of more such systems you are told at the end" if last else ""
            return f"warning: {event.message}{more}"
        if isinstance(event, Noted) and not self.quiet:
            return event.message
        if isinstance(event, Saved) and self.verbose:
            return f"written: {event.n_frames} frames, step {event.step}"
        return ""
