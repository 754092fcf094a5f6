"""`left_out`: an analysis that cannot be made is left out with its reason, and does not stop the
others."""

from collections.abc import Iterator
from contextlib import contextmanager

from trajectories.storage.h5md import DamagedRunError

# what a run's numbers may lead to; a KeyError, TypeError or AttributeError would be a mistake in
# the code, which is not to be hidden
_FAILURES = (ValueError, RuntimeError, ArithmeticError, IndexError, MemoryError)


@contextmanager
def left_out(what: str, notes: list[str]) -> Iterator[None]:
    """Turn the failure of an analysis into a note, "no WHAT: REASON". A run whose file is damaged
    still raises ValueError."""
    try:
        yield
    except DamagedRunError:
        raise
    except _FAILURES as error:
        notes.append(f"no {what}: {reason(error)}")


def reason(error: Exception) -> str:
    """The message of an exception, in one line."""
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    return " ".join(str(error).split()) or type(error).__name__
