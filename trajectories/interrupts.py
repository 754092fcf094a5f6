"""Delay of Ctrl-C, which in the middle of HDF5's work would leave it in an unknown state."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that Python handles, such as Ctrl-C, are handled at the end; those that end a process
    still do."""
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # signals come to the main thread only
        yield
        return
    came: list[tuple[int, Any]] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    for caught in ours:
        signal.signal(caught, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        for caught, handler in ours.items():
            signal.signal(caught, handler)
        for number, frame in came:
            ours[signal.Signals(number)](number, frame)
