"""Work that calls back with its progress, as an iterator of events."""

import queue
import threading
from collections.abc import Callable, Generator
from typing import Any

from mcegnn.runs.events import Event, Progress, Started
from mcegnn.runs.signals import StopRequest

Told = Callable[[int, str], None]
_SECONDS = 0.2  # from one look at a request to stop to the next


class _GivenUp(Exception):
    """The work is no longer wanted."""


def reported(
    what: str, work: Callable[[Told], Any], *, detail: str = "", request: StopRequest
) -> Generator[Event, None, Any]:
    """Do ``work`` in a thread of its own, yield its progress in per cent, and return its result.

    None is returned as soon as ``request`` asks for a stop; the work then ends, as when the
    iterator is closed, at its next report of progress. ``detail`` is that of `Started`. Raises what
    the work raises.
    """
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    given_up = threading.Event()
    results: list[Any] = []
    errors: list[BaseException] = []

    def tell(done: int, now: str) -> None:
        if given_up.is_set():
            raise _GivenUp
        events.put(Progress(done, 100, "per cent", now))

    def run() -> None:
        try:
            results.append(work(tell))
        except BaseException as error:
            errors.append(error)
        finally:
            events.put(None)

    try:
        yield Started(what, 100, "per cent", detail=detail)
        threading.Thread(target=run, daemon=True).start()
        while not request.asked:
            try:
                event = events.get(timeout=_SECONDS)
            except queue.Empty:
                continue
            if event is None:
                break
            yield event
    finally:
        given_up.set()
    if errors:
        raise errors[0]
    return results[0] if results else None
