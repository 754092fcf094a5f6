"""Pointers to where numbers lie: `pointers` makes them of a named tuple of arrays and `moved` moves
them; `number` and `put` are for single numbers; `call_phase` calls the code at an address. Nothing
is checked."""

from typing import Any

from numba.core import types
from numba.extending import intrinsic as _intrinsic

intrinsic: Any = _intrinsic  # as mypy cannot follow what becomes of what it decorates


@intrinsic
def pointers(context: Any, arrays: Any) -> Any:
    """A named tuple of arrays as one of pointers to their beginnings: arrays would be counted
    wherever they are handed on."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        found = []
        for k, kind in enumerate(sig.args[0].types):
            found.append(
                context.make_array(kind)(
                    context, builder, value=builder.extract_value(args[0], k)
                ).data
            )
        return context.make_tuple(builder, sig.return_type, found)

    return pointers_type(arrays)(arrays), write


def pointers_type(arrays: Any) -> Any:
    """The type of the `pointers` of a named tuple of arrays, of its type."""
    return types.NamedTuple([types.CPointer(a.dtype) for a in arrays.types], arrays.instance_class)


@intrinsic
def call_phase(
    context: Any, address: Any, layer: Any, part: Any, w: Any, N: Any, workspace: Any
) -> Any:
    """Call the compiled function ``(layer, part, w, N, workspace)`` at an address: what is called
    by its name is compiled into its caller as well, and all of its callers."""
    kinds = (types.int64, types.int64, w, N, workspace)

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function_type = context.call_conv.get_function_type(types.none, kinds)
        callee = builder.inttoptr(args[0], function_type.as_pointer())
        context.call_conv.call_function(builder, callee, types.none, kinds, args[1:])
        return context.get_dummy_value()

    return types.none(types.int64, *kinds), write


@intrinsic
def number(context: Any, pointer: Any, index: Any) -> Any:
    """One number from memory."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_data_type(sig.return_type)
        where = builder.gep(
            args[0], [context.cast(builder, args[1], sig.args[1], types.int64)], source_etype=kind
        )
        return builder.load(where, typ=kind)

    return pointer.dtype(pointer, index), write


@intrinsic
def put(context: Any, pointer: Any, index: Any, value: Any) -> Any:
    """One number to memory."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.args[0].dtype
        index = context.cast(builder, args[1], sig.args[1], types.int64)
        where = builder.gep(args[0], [index], source_etype=context.get_data_type(kind))
        builder.store(context.cast(builder, args[2], sig.args[2], kind), where)
        return context.get_dummy_value()

    return types.void(pointer, index, value), write


@intrinsic
def moved(context: Any, pointer: Any, index: Any) -> Any:
    """The pointer so many numbers farther."""

    def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_data_type(sig.args[0].dtype)
        return builder.gep(
            args[0], [context.cast(builder, args[1], sig.args[1], types.int64)], source_etype=kind
        )

    return pointer(pointer, index), write
