"""Spherical harmonics: the view direction as smooth functions on the sphere, slow ones first."""

from __future__ import annotations

from math import pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

COMPONENTS = 16  # degrees 0, 1, 2, 3: 1 + 3 + 5 + 7

# Real spherical harmonics with the Condon-Shortley phase, orthonormal on the unit sphere (Sloan 2008, appendix A2).
CONSTANTS = (
    0.5 * sqrt(1 / pi),
    0.5 * sqrt(3 / pi),
    0.5 * sqrt(15 / pi),
    0.25 * sqrt(5 / pi),
    0.25 * sqrt(15 / pi),
    0.25 * sqrt(35 / (2 * pi)),
    0.5 * sqrt(105 / pi),
    0.25 * sqrt(21 / (2 * pi)),
    0.25 * sqrt(7 / pi),
    0.25 * sqrt(105 / pi),
)


def spherical_harmonics(directions: Float[Tensor, "M 3"]) -> Float[Tensor, "M 16"]:
    """Y of unit directions [M, 3]: [M, 16], by (degree, order): (0, 0), (1, -1), (1, 0), (1, 1), (2, -2) …"""
    x, y, z = directions.unbind(dim=1)  # [M] each
    xx, yy, zz, c = x * x, y * y, z * z, CONSTANTS
    return torch.stack(
        [
            torch.full_like(x, c[0]),
            -c[1] * y,
            c[1] * z,
            -c[1] * x,
            c[2] * x * y,
            -c[2] * y * z,
            c[3] * (3 * zz - 1),
            -c[2] * x * z,
            c[4] * (xx - yy),
            -c[5] * y * (3 * xx - yy),
            c[6] * x * y * z,
            -c[7] * y * (5 * zz - 1),
            c[8] * z * (5 * zz - 3),
            -c[7] * x * (5 * zz - 1),
            c[9] * z * (xx - yy),
            -c[5] * x * (xx - 3 * yy),
        ],
        dim=1,
    )  # [M, 16]
