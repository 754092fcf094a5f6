"""Compiling a training step: the function and its derivatives as one graph, from which torch's
inductor makes C++."""

import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Step = Callable[
    [list[Tensor], Any], list[Tensor]
]  # weights and a batch to the loss and its gradients


def compiled(step: Step, weights: list[Tensor], batch: Any) -> tuple[Step, str]:
    """The step for batches of this one's shapes, and an empty text; or the step as it was, and why
    it could not be compiled."""
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        return step, "there is no C++ compiler"
    from torch.fx.experimental.proxy_tensor import make_fx

    plain = [weight.detach() for weight in weights]
    kind = type(batch)

    def flat(weights: list[Tensor], *parts: Tensor) -> list[Tensor]:
        return step(weights, kind(*parts))

    try:
        made: Any = torch.compile(make_fx(flat)(plain, *batch), dynamic=False)
        with torch.no_grad():
            made(plain, *batch)
    except Exception as error:  # whatever a compiler says
        return step, " ".join(str(error).split())[:200]

    def run(weights: list[Tensor], batch: Any) -> list[Tensor]:
        with torch.no_grad():
            found: list[Tensor] = made([weight.detach() for weight in weights], *batch)
            return found

    return run, ""
