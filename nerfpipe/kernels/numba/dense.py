"""Matrix products over a block of samples: the layers of a small MLP.

Feature-major: a block x [I, ROW] holds one feature of all samples in a row, so that vectors run over samples. I and J
are multiples of tiles.ROWS; columns from a block's last sample up to `padded(samples)` are computed too, and are zero
in gradients.
"""

from __future__ import annotations

from nerfpipe.kernels.numba.compile import COLUMNS, LANES, kernel
from nerfpipe.kernels.numba.tiles import ROWS, outer_tile, product_tile

TILE = COLUMNS * LANES  # samples


@kernel
def padded(samples):
    """The number of columns that tiles touch."""
    return (samples + TILE - 1) // TILE * TILE


@kernel
def linear(weight, x, out, columns):
    """out [J, :columns] = weight [J, I] @ x [I, :columns]."""
    J, inner = weight.shape
    for s in range(0, columns, TILE):
        for j in range(0, J, ROWS):
            product_tile(weight, j, x, out, s, inner, x.shape[1])


@kernel
def add_outer(gradient, x, weight_gradient, columns):
    """weight_gradient [J, I] += gradient [J, :columns] @ x [I, :columns]^T."""
    J, inner = weight_gradient.shape
    for j in range(0, J, ROWS):
        for i in range(0, inner, ROWS):
            outer_tile(gradient, j, x, i, weight_gradient, inner, columns, x.shape[1])


@kernel
def relu(x, columns):
    """Negative values become zero, in place."""
    for i in range(x.shape[0]):
        row = x[i]
        zero = row[0] * 0
        for s in range(columns):
            row[s] = row[s] if row[s] > 0 else zero


@kernel
def relu_gradient(output, gradient, columns):
    """In place: no gradient passes where the ReLU's output was zero."""
    for i in range(output.shape[0]):
        o, g = output[i], gradient[i]
        zero = g[0] * 0
        for s in range(columns):
            g[s] = g[s] if o[s] > 0 else zero
