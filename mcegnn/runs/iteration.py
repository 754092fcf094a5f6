"""Closing of iterations of runs that are abandoned, at the latest when the interpreter ends, so
that their state is saved."""

import atexit
import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress

from mcegnn.runs.events import Event

Events = Generator[Event, None, None]
_suspended: dict[Events, int] = {}  # and the processes in which they were begun


@contextmanager
def closed(events: Events) -> Iterator[Events]:
    """Close an iterator at the end of the block, or when the interpreter ends, while the run's
    state can still be saved."""
    _suspended[events] = os.getpid()
    try:
        with closing(events):
            yield events
    finally:
        _suspended.pop(events, None)


@atexit.register
def _close_all() -> None:
    for events, process in list(_suspended.items()):
        if process == os.getpid():  # a fork has copies of what goes on in its parent
            with suppress(ValueError):  # a thread is just iterating it
                events.close()
