"""Drawing samples from the weights of a ray's steps. Definition: rendering/resampling.py, `definition`."""

from __future__ import annotations

import numpy as np
from numba import prange

from nerfpipe.kernels.numba.compile import kernel, parallel_kernel
from nerfpipe.kernels.numba.composite import EMPTY, opacity_of
from nerfpipe.ops.constants import EVERYWHERE as EVERYWHERE_SHARE

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
EVERYWHERE = np.float32(EVERYWHERE_SHARE)


@kernel
def weigh(delta, density, w):
    """Write the weights w [K] of a ray's steps, widened and with a share of all; returns their sum."""
    K, T = len(w), ONE
    for k in range(K):
        alpha = opacity_of(density[k] * delta[k])
        w[k] = T * alpha
        T *= ONE - alpha
    before, total = w[0], ZERO
    for k in range(K):
        here, after = w[k], w[min(k + 1, K - 1)]
        w[k] = HALF * (max(before, here) + max(here, after))
        before = here
        total += w[k]
    even = EVERYWHERE * max(total, EMPTY) / np.float32(K)
    for k in range(K):
        w[k] += even
    return total + even * np.float32(K)


@parallel_kernel
def resample(s, delta, density, counts, within, places, lengths):
    """Places and segment lengths [R, S] by the inverse of the distribution of each ray's weights."""
    R, S = places.shape
    for r in prange(R):
        K = counts[r]
        if K == 0:
            places[r] = ZERO
            lengths[r] = ZERO
            continue
        w = np.empty(K, np.float32)
        total = weigh(delta[r, :K], density[r, :K], w)
        k, below, passed, last = 0, ZERO, ZERO, ZERO  # the step; weight and length before it; where the segment began
        for n in range(S):
            u = (np.float32(n) + within[r]) / np.float32(S) * total
            while k < K - 1 and below + w[k] < u:
                below, passed, k = below + w[k], passed + delta[r, k], k + 1
            share = min(max((u - below) / w[k], ZERO), ONE)
            places[r, n] = s[r, k] + (share - HALF) * delta[r, k]
            u = np.float32(n + 1) / np.float32(S) * total
            while k < K - 1 and below + w[k] < u:
                below, passed, k = below + w[k], passed + delta[r, k], k + 1
            end = passed + min(max((u - below) / w[k], ZERO), ONE) * delta[r, k]
            if n == S - 1:
                while k < K:
                    passed, k = passed + delta[r, k], k + 1
                end = passed
            lengths[r, n] = end - last
            last = end
