"""Says that code is being compiled, which the first run of a kind waits for and no other."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from mcegnn.cli import progress

_LINE = "compiling for this machine, once for this kind of run, which takes up to half a minute ..."


@contextmanager
def compiling_told(quiet: bool = False) -> Iterator[None]:
    """Within, a line on standard error once numba has compiled for as long as a user waits without
    a word."""
    from numba.core.event import Listener, install_listener

    class Told(Listener):
        """Adds up outermost compilations."""

        depth, began, left = 0, 0.0, progress._FIRST_SECONDS
        timer: threading.Timer | None = None

        def on_start(self, event: Any) -> None:
            if not self.depth and self.left > 0.0:
                self.began = time.monotonic()
                self.timer = threading.Timer(self.left, typer.echo, [_LINE], {"err": True})
                self.timer.daemon = True
                self.timer.start()
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if not self.depth and self.timer is not None:
                self.timer.cancel()
                self.left -= time.monotonic() - self.began

    if quiet:
        yield
        return
    with install_listener("numba:compile", Told()):
        yield
