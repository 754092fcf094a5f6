"""Lanes: as many numbers as a register of the machine holds, for kernels that are written in
vectors.

A compiler does not reliably vectorise plain loops over few numbers, so the network has instructions
of its own. `load`, `store`, `spread` (one number to all lanes), `filled`, `fma`, `total`, and + - *
act on lanes at pointers (`mcegnn.compiled._pointers`). Nothing is checked. Lanes are float32 or
float64, as their arrays.
"""

import operator
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as _intrinsic
from numba.extending import lower_builtin

from mcegnn.compiled._lanes import Lanes, Writer, scalar, vector

intrinsic: Any = _intrinsic  # as mypy cannot follow what becomes of what it decorates
I64 = ir.IntType(64)


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
