"""Lanes: as many numbers as a register of the machine holds, for kernels that are written in
vectors.

A compiler does not reliably vectorise plain loops over few numbers, so the network has instructions
of its own. `load`, `store`, `spread` (one number to all lanes), `filled`, `fma`, `total`, and + - *
act on lanes at pointers (`mcegnn.compiled._pointers`). Nothing is checked. Lanes are float32 or
float64, as their arrays.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as _intrinsic
from numba.extending import lower_builtin, models, register_model

from mcegnn.compiled._registers import BYTES, WIDE

intrinsic: Any = _intrinsic  # as mypy cannot follow what becomes of what it decorates
I64 = ir.IntType(64)


class Lanes(types.Type):
    """The type of lanes of numbers of one kind."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


def scalar(dtype: Any) -> Any:
    """Return LLVM's type of a number."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def vector(dtype: Any) -> Any:
    """Return LLVM's type of as many numbers as a register holds."""
    return ir.VectorType(scalar(dtype), BYTES * 8 // dtype.bitwidth)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, vector(kind.dtype))


class Writer:
    """Writes instructions for lanes of one kind."""

    def __init__(self, builder: Any, dtype: Any) -> None:
        self.builder, self.dtype, self.type = builder, dtype, vector(dtype)
        self.suffix = f"v{self.type.count}f{dtype.bitwidth}"
        self.align = dtype.bitwidth // 8
        self.integers = ir.VectorType(ir.IntType(dtype.bitwidth), self.type.count)

    def number(self, value: float) -> Any:
        """The same constant in all lanes."""
        return ir.Constant(self.type, [self._rounded(value)] * self.type.count)

    def whole(self, value: int) -> Any:
        return ir.Constant(self.integers, [value] * self.type.count)

    def _rounded(self, value: float) -> float:
        return float(np.float32(value)) if self.dtype == types.float32 else float(value)

    def call(self, name: str, *args: Any, of: Any = None) -> Any:
        of = of or self.type
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(of, [a.type for a in args]), name
        )
        return self.builder.call(function, args)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.call(f"llvm.fma.{self.suffix}", a, b, c)

    def polynomial(self, x: Any, coefficients: Any) -> Any:
        value = self.number(coefficients[-1])
        for c in coefficients[-2::-1]:
            value = self.fma(value, x, self.number(c))
        return value

    def place(self, pointer: Any, index: Any) -> Any:
        return self.builder.gep(pointer, [index], source_etype=scalar(self.dtype))

    def load(self, pointer: Any, index: Any) -> Any:
        where = self.builder.bitcast(self.place(pointer, index), self.type.as_pointer())
        return self.builder.load(where, align=self.align)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        where = self.builder.bitcast(self.place(pointer, index), self.type.as_pointer())
        self.builder.store(value, where, align=self.align)

    def spread(self, value: Any) -> Any:
        one = self.builder.insert_element(
            ir.Constant(self.type, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
        )
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.type.count), [0] * self.type.count)
        return self.builder.shuffle_vector(one, ir.Constant(self.type, ir.Undefined), mask)

    def inverse(self, x: Any) -> Any:
        """1 / x, to the last bit or two."""
        if self.dtype == types.float64 or not WIDE:
            return self.builder.fdiv(self.number(1.0), x)
        everywhere = ir.Constant(ir.IntType(16), -1)
        guess = self.call("llvm.x86.avx512.rcp14.ps.512", x, self.number(0.0), everywhere)
        slip = self.fma(self.builder.fneg(x), guess, self.number(1.0))
        return self.fma(guess, slip, guess)

    def rounded(self, x: Any) -> tuple[Any, Any]:
        """The nearest whole number, as a number and as an integer."""
        whole = self.call(f"llvm.rint.{self.suffix}", x)
        return whole, self.builder.fptosi(whole, self.integers)


