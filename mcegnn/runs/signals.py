"""Ctrl-C and SIGTERM end a run at the end of a step: the first signal is only noted, and the run
checks for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_HANDLED = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """A request to stop a run, and the ``signal`` that it came from, if any."""

    def __init__(self) -> None:
        self.asked = False
        self.signal: int | None = None

    def ask(self, number: int | None = None) -> None:
        """Ask the run to stop."""
        self.asked, self.signal = True, number if self.signal is None else self.signal

    def clear(self) -> None:
        """Begin anew."""
        self.asked, self.signal = False, None


class _Handlers:
    """The handlers of a process, which all runs that are being iterated in its main thread share:
    the first puts them in place, the last takes them away."""

    def __init__(self) -> None:
        self.requests: list[StopRequest] = []
        self.before: dict[int, Any] = {}

    def add(self, request: StopRequest) -> None:
        if not self.requests:
            self.before = {number: signal.signal(number, self.note) for number in _HANDLED}
        self.requests.append(request)

    def remove(self, request: StopRequest) -> None:
        self.requests.remove(request)
        if not self.requests:
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def note(self, number: int, _: Any) -> None:
        """A signal's handler; a second signal interrupts whatever is being done."""
        again = all(request.signal is not None for request in self.requests)
        for request in self.requests:
            request.ask(number)
        if again:
            raise KeyboardInterrupt


_handlers = _Handlers()


@contextmanager
def handled(request: StopRequest) -> Iterator[None]:
    """Signals that come within ask for a stop; outside of the main thread none comes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _handlers.add(request)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            _handlers.remove(request)
