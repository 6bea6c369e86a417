"""Register tiles: the innermost loops of a matrix product, written in LLVM's vector types.

A compiler left to itself spills the sums of a small matrix product to memory after every few terms. A tile names its
sums, ROWS x COLUMNS vectors of LANES floats, and keeps them in registers from the first term to the last: four times
faster (docs/benchmarks.md). `dense.py` puts tiles together; its definition is a line of torch.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nerfpipe.kernels.numba.compile import COLUMNS, LANES

ROWS = 4  # of the output, per tile
FLOAT, INDEX = ir.FloatType(), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)
UNALIGNED = 4  # bytes: rows begin anywhere


@intrinsic
def product_tile(typing, weight, j, x, out, s, inner, row):
    """out[j : j + ROWS, s : s + COLUMNS·LANES] = weight[j : j + ROWS] @ x[:, s : s + COLUMNS·LANES].

    weight is [., inner], x is [inner, row], out is [., row]; float32, C-contiguous.
    """
    signature = types.void(weight, types.int64, x, out, *(types.int64,) * 3)

    def generate(context, builder, sig, args):
        weights, inputs, outputs = (_pointer(context, builder, sig.args[n], args[n]) for n in (0, 2, 3))
        j, s, inner, row = args[1], args[4], args[5], args[6]
        sums = [[_sum(builder) for _ in range(COLUMNS)] for _ in range(ROWS)]
        weight_rows = [_at(builder, weights, j, n, inner) for n in range(ROWS)]
        column = builder.gep(inputs, [s])
        with cgutils.for_range(builder, inner) as loop:
            start = builder.gep(column, [builder.mul(loop.index, row)])
            values = [_load(builder, builder.gep(start, [INDEX(LANES * k)])) for k in range(COLUMNS)]
            for n in range(ROWS):
                factor = _broadcast(builder, builder.load(builder.gep(weight_rows[n], [loop.index])))
                for k in range(COLUMNS):
                    _add_product(builder, sums[n][k], factor, values[k])
        for n in range(ROWS):
            start = builder.gep(_at(builder, outputs, j, n, row), [s])
            for k in range(COLUMNS):
                _store(builder, builder.load(sums[n][k]), builder.gep(start, [INDEX(LANES * k)]))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def outer_tile(typing, gradient, j, x, i, weight_gradient, inner, samples, row):
    """weight_gradient[j : j + ROWS, i : i + ROWS] += gradient[j : j + ROWS] @ x[i : i + ROWS]^T.

    Sums run over the first `samples` of a row, a multiple of LANES. weight_gradient is [., inner], gradient and x are
    [., row]; float32, C-contiguous.
    """
    signature = types.void(gradient, types.int64, x, types.int64, weight_gradient, *(types.int64,) * 3)

    def generate(context, builder, sig, args):
        left, right, target = (_pointer(context, builder, sig.args[n], args[n]) for n in (0, 2, 4))
        j, i, inner, samples, row = args[1], args[3], args[5], args[6], args[7]
        sums = [[_sum(builder) for _ in range(ROWS)] for _ in range(ROWS)]
        left_rows = [_at(builder, left, j, n, row) for n in range(ROWS)]
        right_rows = [_at(builder, right, i, n, row) for n in range(ROWS)]
        with cgutils.for_range(builder, builder.sdiv(samples, INDEX(LANES))) as loop:
            at = builder.mul(loop.index, INDEX(LANES))
            a = [_load(builder, builder.gep(start, [at])) for start in left_rows]
            b = [_load(builder, builder.gep(start, [at])) for start in right_rows]
            for n in range(ROWS):
                for k in range(ROWS):
                    _add_product(builder, sums[n][k], a[n], b[k])
        for n in range(ROWS):
            start = builder.gep(_at(builder, target, j, n, inner), [i])
            for k in range(ROWS):
                pointer = builder.gep(start, [INDEX(k)])
                total = _across(builder, builder.load(sums[n][k]))
                builder.store(builder.fadd(builder.load(pointer), total), pointer)
        return context.get_dummy_value()

    return signature, generate


def _pointer(context, builder, kind, value):
    return context.make_array(kind)(context, builder, value).data


def _at(builder, base, first, n, row):
    """A pointer to the beginning of row first + n."""
    return builder.gep(base, [builder.mul(builder.add(first, INDEX(n)), row)])


def _sum(builder):
    """A vector that lives in a register: LLVM finds that its address is never taken."""
    pointer = cgutils.alloca_once(builder, VECTOR)
    builder.store(ZERO, pointer)
    return pointer


def _load(builder, pointer):
    value = builder.load(builder.bitcast(pointer, VECTOR.as_pointer()))
    value.align = UNALIGNED
    return value


def _store(builder, value, pointer):
    builder.store(value, builder.bitcast(pointer, VECTOR.as_pointer())).align = UNALIGNED


def _broadcast(builder, value):
    nothing, lane = ir.Constant(VECTOR, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(nothing, value, lane(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(lane, LANES), [0] * LANES))


def _add_product(builder, total, a, b):
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
    builder.store(builder.call(function, [a, b, builder.load(total)]), total)


def _across(builder, vector):
    """The sum of a vector's lanes."""
    kind = ir.FunctionType(FLOAT, [FLOAT, VECTOR])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
    return builder.call(function, [FLOAT(0.0), vector], fastmath=("reassoc",))
