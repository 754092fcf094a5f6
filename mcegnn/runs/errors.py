"""Errors that end a run which has begun; what was written before stays."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunDiverged(RuntimeError):
    """The run diverged: its numbers are no longer valid, or its forces could not be computed.

    ``hints`` are sentences on what can be done, ``path`` is the file with what was written.
    """

    def __init__(self, message: str, hints: tuple[str, ...] = (), path: Path | None = None) -> None:
        super().__init__(message, hints, path)
        self.message, self.hints, self.path = message, hints, path

    def __str__(self) -> str:
        return "\n".join((self.message, *self.hints))


class WritingFailed(OSError):
    """The disk does not accept what the run writes; the message says how to resume."""


class ForcesFailed(RuntimeError):
    """The force calculation, perhaps code of the user's, has failed with an error of its own."""


def sentence(error: Exception) -> str:
    """The message of an error in one sentence; for errors of the operating system one is made."""
    if not isinstance(error, OSError) or isinstance(error, WritingFailed):
        return str(error)
    if isinstance(error, FileExistsError):
        return (
            f"{error.filename or error} exists already; choose another name or overwrite it with"
            " --force"
        )
    if isinstance(error, PermissionError):
        return f"{error.filename} cannot be written or read: permission denied"
    if error.errno == errno.ENOSPC:
        return f"no space is left on the disk of {error.filename or 'the file to be written'}"
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextmanager
def forces_in_words() -> Iterator[None]:
    """Turn any error of the force calculation, perhaps of code of the user's, into `ForcesFailed`,
    so that it is not taken for an error of the file."""
    try:
        yield
    except Exception as error:
        kind = (
            ""
            if isinstance(error, ValueError | RuntimeError) and str(error)
            else f"{type(error).__name__}: "
        )
        raise ForcesFailed(f"{kind}{' '.join(str(error).split())}") from None
