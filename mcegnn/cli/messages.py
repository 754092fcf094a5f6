"""How the command line speaks: one sentence for a mistake, tables for results, a progress line for
anything long."""

import functools
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from mcegnn.console import table_of
from mcegnn.runs.errors import RunDiverged, WritingFailed, sentence
from mcegnn.runs.outputs import check_writable


class Mistake(Exception):
    """A mistake in the user's request: the message says what is wrong and what to do."""


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn errors raised while a request is read into a `Mistake` of one sentence."""
    try:
        yield
    except (RunDiverged, WritingFailed):  # of a run that has begun: no mistake
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise Mistake(sentence(error)) from None


def check_ending(path: Path, *endings: str) -> None:
    """Raise ValueError if the file's name does not have the ending of what is written."""
    if path.suffix not in endings:
        raise ValueError(
            f"{path} does not end in {' or '.join(endings)}, the format that is written; name it"
            f" {path.with_suffix(endings[0])}"
        )


def check_new_folder(path: Path, pattern: str, force: bool) -> None:
    """Raise ValueError or OSError if files cannot be written into a folder, which need not exist,
    or some like them are there already."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; name a folder to write into")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}; make it first")
    there = sorted(path.glob(pattern))
    if there and not force:
        raise FileExistsError(17, "File exists", str(there[0]))
    made = not path.exists()
    path.mkdir(exist_ok=True)
    try:
        check_writable(path / "numbers.csv")
    finally:
        if made:
            path.rmdir()


def told(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose mistakes end in one sentence on standard error and exit code 2, and whose
    warnings are a line each."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            with _told_warnings():
                command(*args, **kwargs)
        except Mistake as mistake:
            typer.echo(
                f"mcegnn: {' '.join(str(mistake).split())}", err=True
            )  # some libraries' errors run over lines
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("stopped before anything was done", err=True)
            raise typer.Exit(130) from None

    return guarded


@contextmanager
def _told_warnings() -> Iterator[None]:
    """Our own warnings, which are for users, in one line; those of libraries as ever."""
    from mcegnn.names import SourceChangedWarning
    from systems.potentials.committee import ExtrapolationWarning
    from trajectories.storage.journal import RecoveredWarning

    own = (ExtrapolationWarning, RecoveredWarning, SourceChangedWarning)

    with warnings.catch_warnings():
        plain = warnings.showwarning

        def show(message: Any, category: Any, *where: Any, **more: Any) -> None:
            if category in own:
                typer.echo(f"warning: {message}", err=True)
            else:
                plain(message, category, *where, **more)

        warnings.showwarning = show
        for category in own:
            warnings.simplefilter("always", category)
        yield


def table(
    title: str, rows: Sequence[tuple[str, ...]], header: Sequence[str] = (), *, err: bool = False
) -> None:
    """Rows under a title on standard output, or on standard error where something else is to be
    read from the former."""
    from rich.console import Console

    Console(stderr=err).print(table_of(title, rows, header))


def spelled(values: Any) -> str:
    """JSON, which knows no numbers that are not finite: they are null."""
    return json.dumps(_finite(values), allow_nan=False)


def _finite(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
