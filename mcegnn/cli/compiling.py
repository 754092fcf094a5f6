"""Says that code is being compiled, which the first run of a kind waits for and no other."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

_FIRST_SECONDS = 2.0
_LINE = (
    "compiling for this machine: for this kind of run it is done once, and takes up to half a"
    " minute"
)


@contextmanager
def compiling_told(quiet: bool = False) -> Iterator[None]:
    """Within, a line on standard error where numba has compiled for two seconds."""
    from numba.core.event import Listener, install_listener

    class Told(Listener):
        """Speaks when outermost compilations have taken so long together."""

        depth, spoke, left = 0, False, _FIRST_SECONDS
        timer: threading.Timer | None = None

        def on_start(self, event: Any) -> None:
            if not self.depth and not self.spoke:
                self.began, self.timer = time.monotonic(), threading.Timer(self.left, self.speak)
                self.timer.daemon = True
                self.timer.start()
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if not self.depth and self.timer is not None:
                self.timer.cancel()
                self.left -= time.monotonic() - self.began

        def speak(self) -> None:
            self.spoke = True
            typer.echo(_LINE, err=True)

    if quiet:
        yield
        return
    with install_listener("numba:compile", Told()):
        yield
