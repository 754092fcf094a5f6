"""Kernels: compiled functions that give a potential's forces for one configuration and return its
energy.

A kernel is a plain function ``kernel(x, masses, charges, parameters, forces) -> energy`` of
C-contiguous float64 arrays: x [3, n], masses [n], charges [n], parameters [any], forces [3, n].
Forces arrive zeroed; a kernel checks nothing. Every kernel is compiled to this one signature and
handed over as a function pointer, so the driver of the integrators is compiled once, whatever the
potential, and its copy on disk can never hold an old kernel.
"""

import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numba import float64, njit, types
from numba.core.dispatcher import Dispatcher

from systems.system import Evaluation, KernelPotential, System

# "fast" would also let the compiler assume that no NaN and no infinity ever appears, and drop the
# tests for them.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
# Division by zero gives infinity as in NumPy, which whoever looks at the numbers finds; Python's
# exception would cost a test each time.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
SIGNATURE = float64(float64[:, ::1], float64[::1], float64[::1], float64[::1], float64[:, ::1])
KERNEL = types.FunctionType(SIGNATURE)


@cache
def _sources(folder: str) -> str:
    """A digest of this file and of every file of kernels in the folder."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(Path(folder).glob("_*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def jit(
    function: Callable[..., Any],
    *,
    reorder: bool = True,
    exact: bool = False,
    inline: bool = False,
    part: bool = False,
) -> Any:
    """Compile a function of the packages with numba, without the interpreter's lock, kept on disk
    where any folder can be written.

    Without ``reorder`` sums are taken in the order in which they are written; ``exact`` rounds
    every operation as NumPy does. ``inline`` makes it a part of whatever compiled function calls
    it, as `inlined_jit` does; so does ``part``, which does not compile it by itself as well: faster
    where one function alone calls it, which is not large itself.

    numba looks at the file of the function alone, not at those of the functions it calls; so the
    copy on disk is named after them all.
    """
    options = {
        **_OPTIONS,
        "forceinline": inline,
        "inline": "always" if part else "never",
        "fastmath": set() if exact else FASTMATH if reorder else FASTMATH - {"reassoc"},
    }
    function.__qualname__ += f"_{_sources(str(Path(function.__code__.co_filename).parent))}"
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # no place for the cache: read-only packages and no home
        return njit(function, **options)


# A function that others call must be in them. Where it is not, the process that compiles both takes
# the one copy, and those that find the caller on disk the other, which was optimised again, with
# sums in another order: then the first run has other bits than all later ones.
inlined_jit = partial(jit, inline=True)


# Of a function that makes a kernel: it makes one for each choice of arguments, which are constants
# in it, so that the branches they rule out are not compiled.
kernel_factory = cache


@cache
def compile_kernel(function: Callable[..., float]) -> Any:
    """``function`` (plain or already numba's) compiled to the kernels' signature.

    A plain one, which is a user's, is compiled anew in each process: numba's copy on disk would not
    notice a change in another file.
    """
    compiled = function if isinstance(function, Dispatcher) else njit(function, **_OPTIONS)
    compiled.compile(SIGNATURE.args)
    return compiled


def plain(array: Any) -> np.ndarray:
    """The array as the compiled code takes it: float64, C-contiguous, writeable; itself where it is
    so already."""
    return np.require(array, float, ["C", "W", "A"])


@jit
def _evaluate(kernel, x, masses, charges, parameters, energy, forces):  # type: ignore[no-untyped-def]
    copies, n = x.shape[0], x.shape[1]
    positions, total = np.empty((3, n)), np.empty((3, n))
    for s in range(copies):
        for i in range(n):
            for a in range(3):
                positions[a, i] = x[s, i, a]
                total[a, i] = 0.0
        energy[s] = kernel(positions, masses, charges[s], parameters, total)
        for i in range(n):
            for a in range(3):
                forces[s, i, a] = total[a, i]


_EVALUATE = (
    KERNEL,
    float64[:, :, ::1],
    float64[::1],
    float64[:, ::1],
    float64[::1],
    float64[::1],
    float64[:, :, ::1],
)


_LOCK = Lock()


def compile_once(function: Any, signature: tuple[Any, ...]) -> Any:
    """``function`` compiled for this signature alone, so that a kernel is taken as a function
    pointer and not specialised upon."""
    with _LOCK:
        if not function.signatures:
            function.compile(signature)
            function.disable_compile()
    return function


def evaluate(potential: KernelPotential, system: System) -> Evaluation:
    """Energy [...] and forces [..., n, 3] of a system or of an ensemble by the potential's
    kernel."""
    parameters = plain(potential.parameters(system))
    shape = system.positions.shape
    x = plain(system.positions).reshape(-1, *shape[-2:])
    charges = plain(np.broadcast_to(system.charges, shape[:-1])).reshape(-1, shape[-2])
    energy, forces = np.empty(len(x)), np.empty_like(x)
    compile_once(_evaluate, _EVALUATE)(
        compile_kernel(potential.kernel),
        x,
        plain(system.masses),
        charges,
        parameters,
        energy,
        forces,
    )
    return Evaluation(energy.reshape(shape[:-2])[()], forces.reshape(shape), potential=potential)


class KernelFunction:
    """A potential made of a kernel alone: the shortest way from your own formula to a compiled
    rollout.

    ``parameters`` is anything NumPy makes a flat float64 array of; the kernel gets that array.
    """

    def __init__(self, function: Callable[..., float], parameters: Any = ()) -> None:
        self._function = function
        self._parameters = np.atleast_1d(np.asarray(parameters, dtype=float)).ravel()

    @property
    def kernel(self) -> Any:
        """The compiled kernel."""
        return compile_kernel(self._function)

    def parameters(self, system: System) -> np.ndarray:
        """The kernel's parameters, whatever the system."""
        return self._parameters

    def __call__(self, system: System) -> Evaluation:
        return evaluate(self, system)
