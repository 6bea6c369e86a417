"""Multiresolution hash encoding, forward and backward. Definition: fields/hash_encoding.py.

A row of the table is four floats, one vector. Levels are visited one after the other for a block of samples, so that a
level's rows stay in the cache.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from nerfpipe.kernels.numba.compile import kernel, parallel_kernel
from nerfpipe.kernels.numba.row_vectors import gather_rows, scatter_rows
from nerfpipe.ops.constants import FEATURES, PRIMES

PRIME_Y, PRIME_Z = np.uint32(PRIMES[1]), np.uint32(PRIMES[2])  # that of x is 1
ZERO, ONE = np.float32(0), np.float32(1)
RESOLUTION, OFFSET, SIZE, DENSE = 0, 1, 2, 3  # columns of `levels` [L, 4] int64


@kernel
def lattice_cell(positions, n, low, inverse_side, resolution):
    """The cell that position n lies in, and where in it: ix, iy, iz, fx, fy, fz. Outside the cube: on its face."""
    last, side = np.float32(resolution - 1), np.float32(resolution)
    px = min(max((positions[n, 0] - low[0]) * inverse_side, ZERO), ONE) * side
    py = min(max((positions[n, 1] - low[1]) * inverse_side, ZERO), ONE) * side
    pz = min(max((positions[n, 2] - low[2]) * inverse_side, ZERO), ONE) * side
    ix, iy, iz = np.uint32(min(px, last)), np.uint32(min(py, last)), np.uint32(min(pz, last))
    return ix, iy, iz, px - np.float32(ix), py - np.float32(iy), pz - np.float32(iz)


@kernel
def corner_weights(fx, fy, fz):
    """Trilinear weights of a cell's corners: x varies fastest, then y."""
    gx, gy, gz = ONE - fx, ONE - fy, ONE - fz
    a, b, c, d = gy * gz, fy * gz, gy * fz, fy * fz
    return gx * a, fx * a, gx * b, fx * b, gx * c, fx * c, gx * d, fx * d


@kernel
def dense_rows(ix, iy, iz, resolution):
    """Rows of a cell's corners where every lattice point has its own."""
    n = np.uint32(resolution + 1)
    p = np.uint32(ix + n * (iy + n * iz))
    q, r, s = np.uint32(p + n), np.uint32(p + n * n), np.uint32(p + n * n + n)
    one = np.uint32(1)
    return p, np.uint32(p + one), q, np.uint32(q + one), r, np.uint32(r + one), s, np.uint32(s + one)


@kernel
def hashed_rows(ix, iy, iz, mask):
    """Rows of a cell's corners by the hash."""
    y0, z0 = np.uint32(iy * PRIME_Y), np.uint32(iz * PRIME_Z)
    y1, z1 = np.uint32(y0 + PRIME_Y), np.uint32(z0 + PRIME_Z)
    p, q, r, s, jx = y0 ^ z0, y1 ^ z0, y0 ^ z1, y1 ^ z1, np.uint32(ix + 1)
    return (
        np.uint32((p ^ ix) & mask),
        np.uint32((p ^ jx) & mask),
        np.uint32((q ^ ix) & mask),
        np.uint32((q ^ jx) & mask),
        np.uint32((r ^ ix) & mask),
        np.uint32((r ^ jx) & mask),
        np.uint32((s ^ ix) & mask),
        np.uint32((s ^ jx) & mask),
    )


@kernel
def encode_block(positions, low, inverse_side, table, levels, out):
    """Features of positions [S, 3], sample-major: out [S, L·FEATURES]."""
    width = out.shape[1]
    for n in range(levels.shape[0]):
        resolution, offset, size = levels[n, RESOLUTION], levels[n, OFFSET], levels[n, SIZE]
        rows, mask = table[offset : offset + size], np.uint32(size - 1)
        if levels[n, DENSE]:
            for s in range(len(positions)):
                ix, iy, iz, fx, fy, fz = lattice_cell(positions, s, low, inverse_side, resolution)
                corners = dense_rows(ix, iy, iz, resolution)
                gather_rows(rows, corners, corner_weights(fx, fy, fz), out, s * width + n * FEATURES)
        else:
            for s in range(len(positions)):
                ix, iy, iz, fx, fy, fz = lattice_cell(positions, s, low, inverse_side, resolution)
                corners = hashed_rows(ix, iy, iz, mask)
                gather_rows(rows, corners, corner_weights(fx, fy, fz), out, s * width + n * FEATURES)


