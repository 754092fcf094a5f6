"""What runs share: iterating, stopping, and pickling; iterations that are abandoned are closed, at
the latest when the interpreter ends, so that their state is saved."""

import atexit
import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from mcegnn.runs.events import Event
from mcegnn.runs.signals import StopRequest, handled

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


class StoppableRun(ABC):
    """A `mcegnn.runs.events.Run`: what it does is in `_events`, which looks at ``_request`` whether
    to stop. Pickles hold all else that it has."""

    def __init__(self) -> None:
        self._request = StopRequest()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_request"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._request = StopRequest()

    def stop(self) -> None:
        """End the iteration under way, or else the next one; the last event is `Stopped`."""
        self._request.ask()

    def __iter__(self) -> Iterator[Event]:
        try:
            with handled(self._request), closed(self._events()) as events:
                yield from events
        finally:
            self._request.clear()

    @abstractmethod
    def _events(self) -> Events:
        """Do the work, and yield what happens."""
