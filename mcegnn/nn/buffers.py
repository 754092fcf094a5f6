"""Parameters made buffers: no trainer can make those learn."""

from collections.abc import Callable

from torch import nn


def as_buffers(
    module: nn.Module, which: Callable[[nn.Parameter], bool] = lambda weight: True
) -> None:
    """Make buffers of some of a module's parameters, of the same names and values."""
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            if which(weight):
                delattr(part, name)
                part.register_buffer(name, weight.detach())
