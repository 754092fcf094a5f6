"""Errors and warnings as users of Python know them: options are keywords, and a run is resumed by a
function call."""

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mcegnn.names import suggestion
from mcegnn.runs.errors import RunDiverged, WritingFailed, sentence

_FLAGS = ("relax", "flexible", "relativity", "j2", "all_frames")
_RENAMED = {"force": "overwrite=True", "no_j2": "j2=False", "from": "start"}
_CHOICES = r"nve|nvt|npt|off|[a-z]+-(?:baoab|verlet|euler|hoover|holman|\d)"
_OPTION = re.compile(
    r"(?<![\w/.-])--(?P<name>[a-z][a-z0-9-]*)"
    rf"(?: (?P<value>\"[^\"]*\"|'[^']*'|-?\d[\w.+-]*\w|\d|[A-Z](?:,[A-Z])+\b|[A-Z][A-Z:]*\b"
    rf"|(?:{_CHOICES})(?![\w-])))?"
)
_RESUME = re.compile(
    r"mcegnn (?P<verb>rollout|train) --resume (?P<path>'[^']*'|\S+)"
    r"(?P<more>(?: --[a-z-]+ off)?)"
)
_VERBS = {"rollout": "simulate", "train": "fit"}


def in_python(text: str) -> str:
    """Replace the command line's options in a sentence by keywords of Python."""
    text = _RESUME.sub(_call, " ".join(text.split()))
    text = text.replace("(mcegnn label, train --from)", "(mcegnn.label, and mcegnn.fit with start)")
    text = re.sub(r"(?<![\w-])with -o\b", "as output", text)
    return _OPTION.sub(_keyword, text)


def _call(match: re.Match[str]) -> str:
    """The function call that resumes a run."""
    (path,) = shlex.split(match["path"].rstrip(",;"))
    return f"mcegnn.{_VERBS[match['verb']]}(resume={path!r}{_also(match['more'])})"


def _also(more: str) -> str:
    return f", {_OPTION.sub(_keyword, more.strip())}" if more else ""


def _keyword(match: re.Match[str]) -> str:
    """An option and its value, if one stands behind it."""
    name, value = match["name"].replace("-", "_"), match["value"]
    if name in _RENAMED:
        name = _RENAMED[name]
    elif name in _FLAGS:
        return f"{name}=True" + (f" {value}" if value else "")
    if value is None:
        return name
    word = value[0].isalpha() and not (value.isupper() and "," not in value)
    return f'{name}="{value}"' if word else f"{name}={value}"


@contextmanager
def words_of_python() -> Iterator[None]:
    """Reword errors raised within for Python, in one sentence each; they keep their type."""
    try:
        yield
    except RunDiverged as error:
        error.message = in_python(error.message)
        error.hints = tuple(in_python(hint) for hint in error.hints)
        error.args = (error.message, error.hints, error.path)
        raise
    except WritingFailed as error:
        raise WritingFailed(in_python(str(error))) from None
    except OSError as error:
        raise _of_system(error) from None
    except (ValueError, RuntimeError) as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (in_python(error.args[0]),)
        raise


def _of_system(error: OSError) -> OSError:
    """The same operating system error with a message of one sentence."""
    kinds = (FileExistsError, FileNotFoundError, PermissionError, OSError)
    kind = next(one for one in kinds if isinstance(error, one))
    return kind(in_python(sentence(error)))


def check_keywords(function: str, given: Mapping[str, Any], known: Any) -> None:
    """Raise TypeError for a keyword that a function does not know, with the name that it resembles,
    else all names."""
    for name in given:
        if name not in known:
            raise TypeError(f"{function}() has no keyword {name!r}; {suggestion(name, known)}")


def call_of(function: str, *arguments: Any, **keywords: Any) -> str:
    """A function call as one would type it, which a run keeps as its origin; arguments that are
    None are left out."""
    parts = [_spelled(one) for one in arguments if one is not None]
    parts += [f"{name}={_spelled(one)}" for name, one in keywords.items() if one is not None]
    return f"mcegnn.{function}({', '.join(parts)})"


def _spelled(value: Any) -> str:
    plain = isinstance(value, str | int | float | list | tuple | dict)
    return repr(value) if plain else repr(str(value))
