# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""Functions of lanes: sigmoids and circles, by polynomials; and what is done to rows of lanes."""

from typing import Any

import numpy as np
from numba.core import types

from mcegnn.compiled._kernel import kernel
from mcegnn.compiled._lanes import Writer
from mcegnn.compiled._pointers import number, put
from mcegnn.compiled._simd import count, filled, intrinsic, load, store


def _fitted(function: Any, low: float, high: float, degree: int) -> np.ndarray:
    """Coefficients of the polynomial through Chebyshev's points."""
    fit = np.polynomial.Chebyshev.interpolate(function, degree, [low, high])
    return np.asarray(fit.convert(kind=np.polynomial.Polynomial).coef)


def _cosine(y: Any) -> Any:
    return np.cos(np.pi * np.sqrt(np.maximum(y, 0.0)))


def _sine(y: Any) -> Any:
    return np.pi * np.sinc(np.sqrt(np.maximum(y, 0.0)))


_EXP2 = {32: _fitted(np.exp2, -0.5, 0.5, 5), 64: _fitted(np.exp2, -0.5, 0.5, 11)}
_COSINE = {32: _fitted(_cosine, 0.0, 0.25, 5), 64: _fitted(_cosine, 0.0, 0.25, 10)}
_SINE = {32: _fitted(_sine, 0.0, 0.25, 5), 64: _fitted(_sine, 0.0, 0.25, 10)}


@intrinsic
def sigmoid(context: Any, lanes: Any) -> Any:
    """1 / (1 + exp(-x))."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        w = Writer(builder, sig.args[0].dtype)
        bits, bias, mantissa, far = (
            (32, 127, 23, 125.0) if w.dtype == types.float32 else (64, 1023, 52, 1000.0)
        )
        x = builder.fmul(args[0], w.number(-1.0 / np.log(2.0)))
        x = w.call(
            f"llvm.minnum.{w.suffix}",
            w.call(f"llvm.maxnum.{w.suffix}", x, w.number(-far)),
            w.number(far),
        )
        whole, exponent = w.rounded(x)
        part = w.polynomial(builder.fsub(x, whole), _EXP2[bits])
        power = builder.bitcast(
            builder.shl(builder.add(exponent, w.whole(bias)), w.whole(mantissa)), w.type
        )
        return w.inverse(w.fma(part, power, w.number(1.0)))

    return lanes(lanes), write


@intrinsic
def circular(context: Any, lanes: Any) -> Any:
    """sin(pi x) and cos(pi x)."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        w = Writer(builder, sig.args[0].dtype)
        bits = w.dtype.bitwidth
        whole, last = w.rounded(args[0])
        part = builder.fsub(args[0], whole)
        square = builder.fmul(part, part)
        sign = builder.shl(last, w.whole(bits - 1))
        found = (
            builder.fmul(part, w.polynomial(square, _SINE[bits])),
            w.polynomial(square, _COSINE[bits]),
        )
        signed = [
            builder.bitcast(builder.xor(builder.bitcast(f, w.integers), sign), w.type)
            for f in found
        ]
        return context.make_tuple(builder, sig.return_type, signed)

    return types.UniTuple(lanes, 2)(lanes), write


@kernel
def silu(z):
    """Value and slope."""
    s = sigmoid(z)
    y = z * s
    return y, s + y - y * s


@kernel
def clear(numbers, size):
    """Zeros."""
    for k in range(0, size, count(numbers)):
        store(numbers, k, filled(numbers, 0.0))


@kernel
def copy(from_, size, out):
    """out = from."""
    for k in range(0, size, count(out)):
        store(out, k, load(from_, k))


@kernel
def add(numbers, k, lanes):
    """numbers[k:] += lanes."""
    store(numbers, k, load(numbers, k) + lanes)


@kernel
def increase(numbers, k, value):
    """numbers[k] += value."""
    put(numbers, k, number(numbers, k) + value)
