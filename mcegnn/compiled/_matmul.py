# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
"""The product of a block of rows with a matrix, as tiles in registers."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types

from mcegnn.compiled._kernel import kernel
from mcegnn.compiled._lanes import Writer, scalar
from mcegnn.compiled._pointers import moved
from mcegnn.compiled._registers import BYTES
from mcegnn.compiled._simd import I64, count, intrinsic

# rows of a tile by its columns of lanes: the sums, a row of the second factor and a number of the
# first are in registers at once, of which there are 32, with AVX and AVX2 16
ROWS = {4: 3, 3: 4, 2: 6, 1: 8} if BYTES == 32 else {4: 6, 3: 8, 2: 8, 1: 8}


def _tile(columns: int) -> Any:
    """The product of ROWS[columns] rows of a matrix with so many columns of lanes of another."""
    rows = ROWS[columns]

    @intrinsic
    def tile(
        context: Any,
        row: Any,
        last: Any,
        depth: Any,
        a: Any,
        a_stride: Any,
        b: Any,
        b_stride: Any,
        c: Any,
        c_stride: Any,
        out: Any,
        out_stride: Any,
    ) -> Any:

        def write(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            row, last, depth, a, a_stride, b, b_stride, c, c_stride, out, out_stride = args
            builder.function.attributes.add(
                "noinline"
            )  # of `product`: there are enough tiles if each is there once
            w = Writer(builder, sig.args[3].dtype)
            count = w.type.count
            # rows beyond the last are the last once more: the same numbers at the same place
            places = []
            for k in range(rows):
                wanted = builder.add(row, ir.Constant(I64, k))
                places.append(builder.select(builder.icmp_signed("<", wanted, last), wanted, last))
            lines = [w.place(a, builder.mul(place, a_stride)) for place in places]
            sums = []
            for place in places:
                line = w.place(c, builder.mul(place, c_stride))
                sums.append([w.load(line, ir.Constant(I64, v * count)) for v in range(columns)])
            before, body, after = (
                builder.block,
                builder.append_basic_block("depth"),
                builder.append_basic_block("done"),
            )
            builder.branch(body)
            builder.position_at_end(body)
            k = builder.phi(I64)
            k.add_incoming(ir.Constant(I64, 0), before)
            held = [[builder.phi(w.type) for _ in range(columns)] for _ in range(rows)]
            here = w.place(b, builder.mul(k, b_stride))
            right = [w.load(here, ir.Constant(I64, v * count)) for v in range(columns)]
            found = []
            for r in range(rows):
                left = w.spread(builder.load(w.place(lines[r], k), typ=scalar(w.dtype)))
                found.append([w.fma(left, right[v], held[r][v]) for v in range(columns)])
            following = builder.add(k, ir.Constant(I64, 1))
            k.add_incoming(following, body)
            for r in range(rows):
                for v in range(columns):
                    held[r][v].add_incoming(sums[r][v], before)
                    held[r][v].add_incoming(found[r][v], body)
            builder.cbranch(builder.icmp_signed("<", following, depth), body, after)
            builder.position_at_end(after)
            for r in range(rows):
                line = w.place(out, builder.mul(places[r], out_stride))
                for v in range(columns):
                    w.store(found[r][v], line, ir.Constant(I64, v * count))
            return context.get_dummy_value()

        return (
            types.void(row, last, depth, a, a_stride, b, b_stride, c, c_stride, out, out_stride),
            write,
        )

    return tile


TILES = {columns: _tile(columns) for columns in ROWS}

_ONE, _TWO, _THREE, _FOUR = (TILES[k] for k in (1, 2, 3, 4))
_ROWS1, _ROWS2, _ROWS3, _ROWS4 = (ROWS[k] for k in (1, 2, 3, 4))


@kernel
def product(rows, depth, columns, a, a_stride, b, b_stride, c, c_stride, out, out_stride):
    """out = a b + c, of pointers: a [rows, depth], b [depth, columns], c and out [rows, columns],
    which may be the same.

    A stride is how far a row is from the one before it: zero repeats a row of c. Columns fill whole
    lanes. The sums are in the order of depth, whatever the rows.
    """
    wide = count(a)
    at = 0
    while at < columns:
        left = (columns - at) // wide
        here, start, there = moved(b, at), moved(c, at), moved(out, at)
        if left >= 4:
            for row in range(0, rows, _ROWS4):
                _FOUR(
                    row,
                    rows - 1,
                    depth,
                    a,
                    a_stride,
                    here,
                    b_stride,
                    start,
                    c_stride,
                    there,
                    out_stride,
                )
            at += 4 * wide
        elif left == 3:
            for row in range(0, rows, _ROWS3):
                _THREE(
                    row,
                    rows - 1,
                    depth,
                    a,
                    a_stride,
                    here,
                    b_stride,
                    start,
                    c_stride,
                    there,
                    out_stride,
                )
            at += 3 * wide
        elif left == 2:
            for row in range(0, rows, _ROWS2):
                _TWO(
                    row,
                    rows - 1,
                    depth,
                    a,
                    a_stride,
                    here,
                    b_stride,
                    start,
                    c_stride,
                    there,
                    out_stride,
                )
            at += 2 * wide
        else:
            for row in range(0, rows, _ROWS1):
                _ONE(
                    row,
                    rows - 1,
                    depth,
                    a,
                    a_stride,
                    here,
                    b_stride,
                    start,
                    c_stride,
                    there,
                    out_stride,
                )
            at += wide