@intrinsic
def load(context: Any, pointer: Any, index: Any) -> Any:
    """Lanes from memory."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return Writer(builder, sig.args[0].dtype).load(
            args[0], context.cast(builder, args[1], sig.args[1], types.int64)
        )

    return Lanes(pointer.dtype)(pointer, index), write


@intrinsic
def store(context: Any, pointer: Any, index: Any, lanes: Any) -> Any:
    """Lanes to memory."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = context.cast(builder, args[1], sig.args[1], types.int64)
        Writer(builder, sig.args[0].dtype).store(args[2], args[0], where)
        return context.get_dummy_value()

    return types.void(pointer, index, lanes), write


def _mask(builder: Any, writer: Writer, first: Any) -> Any:
    """The first lanes, as many as that."""
    kind = ir.VectorType(I64, writer.type.count)
    many = builder.insert_element(
        ir.Constant(kind, ir.Undefined), first, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), writer.type.count), [0] * writer.type.count)
    many = builder.shuffle_vector(many, ir.Constant(kind, ir.Undefined), zeros)
    return builder.icmp_signed("<", ir.Constant(kind, list(range(writer.type.count))), many)


@intrinsic
def load_first(context: Any, pointer: Any, index: Any, first: Any) -> Any:
    """The first lanes from memory, and zeros in the others."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        w = Writer(builder, sig.args[0].dtype)
        where = w.place(args[0], context.cast(builder, args[1], sig.args[1], types.int64))
        mask = _mask(builder, w, context.cast(builder, args[2], sig.args[2], types.int64))
        align = ir.Constant(ir.IntType(32), w.align)
        return w.call(f"llvm.masked.load.{w.suffix}.p0", where, align, mask, w.number(0.0))

    return Lanes(pointer.dtype)(pointer, index, first), write


@intrinsic
def store_first(context: Any, pointer: Any, index: Any, lanes: Any, first: Any) -> Any:
    """The first lanes to memory, the others nowhere."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        w = Writer(builder, sig.args[0].dtype)
        where = w.place(args[0], context.cast(builder, args[1], sig.args[1], types.int64))
        mask = _mask(builder, w, context.cast(builder, args[3], sig.args[3], types.int64))
        align = ir.Constant(ir.IntType(32), w.align)
        w.call(f"llvm.masked.store.{w.suffix}.p0", args[2], where, align, mask, of=ir.VoidType())
        return context.get_dummy_value()

    return types.void(pointer, index, lanes, first), write


@intrinsic
def spread(context: Any, pointer: Any, index: Any) -> Any:
    """One number from memory, to all lanes."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        writer = Writer(builder, sig.args[0].dtype)
        where = writer.place(args[0], context.cast(builder, args[1], sig.args[1], types.int64))
        return writer.spread(builder.load(where, typ=scalar(writer.dtype)))

    return Lanes(pointer.dtype)(pointer, index), write


@intrinsic
def filled(context: Any, pointer: Any, value: Any) -> Any:
    """A number in all lanes, of the kind to which the pointer points."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        dtype = sig.args[0].dtype
        return Writer(builder, dtype).spread(context.cast(builder, args[1], sig.args[1], dtype))

    return Lanes(pointer.dtype)(pointer, value), write


@intrinsic
def count(context: Any, pointer: Any) -> Any:
    """How many lanes there are."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(I64, vector(sig.args[0].dtype).count)

    return types.int64(pointer), write


@intrinsic
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return Writer(builder, sig.return_type.dtype).fma(*args)

    return a(a, b, c), write


@intrinsic
def total(context: Any, lanes: Any) -> Any:
    """The sum of all lanes."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        writer = Writer(builder, sig.args[0].dtype)
        one = scalar(writer.dtype)
        kind = ir.FunctionType(one, [one, writer.type])
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.vector.reduce.fadd.{writer.suffix}"
        )
        return builder.call(function, [ir.Constant(one, 0.0), args[0]], fastmath=("reassoc",))

    return lanes.dtype(lanes), write


def _operation(operation: Any, name: str) -> None:
    @infer_global(operation)
    class _Typed(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Lanes) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(operation, Lanes, Lanes)
    def _write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, name)(*args)


for _operator, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _operation(_operator, _name)
