"""Rendering without a gradient: march, field and compositing in one pass, so that nothing is kept but pixels.

Definition: rendering/render_rays.py, `render_rays`. A task holds SLOTS rays at a time and computes the next few samples
of each, a block in all; a ray that has become opaque, or has left the scene, is replaced by the next one. Behind an
opaque surface no more than those few samples are computed.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from nerfpipe.kernels.numba.compile import BLOCK, kernel, parallel_kernel
from nerfpipe.kernels.numba.composite import EMPTY, opacity_of
from nerfpipe.kernels.numba.dense import padded
from nerfpipe.kernels.numba.hash_encoding import encode_block
from nerfpipe.kernels.numba.march import march_ray, point_at
from nerfpipe.kernels.numba.ngp_field import (
    colour_layers,
    density_layers,
    new_block,
    parts,
    sigmoid,
    to_density,
    transpose_in,
    write_directions,
)

AHEAD = 4  # samples of a ray that are computed at once
SLOTS = BLOCK // AHEAD
TASKS, LEAP = 64, 37  # tasks are dealt out in leaps, so that each thread gets a bit of every part of the picture
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@kernel
def finish(r, sums, background, seen, opacity, depth):
    """Write ray r's pixel from its sums (red, green, blue, opacity, opacity · distance)."""
    for k in range(3):
        seen[r, k] = sums[k] + (ONE - sums[3]) * background[k]
    opacity[r] = sums[3]
    depth[r] = sums[4] / sums[3] if sums[3] > EMPTY else ZERO


@parallel_kernel
def render(
    origins, directions, near, far, background, step, linear, grid_low, inverse_cell, distance,
    low, inverse_side, table, levels, weights, scale, stop, seen, opacity, depth,
):  # fmt: skip
    """Pixels of R rays: seen [R, 3] over background [3], opacity [R], depth [R]."""
    R, encoded, hidden = len(near), weights[0].shape[1], weights[0].shape[0]
    for turn in prange(TASKS):
        task = turn * LEAP % TASKS
        coming, end = task * R // TASKS, (task + 1) * R // TASKS
        block, rows = new_block(encoded, hidden), np.empty((BLOCK, encoded), np.float32)
        x, h, joined, first, second, raw = parts(block, encoded, hidden)
        positions, along = np.empty((BLOCK, 3), np.float32), np.empty((BLOCK, 3), np.float32)
        ray, coming_step, found = np.full(SLOTS, -1), np.zeros(SLOTS, np.int64), np.zeros(SLOTS, np.int64)
        t, T, sums = np.empty((SLOTS, AHEAD), np.float32), np.empty(SLOTS, np.float32), np.empty((SLOTS, 5), np.float32)
        while True:
            count = 0
            for slot in range(SLOTS):
                found[slot] = 0
                while ray[slot] >= 0 or coming < end:
                    if ray[slot] < 0:
                        ray[slot], coming_step[slot], T[slot] = coming, 0, ONE
                        sums[slot] = ZERO
                        coming += 1
                    r = ray[slot]
                    found[slot], coming_step[slot] = march_ray(
                        origins[r], directions[r], near[r], far[r], HALF, step, linear,
                        grid_low, inverse_cell, distance, coming_step[slot], t[slot],
                    )  # fmt: skip
                    if found[slot] > 0:
                        break
                    finish(r, sums[slot], background, seen, opacity, depth)
                    ray[slot] = -1
                for n in range(found[slot]):
                    at = point_at(origins[ray[slot]], directions[ray[slot]], t[slot, n], linear)
                    t[slot, n], positions[count, 0], positions[count, 1], positions[count, 2] = at
                    for a in range(3):
                        along[count, a] = directions[ray[slot], a]
                    count += 1
            if count == 0:
                break
            columns = padded(count)
            encode_block(positions[:count], low, inverse_side, table, levels, rows[:count])
            transpose_in(rows[:count], x, count, columns)
            density_layers(x, h, joined, weights, columns)
            write_directions(along[:count], joined, columns)
            colour_layers(joined, first, second, raw, weights, columns)
            m = 0
            for slot in range(SLOTS):
                for n in range(found[slot]):
                    if T[slot] >= stop:
                        alpha = opacity_of(to_density(joined[0, m], scale) * step)
                        w = T[slot] * alpha
                        for k in range(3):
                            sums[slot, k] += w * sigmoid(raw[k, m])
                        sums[slot, 3] += w
                        sums[slot, 4] += w * t[slot, n]
                        T[slot] *= ONE - alpha
                    m += 1
                if found[slot] > 0 and T[slot] < stop:
                    finish(ray[slot], sums[slot], background, seen, opacity, depth)
                    ray[slot] = -1
