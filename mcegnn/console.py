"""Output in terminals: a progress bar, a table of rows, a time in words."""

from collections.abc import Sequence
from typing import Any


def bar(console: Any, unit: str) -> Any:
    """A progress bar of rich that counts ``unit``, such as "steps", and says how much time is
    left; not started yet."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} " + unit),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def spinner(console: Any) -> Any:
    """A spinner for work of unknown duration; not started yet."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, transient=True)


def table_of(title: str, rows: Sequence[tuple[str, ...]], header: Sequence[str] = ()) -> Any:
    """Rows under a title as a table of rich."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=Text(title),
        title_justify="left",
        title_style="bold",
        show_header=bool(header),
        box=None,
        pad_edge=False,
    )
    for k in range(max(len(row) for row in rows)):
        shown.add_column(
            header[k] if header else "",
            justify="left" if k == 0 or not header else "right",
            overflow="fold",
        )
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))  # a name is no markup
    return shown


def in_words(seconds: float) -> str:
    """A time to wait."""
    for most, unit, name in (
        (100.0, 1.0, "seconds"),
        (6000.0, 60.0, "minutes"),
        (360000.0, 3600.0, "hours"),
    ):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"
