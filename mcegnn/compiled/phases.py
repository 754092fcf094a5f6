"""The compiled code of a network's phases: made once for a machine, by two processes where it has
several cores, and kept on disk."""

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from integrators.compiled.driver import available_cores

# `mcegnn.compiled._steps` knows them by their places
PHASES = ("prepare", "forward_pairs", "forward_nodes", "backward_nodes", "backward_pairs")
_ELSEWHERE = ("forward_pairs", "backward_pairs")  # half of the work, by a process of its own
_CHILD = "import sys; from mcegnn.compiled import phases; phases.compile_from(sys.stdin.buffer)"
_LOCK = Lock()
_known: dict[tuple[Any, ...], np.ndarray] = {}


def addresses(*arguments: Any) -> np.ndarray:
    """The address of each phase's code, compiled for these arguments of `_steps.steps`, the last of
    which is what is returned here. `steps` itself is compiled with them."""
    from numba import int64, typeof

    with _LOCK:
        *_, weights, numbers, workspace, _, _ = kinds = tuple(map(typeof, arguments))
        known = (weights, numbers, workspace)
        if known not in _known:
            _known[known] = _compiled((*kinds, int64[::1]), *known)
        return _known[known]


def compile_from(pipe: Any) -> None:
    """Compile, and keep on disk, what the process at the other end of a pipe asks for."""
    signature, kinds = pickle.load(pipe)
    with _uncollected():
        for name in _ELSEWHERE:
            _address(name, *kinds)
        _compile_steps(signature)


def _compiled(signature: tuple[Any, ...], weights: Any, numbers: Any, workspace: Any) -> np.ndarray:
    from mcegnn.compiled import _phases
    from mcegnn.compiled._pointers import pointers_type

    kinds = (pointers_type(weights), numbers, pointers_type(workspace))
    with _uncollected():
        _address("probe", *kinds)
        stats, helper = _phases.probe.stats, None
        if stats.cache_misses and stats.cache_path and available_cores() > 1:
            helper = _start((signature, kinds))
        try:
            here = [name for name in PHASES if name not in _ELSEWHERE]
            found = {name: _address(name, *kinds) for name in here}
            if helper is not None:
                helper.wait()  # where it has failed, the code is compiled here
            found |= {name: _address(name, *kinds) for name in _ELSEWHERE}
            _compile_steps(signature)
        finally:
            if helper is not None:
                helper.kill()
                helper.wait()
    return np.array([found[name] for name in PHASES], np.int64)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Within, no garbage is collected, which saves a tenth of the time: compilers make many objects
    and drop few."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _compile_steps(signature: tuple[Any, ...]) -> None:
    from mcegnn.compiled import _steps

    _steps.steps.compile(signature)


def _start(work: tuple[Any, ...]) -> "subprocess.Popen[bytes]":
    helper = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert helper.stdin is not None
    helper.stdin.write(pickle.dumps(work))
    helper.stdin.close()
    return helper


def _address(name: str, *kinds: Any) -> int:
    """Where the code of a phase is, compiled or found on disk."""
    from numba import int64

    from mcegnn.compiled import _phases

    function, signature = getattr(_phases, name), (int64, int64, *kinds)
    function.compile(signature)
    made = function.overloads[signature]
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))
