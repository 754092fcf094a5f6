"""Ctrl-C and SIGTERM end a run at a step's end: the first is only noted, and who runs the loop asks
for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stops:
    """``code`` is the exit code of the signal that has come, None before. A second one ends
    whatever is being done."""

    code: int | None = None

    def note(self, number: int, _: Any) -> None:
        """A signal's handler."""
        if self.code is not None:
            raise KeyboardInterrupt
        self.code = EXIT_CODES[signal.Signals(number)]


@contextmanager
def stops(noted: Stops) -> Iterator[Stops]:
    """Signals are noted within."""
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # signals come to the main thread only
        yield noted
        return
    before = {number: signal.signal(number, noted.note) for number in EXIT_CODES}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