@kernel
def add_level_gradient(positions, which, gradient, low, inverse_side, levels, n, rows):
    """Add to the rows' gradient [SIZE, FEATURES] of level n what samples `which` [V] pass back, [V, L·FEATURES]."""
    width = gradient.shape[1]
    resolution, mask = levels[n, RESOLUTION], np.uint32(levels[n, SIZE] - 1)
    if levels[n, DENSE]:
        for v in range(len(which)):
            ix, iy, iz, fx, fy, fz = lattice_cell(positions, which[v], low, inverse_side, resolution)
            corners = dense_rows(ix, iy, iz, resolution)
            scatter_rows(rows, corners, corner_weights(fx, fy, fz), gradient, v * width + n * FEATURES)
    else:
        for v in range(len(which)):
            ix, iy, iz, fx, fy, fz = lattice_cell(positions, which[v], low, inverse_side, resolution)
            corners = hashed_rows(ix, iy, iz, mask)
            scatter_rows(rows, corners, corner_weights(fx, fy, fz), gradient, v * width + n * FEATURES)


@parallel_kernel
def add_table_gradient(positions, which, gradient, low, inverse_side, levels, table_gradient):
    """Add the gradient of the whole table [rows, FEATURES], in an order that no number of threads changes.

    A level belongs to one thread: no two write to the same row. Fine levels cost most, so a thread's share of the
    levels is taken from both ends.
    """
    L = levels.shape[0]
    for turn in prange(L):
        n = turn // 2 if turn % 2 == 0 else L - 1 - turn // 2
        rows = table_gradient[levels[n, OFFSET] : levels[n, OFFSET] + levels[n, SIZE]]
        add_level_gradient(positions, which, gradient, low, inverse_side, levels, n, rows)


@parallel_kernel
def position_gradient(positions, which, gradient, low, inverse_side, table, levels, out):
    """The gradient of positions, out [M, 3], from that of the features of samples `which` [V], [V, L·FEATURES].

    Along an axis, the trilinear mean changes by the difference between the far and the near face of the cell. It does
    not change outside the cube.
    """
    for v in prange(len(which)):
        m = which[v]
        for n in range(levels.shape[0]):
            resolution, offset, size = levels[n, RESOLUTION], levels[n, OFFSET], levels[n, SIZE]
            ix, iy, iz, fx, fy, fz = lattice_cell(positions, m, low, inverse_side, resolution)
            if levels[n, DENSE]:
                corners = dense_rows(ix, iy, iz, resolution)
            else:
                corners = hashed_rows(ix, iy, iz, np.uint32(size - 1))
            gx, gy, gz = ONE - fx, ONE - fy, ONE - fz
            of_x = (-gy * gz, gy * gz, -fy * gz, fy * gz, -gy * fz, gy * fz, -fy * fz, fy * fz)
            of_y = (-gx * gz, -fx * gz, gx * gz, fx * gz, -gx * fz, -fx * fz, gx * fz, fx * fz)
            of_z = (-gx * gy, -fx * gy, -gx * fy, -fx * fy, gx * gy, fx * gy, gx * fy, fx * fy)
            scale = np.float32(resolution) * inverse_side
            for corner in range(8):
                up = ZERO
                for f in range(FEATURES):
                    up += table[offset + np.int64(corners[corner]), f] * gradient[v, n * FEATURES + f]
                out[m, 0] += of_x[corner] * up * scale
                out[m, 1] += of_y[corner] * up * scale
                out[m, 2] += of_z[corner] * up * scale
        for a in range(3):
            unit = (positions[m, a] - low[a]) * inverse_side
            if unit < ZERO or unit > ONE:
                out[m, a] = ZERO
