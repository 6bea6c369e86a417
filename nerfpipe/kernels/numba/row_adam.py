"""Adam that skips rows without a gradient. Definition: training/row_adam.py, `step_rows`."""

from __future__ import annotations

import numpy as np
from numba import prange

from nerfpipe.kernels.numba.compile import parallel_kernel

SHARES = 64
ONE, ZERO = np.float32(1), np.float32(0)


@parallel_kernel
def step_rows(weight, gradient, mean, square, rate, beta1, beta2, epsilon, inverse_correction):
    """One step on weight [N, F]; the gradient of the rows it moves is set to zero."""
    N, F = weight.shape
    for share in prange(SHARES):
        for n in range(share * N // SHARES, (share + 1) * N // SHARES):
            moved = False
            for f in range(F):
                moved |= gradient[n, f] != ZERO
            if not moved:
                continue
            for f in range(F):
                g = gradient[n, f]
                m = beta1 * mean[n, f] + (ONE - beta1) * g
                v = beta2 * square[n, f] + (ONE - beta2) * g * g
                weight[n, f] -= rate * m / (np.sqrt(v * inverse_correction) + epsilon)
                mean[n, f], square[n, f], gradient[n, f] = m, v, ZERO
