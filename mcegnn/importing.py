"""Objects of users' own modules by their dotted names, and digests of the files they come from."""

import hashlib
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from mcegnn.names import nearest


def look_here() -> None:
    """Make modules in the current folder importable, as Python does for scripts."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def attribute(path: str) -> Any:
    """The object of a dotted path. Raises ModuleNotFoundError if there is no such module, and
    ValueError if it has no such object, or fails on import."""
    module, _, name = path.rpartition(".")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        raise
    except (Exception, SystemExit) as error:  # scripts may end when they are imported
        raise ValueError(f"importing {module} failed: {said(error)}") from None
    if not hasattr(found, name):
        raise ValueError(f"{module} has no {name}; did you mean {nearest(name, dir(found))}?")
    return getattr(found, name)


def digest(thing: Any) -> str:
    """Digest of the file that a function or an object's class comes from; empty where there is no
    such file."""
    known = thing if inspect.isfunction(thing) or inspect.isclass(thing) else type(thing)
    try:
        source = inspect.getsourcefile(known)
    except TypeError:
        return ""
    if not source or not Path(source).is_file():
        return ""
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()[:16]


def said(error: BaseException) -> str:
    """An error in words."""
    words = " ".join(str(error).split())
    return (
        words
        if isinstance(error, ValueError) and words
        else f"{type(error).__name__}: {words}".removesuffix(": ")
    )
