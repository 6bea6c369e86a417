"""Marching rays through the occupancy grid. Definition: samplers/occupancy.py, `Occupancy.march`.

Positions are rounded exactly as torch rounds them, so that both find the same samples.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from nerfpipe.kernels.numba.compile import exact_kernel, parallel_exact_kernel

SLACK = np.float32(1e-3)  # of a step: rounding must not carry a leap over a cell's face
ONE, TWO = np.float32(1), np.float32(2)
SLOWEST = np.float32(0.74)  # contraction moves a point at most 4/3 as far as it moved, along any axis


@exact_kernel
def point_at(origin, direction, s, linear):
    """Distance t of s along a ray, and the position there; contracted where `linear` is finite (see contraction)."""
    t = s if s <= linear else linear / (TWO - s / linear)
    x, y, z = origin[0] + t * direction[0], origin[1] + t * direction[1], origin[2] + t * direction[2]
    if linear < np.inf:
        m = max(ONE, max(abs(x), max(abs(y), abs(z))))
        shrink = (TWO - ONE / m) / m
        x, y, z = x * shrink, y * shrink, z * shrink
    return t, x, y, z


@exact_kernel
def distance_at(origin, direction, s, linear, low, inverse_cell, distance):
    """How many cells it is from the point at s to the nearest occupied one; outside the grid, from the nearest cell."""
    _, px, py, pz = point_at(origin, direction, s, linear)
    x = np.int64(np.floor((px - low[0]) * inverse_cell))
    y = np.int64(np.floor((py - low[1]) * inverse_cell))
    z = np.int64(np.floor((pz - low[2]) * inverse_cell))
    X, Y, Z = distance.shape
    return distance[min(max(x, 0), X - 1), min(max(y, 0), Y - 1), min(max(z, 0), Z - 1)]


@exact_kernel
def march_ray(origin, direction, near, far, shift, step, linear, low, inverse_cell, distance, k, out):
    """The next places s in occupied cells, from the k-th step on, until `out` is full.

    Returns how many, and the step to go on from. Where the nearest occupied cell is D cells away, along whichever axis
    is longest, no point within D - 1 cell widths can lie in one: the ray leaps that far. In a contracted scene it
    leaps less, and beyond `linear`, where steps grow, not at all.
    """
    found, steps_per_cell = 0, ONE / (inverse_cell * step)
    if linear < np.inf:
        steps_per_cell *= SLOWEST
    while found < len(out):
        s = near + (np.float32(k) + shift) * step
        if s >= far:
            break
        cells = distance_at(origin, direction, s, linear, low, inverse_cell, distance)
        if cells == 0:
            out[found] = s
            found += 1
            k += 1
        else:
            free = min(np.float32(cells - 1) * steps_per_cell, (linear - s) / step)
            k += max(1, np.int64(free - SLACK))
    return found, k


@parallel_exact_kernel
def march_rays(origins, directions, near, far, shift, step, linear, low, inverse_cell, distance, s, counts):
    """The places of each of R rays' samples, s [R, longest possible], and how many they are, counts [R]."""
    for r in prange(len(near)):
        counts[r], _ = march_ray(
            origins[r], directions[r], near[r], far[r], shift[r], step, linear, low, inverse_cell, distance, 0, s[r]
        )


@exact_kernel
def note(positions, density, low, inverse_cell, highest):
    """Raise every cell's highest density [X, Y, Z] to what was found in it, density [M] at positions [M, 3]."""
    X, Y, Z = highest.shape
    for m in range(len(density)):
        x = np.int64(np.floor((positions[m, 0] - low[0]) * inverse_cell))
        y = np.int64(np.floor((positions[m, 1] - low[1]) * inverse_cell))
        z = np.int64(np.floor((positions[m, 2] - low[2]) * inverse_cell))
        x, y, z = min(max(x, 0), X - 1), min(max(y, 0), Y - 1), min(max(z, 0), Z - 1)
        highest[x, y, z] = max(highest[x, y, z], density[m])


@parallel_exact_kernel
def pack(rows, origins, directions, step, linear, first, positions, along, t, delta, ray):
    """Samples from rows of places s, one ray's behind the other's: positions and directions [M, 3], the rest [M]."""
    for r in prange(len(first) - 1):
        for m in range(first[r], first[r + 1]):
            ray[m], delta[m] = r, step
            at = point_at(origins[r], directions[r], rows[r, m - first[r]], linear)
            t[m], positions[m, 0], positions[m, 1], positions[m, 2] = at
            for a in range(3):
                along[m, a] = directions[r, a]
