"""The volume rendering equation over packed samples, both ways. Definition: rendering/volume_rendering.py."""

from __future__ import annotations

import numpy as np
from numba import prange

from nerfpipe.kernels.numba.compile import kernel, parallel_kernel
from nerfpipe.ops.constants import EMPTY as EMPTY_OPACITY

ZERO, ONE = np.float32(0), np.float32(1)
THIN = np.float32(0.1)  # from here on exp alone is exact enough, and twice as fast
EMPTY = np.float32(EMPTY_OPACITY)


@kernel
def opacity_of(thickness):
    """1 - exp(-thickness), exact for thin segments too."""
    return -np.expm1(-thickness) if thickness < THIN else ONE - np.exp(-thickness)


@parallel_kernel
def forward(first, t, delta, density, colour, background, stop, seen, opacity, depth, weights):
    """seen [R, 3], opacity [R], depth [R] and weights [M] of R rays; behind T < stop weights are zero."""
    for r in prange(len(opacity)):
        T, O, D = ONE, ZERO, ZERO  # noqa: E741
        red, green, blue = ZERO, ZERO, ZERO
        for m in range(first[r], first[r + 1]):
            if stop > T:
                weights[m] = ZERO
                continue
            alpha = opacity_of(density[m] * delta[m])
            w = T * alpha
            weights[m] = w
            T *= ONE - alpha
            O += w  # noqa: E741
            D += w * t[m]
            red += w * colour[m, 0]
            green += w * colour[m, 1]
            blue += w * colour[m, 2]
        opacity[r] = O
        depth[r] = D / O if O > EMPTY else ZERO
        seen[r, 0] = red + (ONE - O) * background[r, 0]
        seen[r, 1] = green + (ONE - O) * background[r, 1]
        seen[r, 2] = blue + (ONE - O) * background[r, 2]


@parallel_kernel
def backward(
    first,
    t,
    delta,
    density,
    colour,
    background,
    stop,
    opacity,
    depth,
    weights,
    seen_gradient,
    opacity_gradient,
    depth_gradient,
    weights_gradient,
    density_gradient,
    colour_gradient,
):
    """Gradients of density [M] and colour [M, 3] from those of everything that `forward` gives.

    With q_i the derivative by w_i:  d/d tau_i = q_i T_(i+1) - sum over j > i of q_j w_j.
    """
    for r in prange(len(opacity)):
        g0, g1, g2 = seen_gradient[r, 0], seen_gradient[r, 1], seen_gradient[r, 2]
        over = opacity_gradient[r] - (g0 * background[r, 0] + g1 * background[r, 1] + g2 * background[r, 2])
        along = depth_gradient[r] / opacity[r] if opacity[r] > EMPTY else ZERO
        behind = ZERO  # sum of q_j w_j over the samples not yet passed
        for m in range(first[r], first[r + 1]):
            q = over + along * (t[m] - depth[r]) + weights_gradient[m]
            q += g0 * colour[m, 0] + g1 * colour[m, 1] + g2 * colour[m, 2]
            density_gradient[m] = q
            behind += q * weights[m]
        T = ONE
        for m in range(first[r], first[r + 1]):
            if stop > T:
                density_gradient[m] = ZERO
                colour_gradient[m, 0] = colour_gradient[m, 1] = colour_gradient[m, 2] = ZERO
                continue
            q, w = density_gradient[m], weights[m]
            T *= ONE - opacity_of(density[m] * delta[m])
            behind -= q * w
            density_gradient[m] = (q * T - behind) * delta[m]
            colour_gradient[m, 0], colour_gradient[m, 1], colour_gradient[m, 2] = w * g0, w * g1, w * g2
