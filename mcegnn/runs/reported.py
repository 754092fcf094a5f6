"""Work that calls back with its progress, as an iterator of events."""

import queue
import threading
from collections.abc import Callable, Generator
from typing import Any

from mcegnn.runs.events import Event, Progress, Started

Told = Callable[[int, str], None]


def reported(what: str, work: Callable[[Told], Any]) -> Generator[Event, None, Any]:
    """Do ``work`` in a thread of its own, yield the per cents it tells, and return its result.

    Raises what the work raises.
    """
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    result: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work(lambda done, now: events.put(Progress(done, 100, "per cent", now))))
        except BaseException as error:
            errors.append(error)
        finally:
            events.put(None)

    yield Started(what, 100, "per cent")
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while (event := events.get()) is not None:
        yield event
    thread.join()
    if errors:
        raise errors[0]
    return result[0]
