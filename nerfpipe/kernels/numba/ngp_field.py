"""The whole ngp field, forward and backward, over blocks of samples that stay in the cache.

Definition: fields/ngp.py, `NgpField.definition`. The five weights, all without bias, are
    density: [H, E] [16, H]        colour: [H, 32] [H, H] [4, H]   (the last row of the last one is unused)
A block's rows, top to bottom, are the layers' outputs; `parts` names them.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from nerfpipe.kernels.numba.compile import BLOCK, ROW, kernel, parallel_kernel
from nerfpipe.kernels.numba.dense import add_outer, linear, padded, relu, relu_gradient
from nerfpipe.kernels.numba.hash_encoding import encode_block
from nerfpipe.kernels.numba.spherical_harmonics import harmonics_block
from nerfpipe.ops.constants import COLOURS, GEOMETRY, LARGEST_RAW_DENSITY
from nerfpipe.ops.spherical_harmonics import COMPONENTS as HARMONICS

SHARES = 32  # parts of a batch whose weight gradients are summed apart: fixed, so that threads do not change the sum
LARGEST = np.float32(LARGEST_RAW_DENSITY)
ONE = np.float32(1)


@kernel
def new_block(encoded, hidden):
    """Memory for the activations of one block; `parts` names them."""
    return np.zeros((encoded + hidden + GEOMETRY + HARMONICS + hidden + hidden + COLOURS, ROW), np.float32)


@kernel
def parts(block, encoded, hidden):
    """Encoding, density hidden, geometry over harmonics, first and second colour hidden, raw colour."""
    a = encoded
    b = a + hidden
    c = b + GEOMETRY + HARMONICS
    d = c + hidden
    e = d + hidden
    return block[:a], block[a:b], block[b:c], block[c:d], block[d:e], block[e : e + COLOURS]


@kernel
def transpose_in(rows, block, count, columns):
    """Sample-major rows [count, E] into a feature-major block; columns behind the last sample become zero."""
    for s in range(count):
        for e in range(rows.shape[1]):
            block[e, s] = rows[s, e]
    block[:, count:columns] = 0


@kernel
def density_layers(encoding, hidden, joined, weights, columns):
    """Encoding -> geometry, the first rows of `joined`; row 0 is the raw density."""
    linear(weights[0], encoding, hidden, columns)
    relu(hidden, columns)
    linear(weights[1], hidden, joined, columns)


@kernel
def colour_layers(joined, first, second, raw, weights, columns):
    """Geometry and harmonics -> raw colour."""
    linear(weights[2], joined, first, columns)
    relu(first, columns)
    linear(weights[3], first, second, columns)
    relu(second, columns)
    linear(weights[4], second, raw, columns)


@kernel
def write_directions(directions, joined, columns):
    """Harmonics of the view directions of a block's samples, below the geometry."""
    harmonics_block(directions, joined[GEOMETRY:])
    joined[GEOMETRY:, len(directions) : columns] = 0


@kernel
def to_density(raw, scale):
    """exp, without overflow: fields/activations.py."""
    return np.exp(min(raw, LARGEST)) * scale


@kernel
def sigmoid(x):
    return ONE / (ONE + np.exp(-x))


