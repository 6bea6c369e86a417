"""Compile every kernel now, by calls that are as small as can be."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nerfpipe.kernels.numba import bindings
from nerfpipe.ops.constants import COLOURS, FEATURES, GEOMETRY
from nerfpipe.ops.spherical_harmonics import COMPONENTS as HARMONICS

SIDE, WIDTH = 2.0, 4  # of the cube; of the hidden layers
LEVELS = [[2, 0, 27, 1], [8, 27, 64, 0]]  # resolution, offset, rows, dense: one level dense, one hashed
STEP = 0.25


def compile_all() -> None:
    """Run all kernels once on a few rays; what is compiled already is only loaded."""
    rays, ends = _rays()
    grid = (torch.full((3,), -1.0), 1.0, torch.zeros(2, 2, 2, dtype=torch.uint8))
    longest = math.ceil(SIDE * 2 / STEP) + 1
    spacing = (STEP, math.inf)
    positions, directions, t, delta, _, offsets = bindings.march(rays, (*ends, torch.zeros(4)), spacing, grid, longest)
    field = (torch.zeros(91, FEATURES), *_weights(), torch.full((3,), -1.0), torch.tensor(LEVELS), SIDE)
    density, colour, encoding = bindings.ngp_field(positions, directions, field)
    inputs = (offsets, t, delta, density, colour, torch.zeros(4, 3), 0.01, longest)
    seen, opacity, depth, shares = bindings.composite(*inputs)
    up = [torch.ones_like(output) for output in (seen, opacity, depth, shares)]
    gradients = bindings.composite_backward(inputs, (opacity, depth, shares), up)
    outputs = [density, colour, encoding]
    bindings.ngp_field_backward(positions, directions, field, outputs, list(gradients), of_inputs=True)
    bindings.ngp_density(positions, field)
    steps = torch.ones(4, 2)
    bindings.resample(steps, steps, steps, torch.tensor([0, 1, 2, 2]), torch.zeros(4), 3)
    bindings.observe(positions, density, grid[0], grid[1], torch.zeros(2, 2, 2))
    weight, gradient, mean, square = (torch.ones(2, FEATURES) for _ in range(4))
    bindings.step_rows(weight, gradient, mean, square, 0.1, 0.9, 0.99, 1e-15, 1.0)
    bindings.ngp_render([*rays, *ends], torch.zeros(3), spacing, grid, longest, 0.01, field)


def _rays() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Origins and directions, near and far of four rays; one is shorter than the others, so that all are not alike."""
    origins, directions = torch.tensor([[0.0, 0.0, 3.0]] * 4), torch.tensor([[0.0, 0.0, -1.0]] * 4)
    return (origins, directions), (torch.full((4,), 2.0), torch.tensor([2.5, 4.0, 4.0, 4.0]))


def _weights() -> list[Tensor]:
    encoded = len(LEVELS) * FEATURES
    shapes = [
        (WIDTH, encoded), (GEOMETRY, WIDTH), (WIDTH, GEOMETRY + HARMONICS), (WIDTH, WIDTH), (COLOURS, WIDTH)
    ]  # fmt: skip
    return [torch.ones(shape) * 0.1 for shape in shapes]
