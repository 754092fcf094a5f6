"""The compiled code of a network's phases: made once for a machine, by two processes where it has
several cores, and kept on disk."""

import os
import pickle
import subprocess
import sys
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
    """The address of each phase's code, compiled for named tuples of these kinds: weights, numbers
    and a workspace."""
    from numba import typeof

    from mcegnn.compiled._pointers import pointers_type

    with _LOCK:
        weights, numbers, workspace = kinds = tuple(map(typeof, arguments))
        if kinds not in _known:
            _known[kinds] = _compiled(pointers_type(weights), numbers, pointers_type(workspace))
        return _known[kinds]


def compile_from(pipe: Any) -> None:
    """Compile, and keep on disk, what the process at the other end of a pipe asks for."""
    for name, *kinds in pickle.load(pipe):
        _address(name, *kinds)


def _compiled(*kinds: Any) -> np.ndarray:
    from mcegnn.compiled import _phases

    first, *others = PHASES
    found, helper = {first: _address(first, *kinds)}, None
    stats = getattr(_phases, first).stats
    if stats.cache_misses and stats.cache_path and available_cores() > 1:
        helper = _start([(name, *kinds) for name in _ELSEWHERE])
    try:
        for name in sorted(others, key=lambda name: name in _ELSEWHERE):
            if name in _ELSEWHERE and helper is not None:
                helper.wait()  # where it has failed, the code is compiled here
            found[name] = _address(name, *kinds)
    finally:
        if helper is not None:
            helper.kill()
            helper.wait()
    return np.array([found[name] for name in PHASES], np.int64)


def _start(work: list[tuple[Any, ...]]) -> "subprocess.Popen[bytes]":
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