@parallel_kernel
def forward(positions, directions, low, inverse_side, table, levels, weights, scale, encoding, density, colour):
    """Density [M] and colour [M, 3]; the encoding [M, E] is kept for the way back."""
    M, encoded, hidden = positions.shape[0], weights[0].shape[1], weights[0].shape[0]
    blocks = (M + BLOCK - 1) // BLOCK
    for share in prange(SHARES):
        block = new_block(encoded, hidden)
        x, h, joined, first, second, raw = parts(block, encoded, hidden)
        for b in range(share * blocks // SHARES, (share + 1) * blocks // SHARES):
            start, count = b * BLOCK, min(BLOCK, M - b * BLOCK)
            columns = padded(count)
            rows = encoding[start : start + count]
            encode_block(positions[start : start + count], low, inverse_side, table, levels, rows)
            transpose_in(rows, x, count, columns)
            density_layers(x, h, joined, weights, columns)
            write_directions(directions[start : start + count], joined, columns)
            colour_layers(joined, first, second, raw, weights, columns)
            for s in range(count):
                density[start + s] = to_density(joined[0, s], scale)
                for k in range(3):
                    colour[start + s, k] = sigmoid(raw[k, s])


@parallel_kernel
def forward_density(positions, low, inverse_side, table, levels, weights, scale, density):
    """Density [M] alone."""
    M, encoded, hidden = positions.shape[0], weights[0].shape[1], weights[0].shape[0]
    blocks = (M + BLOCK - 1) // BLOCK
    for share in prange(SHARES):
        block, rows = new_block(encoded, hidden), np.empty((BLOCK, encoded), np.float32)
        x, h, joined, _, _, _ = parts(block, encoded, hidden)
        for b in range(share * blocks // SHARES, (share + 1) * blocks // SHARES):
            start, count = b * BLOCK, min(BLOCK, M - b * BLOCK)
            columns = padded(count)
            encode_block(positions[start : start + count], low, inverse_side, table, levels, rows[:count])
            transpose_in(rows[:count], x, count, columns)
            density_layers(x, h, joined, weights, columns)
            for s in range(count):
                density[start + s] = to_density(joined[0, s], scale)


@kernel
def moved(density_gradient, colour_gradient):
    """The numbers of the samples that any gradient reaches, in order."""
    which, count = np.empty(len(density_gradient), np.int64), 0
    for m in range(len(density_gradient)):
        a, b, c = colour_gradient[m, 0], colour_gradient[m, 1], colour_gradient[m, 2]
        if density_gradient[m] != 0 or a != 0 or b != 0 or c != 0:
            which[count] = m
            count += 1
    return which[:count]


@parallel_kernel
def backward(
    which, directions, encoding, density, colour, density_gradient, colour_gradient, weights, transposed, sums,
    harmonics_gradient,
):  # fmt: skip
    """Gradients, from those of density [M] and colour [M, 3], for the samples `which` [V]:

    returns that of the encoding [V, E], and adds up that of all weights, one after the other, in sums [SHARES, .].
    Writes that of the directions' harmonics [M, HARMONICS], unless that array is empty.
    Activations are computed anew: that is faster than fetching them from memory.
    """
    V, encoded, hidden = len(which), weights[0].shape[1], weights[0].shape[0]
    encoding_gradient = np.empty((V, encoded), np.float32)
    blocks = (V + BLOCK - 1) // BLOCK
    for share in prange(SHARES):
        block, up = new_block(encoded, hidden), new_block(encoded, hidden)  # values, and gradients on the way up
        x, h, joined, first, second, raw = parts(block, encoded, hidden)
        gx, gh, gjoined, gfirst, gsecond, graw = parts(up, encoded, hidden)
        rows = np.empty((BLOCK, encoded), np.float32)
        w0, w1, w2, w3, w4 = split_weights(sums[share], encoded, hidden)
        for b in range(share * blocks // SHARES, (share + 1) * blocks // SHARES):
            start, count = b * BLOCK, min(BLOCK, V - b * BLOCK)
            columns = padded(count)
            for s in range(count):
                for e in range(encoded):
                    rows[s, e] = encoding[which[start + s], e]
            transpose_in(rows[:count], x, count, columns)
            density_layers(x, h, joined, weights, columns)
            write_directions(directions[which[start : start + count]], joined, columns)
            colour_layers(joined, first, second, raw, weights, columns)

            graw[:, :columns] = 0
            for s in range(count):
                m = which[start + s]
                for k in range(3):
                    c = colour[m, k]
                    graw[k, s] = colour_gradient[m, k] * c * (ONE - c)
            add_outer(graw, second, w4, columns)
            linear(transposed[4], graw, gsecond, columns)
            relu_gradient(second, gsecond, columns)
            add_outer(gsecond, first, w3, columns)
            linear(transposed[3], gsecond, gfirst, columns)
            relu_gradient(first, gfirst, columns)
            add_outer(gfirst, joined, w2, columns)
            linear(transposed[2], gfirst, gjoined, columns)
            for s in range(count):
                m = which[start + s]
                gjoined[0, s] += density_gradient[m] * density[m]
            if len(harmonics_gradient) > 0:
                for s in range(count):
                    for k in range(HARMONICS):
                        harmonics_gradient[which[start + s], k] = gjoined[GEOMETRY + k, s]
            ggeometry = gjoined[:GEOMETRY]
            add_outer(ggeometry, h, w1, columns)
            linear(transposed[1], ggeometry, gh, columns)
            relu_gradient(h, gh, columns)
            add_outer(gh, x, w0, columns)
            linear(transposed[0], gh, gx, columns)
            for s in range(count):
                for e in range(encoded):
                    encoding_gradient[start + s, e] = gx[e, s]
    return encoding_gradient


@kernel
def split_weights(flat, encoded, hidden):
    """The five weights that lie one after the other in `flat`, as views."""
    a = hidden * encoded
    b = a + GEOMETRY * hidden
    c = b + hidden * (GEOMETRY + HARMONICS)
    d = c + hidden * hidden
    return (
        flat[:a].reshape(hidden, encoded),
        flat[a:b].reshape(GEOMETRY, hidden),
        flat[b:c].reshape(hidden, GEOMETRY + HARMONICS),
        flat[c:d].reshape(hidden, hidden),
        flat[d : d + COLOURS * hidden].reshape(COLOURS, hidden),
    )
