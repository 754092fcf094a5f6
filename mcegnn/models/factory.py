"""Torch modules of others by name: ``package.module:function``, a function that makes one."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import nn

from mcegnn.importing import attribute, digest, look_here, said
from mcegnn.names import is_factory
from mcegnn.nn.buffers import as_buffers


class NoFactory(ValueError):
    """A factory that a model's file names cannot be used here."""


def made_by(factory: str, *, pretrained: bool) -> nn.Module:
    """The module that a factory makes, with what its author does not let learn as buffers.

    A factory with a parameter ``pretrained`` is told whether the weights that it brings are wanted:
    those of a model's file come after it.

    Modules are looked for where Python looks, and in the working directory. Raises NoFactory if
    there is none, or what it makes is no torch module with weights.
    """
    function = _function(factory)
    named = inspect.signature(function).parameters
    options = {"pretrained": pretrained} if "pretrained" in named else {}
    try:
        made = function(**options)
    except Exception as error:  # whatever the code of others raises
        raise NoFactory(f"{factory}() failed: {type(error).__name__}: {said(error)}") from None
    if not isinstance(made, nn.Module):
        kind = type(made).__name__
        raise NoFactory(f"{factory}() makes no torch.nn.Module but a value of the type {kind}")
    if not any(weight.is_floating_point() for weight in made.parameters()):
        raise NoFactory(f"{factory}() makes a module without weights, so there is nothing to learn")
    as_buffers(made, lambda weight: not weight.requires_grad)
    return made


@cache
def source_of(factory: str) -> str:
    """Digest of the source files of a factory and of the class of what it makes. Raises NoFactory
    if they cannot be read."""
    made = made_by(factory, pretrained=False)
    found = dict.fromkeys(filter(None, (digest(_function(factory)), digest(made))))
    if not found:
        raise NoFactory(f"the source of {factory} cannot be read, by which it is known again")
    return "-".join(found)


def _function(factory: str) -> Callable[..., Any]:
    if not is_factory(factory):
        raise NoFactory(f"a factory is named as package.module:function, not {factory!r}")
    look_here()
    try:
        function = attribute(factory.replace(":", "."))
    except ModuleNotFoundError as error:
        raise NoFactory(
            f"{factory} makes the network, and there is no module {error.name}; install it, or run"
            " from the folder it is in"
        ) from None
    except ValueError as error:
        raise NoFactory(f"{factory} makes the network: {error}") from None
    if not callable(function):
        raise NoFactory(f"{factory} is no function; name one that makes a torch.nn.Module")
    found: Callable[..., Any] = function
    return found
