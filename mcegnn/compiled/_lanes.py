"""The type of lanes, as many numbers as a register of the machine holds, and what writes LLVM's
instructions for them."""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import models, register_model

from mcegnn.compiled._registers import BYTES, WIDE


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
