"""Real spherical harmonics of a block of directions. Definition: ops/spherical_harmonics.py."""

from __future__ import annotations

import numpy as np

from nerfpipe.kernels.numba.compile import kernel
from nerfpipe.ops.spherical_harmonics import CONSTANTS

C = tuple(np.float32(c) for c in CONSTANTS)
ONE, THREE, FIVE = np.float32(1), np.float32(3), np.float32(5)


@kernel
def harmonics_block(directions, out):
    """Degrees 0 to 3 of unit directions [S, 3]: out [16, S], feature-major."""
    for s in range(len(directions)):
        xs, ys, zs = directions[s, 0], directions[s, 1], directions[s, 2]
        xx, yy, zz = xs * xs, ys * ys, zs * zs
        out[0, s] = C[0]
        out[1, s] = -C[1] * ys
        out[2, s] = C[1] * zs
        out[3, s] = -C[1] * xs
        out[4, s] = C[2] * xs * ys
        out[5, s] = -C[2] * ys * zs
        out[6, s] = C[3] * (THREE * zz - ONE)
        out[7, s] = -C[2] * xs * zs
        out[8, s] = C[4] * (xx - yy)
        out[9, s] = -C[5] * ys * (THREE * xx - yy)
        out[10, s] = C[6] * xs * ys * zs
        out[11, s] = -C[7] * ys * (FIVE * zz - ONE)
        out[12, s] = C[8] * zs * (FIVE * zz - THREE)
        out[13, s] = -C[7] * xs * (FIVE * zz - ONE)
        out[14, s] = C[9] * zs * (xx - yy)
        out[15, s] = -C[5] * xs * (xx - THREE * yy)
