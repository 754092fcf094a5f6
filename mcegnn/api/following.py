"""Running a run from Python: its warnings become Python warnings, its progress a bar.

In a notebook the bar is a line of HTML, in a terminal it is rich's; elsewhere nothing is shown.
"""

import html
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from typing import Any

from mcegnn.api.words import in_python
from mcegnn.console import bar, in_words, spinner, table_of
from mcegnn.runs.events import (
    Described,
    Diverged,
    Event,
    Finished,
    Noted,
    Progress,
    Run,
    Started,
    Stopped,
    Warned,
)

ProgressOption = bool | Callable[[Event], None] | None

_FIRST_SECONDS = 2.0  # what is over sooner needs no bar
_EACH_SECONDS = 0.25  # from one line of HTML to the next
_NAMED = 10  # systems that diverge and are told of one by one
_STACK = 5  # frames from the warning to the line that called


class RunWarning(UserWarning):
    """Warning that a run probably does not do what was intended."""


def follow(run: Run, progress: ProgressOption = None) -> Any:
    """Execute the run and return its result. Raises what the run raises, and KeyboardInterrupt,
    which says how to resume, if Ctrl-C has stopped it.

    ``progress`` is a function that gets each event, or False to show nothing.
    """
    shown: _Display | _Calling = _Calling(progress) if callable(progress) else _display(progress)
    # run ends at a step and saves its state, whatever comes between two events
    with closing(shown), closing(iter(run)) as events:  # type: ignore[type-var]
        for event in events:
            shown.show(event)
            _warn(event)
            if isinstance(event, Finished):
                return event.result
            if isinstance(event, Stopped):
                raise KeyboardInterrupt(in_python(event.message))
    raise RuntimeError("the run ended without a result")


def _warn(event: Event) -> None:
    match event:
        case Warned(message=message):
            warn(message)
        case Diverged(message=message, n_diverged=n) if n <= _NAMED:
            warn(message)


def warn(message: str, stacklevel: int = _STACK) -> None:
    """Issue a `RunWarning` in which options are called as in Python."""
    warnings.warn(in_python(message), RunWarning, stacklevel=stacklevel)


class _Calling:
    """Hands each event on."""

    def __init__(self, function: Callable[[Event], None]) -> None:
        self.show = function

    def close(self) -> None:
        """Nothing is open."""


class _Display:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Show what there is to be shown of an event."""

    def close(self) -> None:
        """Take the bar away."""


def _display(progress: bool | None) -> _Display:
    from rich.console import Console

    console = Console(stderr=True)
    if progress is False:
        return _Display()
    if console.is_jupyter:
        return _Notebook()
    return _Terminal(console) if console.is_terminal else _Display()


class _Terminal(_Display):
    """A bar of rich for each part of the work that takes a while."""

    def __init__(self, console: Any) -> None:
        self._console, self._bar, self._timer = console, None, None
        self._lock = threading.Lock()

    _bar: Any
    _timer: threading.Timer | None

    def show(self, event: Event) -> None:
        """In the bar, or in a line above it."""
        if isinstance(event, Started):
            self.close()
            self._begin(event)
        elif isinstance(event, Progress) and self._bar is not None:
            words = in_python(event.what)
            self._bar.update(self._task, completed=event.done, description=words)
        elif isinstance(event, Described):
            self._console.print(table_of(event.title, event.rows))
        elif isinstance(event, Noted):
            self._console.print(event.message, markup=False, highlight=False)

    def _begin(self, event: Started) -> None:
        self._bar = bar(self._console, event.unit) if event.total else spinner(self._console)
        total = event.total or None
        self._task = self._bar.add_task(event.what, total=total, completed=event.done)
        self._timer = threading.Timer(_FIRST_SECONDS, self._start, [self._bar])
        self._timer.daemon = True
        self._timer.start()

    def _start(self, wanted: Any) -> None:
        with self._lock:
            if wanted is self._bar:
                wanted.start()

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._bar is not None:
                self._bar.stop()
            self._bar = self._timer = None


class _Notebook(_Display):
    """A line of HTML under the cell, which is gone when the run is over."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._began = self._spoke = time.monotonic()
        self._part = Started("", 0, "")

    def show(self, event: Event) -> None:
        """Write the line anew, now and then."""
        now = time.monotonic()
        if isinstance(event, Started):
            self._part, self._began = event, now
            if self._handle is not None:
                self._write(_line(event.what))
        elif isinstance(event, Progress):
            wait = _FIRST_SECONDS if self._handle is None else _EACH_SECONDS
            if now - self._spoke > wait:
                self._spoke = now
                self._write(_of(event, self._part, now - self._began))
        elif isinstance(event, Described):
            print(event.title, *("  ".join(row) for row in event.rows), sep="\n")
        elif isinstance(event, Noted):
            print(event.message)

    def _write(self, text: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(text), display_id=True)
        else:
            self._handle.update(HTML(text))

    def close(self) -> None:
        """Take the line away."""
        if self._handle is not None:
            self._write("")


def _of(event: Progress, part: Started, seconds: float) -> str:
    """How far it is, and the time left by the speed since the part began."""
    done = event.done - part.done
    left = seconds * (event.total - event.done) / done if done > 0 else None
    words = f"{in_python(event.what)}: {event.done:,} of {event.total:,} {event.unit}"
    words += "" if left is None else f", about {in_words(left)} left"
    return f'<progress value="{event.done}" max="{event.total}"></progress> {_line(words)}'


def _line(words: str) -> str:
    return f"<span>{html.escape(words)}</span>"
