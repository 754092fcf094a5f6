"""Torch modules of others by name: ``package.module:function``, a function that makes one."""

import contextlib
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from mcegnn.names import is_factory


class NoFactory(ValueError):
    """A factory that a model's file names cannot be used here."""


def made_by(factory: str, *, pretrained: bool) -> nn.Module:
    """The module that a factory makes. One with a parameter ``pretrained`` is told whether the
    weights that it brings are wanted: those of a model's file come after it.

    Modules are looked for where Python looks, and in the working directory. Raises NoFactory if
    there is none, or what it makes is no torch module.
    """
    function = _function(factory)
    named = inspect.signature(function).parameters if callable(function) else {}
    options = {"pretrained": pretrained} if "pretrained" in named else {}
    try:
        made = function(**options)
    except Exception as error:  # whatever the code of others raises
        raise NoFactory(f"{factory}() failed: {type(error).__name__}: {error}") from None
    if not isinstance(made, nn.Module):
        raise NoFactory(
            f"{factory}() makes no torch.nn.Module but a value of the type {type(made).__name__}"
        )
    return made


def source_of(factory: str) -> str:
    """SHA-256 of the source file of a factory's module. Raises NoFactory if it cannot be read."""
    try:
        path = inspect.getsourcefile(_module(factory))
    except TypeError:
        path = None
    if path is None:
        raise NoFactory(f"the source of {factory} cannot be read, by which it is known again")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _module(factory: str) -> ModuleType:
    if not is_factory(factory):
        raise NoFactory(f"a factory is named as package.module:function, not {factory!r}")
    name, _, _ = factory.partition(":")
    try:
        with _working_directory_on_path():
            return importlib.import_module(name)
    except ImportError as error:
        raise NoFactory(
            f"{factory} makes the network, and {name} cannot be imported ({error}); install it, or"
            " start where its file is"
        ) from None


def _function(factory: str) -> Callable[..., Any]:
    function = getattr(_module(factory), factory.partition(":")[2], None)
    if not callable(function):
        raise NoFactory(f"{factory} is no function; name one that makes a torch.nn.Module")
    found: Callable[..., Any] = function
    return found


@contextlib.contextmanager
def _working_directory_on_path() -> Iterator[None]:
    """Python itself looks there, scripts that it has installed do not; last, so that nothing is
    hidden."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)
