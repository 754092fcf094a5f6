"""How far a long command is: on standard error, in a terminal as a bar with the time left,
elsewhere as a line now and then."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from mcegnn.console import bar, in_words, spinner

_LINE_SECONDS, _FIRST_SECONDS = 30.0, 2.0
Report = Callable[[int, str], None]


@contextmanager
def progress(
    total: int, what: str, *, head: str = "", done: int = 0, quiet: bool = False
) -> Iterator[Report]:
    """Yields a function to report with: how many of ``total`` are done, and a word to show.
    ``what`` is counted, such as "steps".

    ``head`` is said before all else, by what is not over at once.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield lambda now, text: None
    elif not console.is_terminal:
        yield _lines(total, what, head, done)
    else:
        if head:
            typer.echo(head, err=True)
        with bar(console, what) as shown:
            task = shown.add_task("starting", total=total, completed=done)
            yield lambda now, text: shown.update(task, completed=now, description=text)


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Says what is waited for within: in a terminal until it is over, elsewhere in one line where
    it takes a while."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield
    elif console.is_terminal:
        with spinner(console) as shown:
            shown.add_task(what)
            yield
    else:
        line = threading.Timer(_FIRST_SECONDS, typer.echo, [f"{what} ..."], {"err": True})
        line.daemon = True
        line.start()
        try:
            yield
        finally:
            line.cancel()


def _lines(total: int, what: str, head: str, done: int) -> Report:
    """A reporter for log files. The time left follows from the speed since the line before: later
    parts of a run may be slower."""
    spoke, wait = time.monotonic(), _FIRST_SECONDS
    seen, last = 0.0, done

    def report(now: int, text: str) -> None:
        nonlocal spoke, seen, last, wait, head
        at = time.monotonic()
        if not seen and now > done:  # what was compiled and loaded before says nothing of the speed
            seen, last = at, now
        if at - spoke > wait:
            if head:
                typer.echo(head, err=True)
                head = ""
            left = (
                f", about {in_words((at - seen) * (total - now) / (now - last))} left"
                if now > last
                else ""
            )
            typer.echo(f"{text}: {now:,} of {total:,} {what}{left}", err=True)
            wait = _LINE_SECONDS if left else _FIRST_SECONDS
            spoke, seen, last = at, at if now > last else seen, now

    return report
