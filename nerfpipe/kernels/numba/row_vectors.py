"""Weighted rows of four floats, each one vector: the innermost operations of the hash grid, in LLVM's vector types.

Written as loops over four numbers they take nearly twice as long (docs/benchmarks.md).
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nerfpipe.ops.constants import FEATURES

FLOAT, LANE, INDEX = ir.FloatType(), ir.IntType(32), ir.IntType(64)
ROW = ir.VectorType(FLOAT, FEATURES)
UNALIGNED = 4  # bytes: numpy promises no more


@intrinsic
def gather_rows(typing, table, rows, weights, out, offset):
    """The four floats of `out` from `offset` on = sum over n of weights[n] · table[rows[n]].

    rows and weights are tuples of 8; offset counts in floats from the beginning of `out`.
    """
    signature = types.void(table, rows, weights, out, types.int64)

    def generate(context, builder, sig, args):
        table, out = (_pointer(context, builder, sig.args[n], args[n]) for n in (0, 3))
        total = ir.Constant(ROW, [0.0] * FEATURES)
        for number, weight in _pairs(builder, args[1], args[2]):
            row = _load(builder, _row(builder, table, number))
            total = _product_plus(builder, row, _broadcast(builder, weight), total)
        _store(builder, total, builder.gep(out, [args[4]]))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def scatter_rows(typing, table, rows, weights, gradient, offset):
    """table[rows[n]] += weights[n] · the four floats of `gradient` from `offset` on, for the 8 n in order."""
    signature = types.void(table, rows, weights, gradient, types.int64)

    def generate(context, builder, sig, args):
        table, gradient = (_pointer(context, builder, sig.args[n], args[n]) for n in (0, 3))
        given = _load(builder, builder.gep(gradient, [args[4]]))
        for number, weight in _pairs(builder, args[1], args[2]):
            row = _row(builder, table, number)
            _store(builder, _product_plus(builder, given, _broadcast(builder, weight), _load(builder, row)), row)
        return context.get_dummy_value()

    return signature, generate


def _pointer(context, builder, kind, value):
    return context.make_array(kind)(context, builder, value).data


def _pairs(builder, rows, weights):
    return zip(cgutils.unpack_tuple(builder, rows), cgutils.unpack_tuple(builder, weights), strict=True)


def _row(builder, table, number):
    return builder.gep(table, [builder.mul(builder.zext(number, INDEX), INDEX(FEATURES))])


def _load(builder, pointer):
    value = builder.load(builder.bitcast(pointer, ROW.as_pointer()))
    value.align = UNALIGNED
    return value


def _store(builder, value, pointer):
    builder.store(value, builder.bitcast(pointer, ROW.as_pointer())).align = UNALIGNED


def _broadcast(builder, value):
    nothing = ir.Constant(ROW, ir.Undefined)
    first = builder.insert_element(nothing, value, LANE(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(LANE, FEATURES), [0] * FEATURES))


def _product_plus(builder, a, b, c):
    kind = ir.FunctionType(ROW, [ROW] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v4f32"), [a, b, c])
