"""The CPU kernels as functions of tensors: what the operations in ops/ call.

Python sees Ctrl-C between two launches only, so a launch gets no more work than is done within a second, also on one
slow core. Values do not depend on it: samples are computed in blocks that begin at the same indices, rays one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nerfpipe.kernels.numba import composite as composite_kernels
from nerfpipe.kernels.numba import march as march_kernels
from nerfpipe.kernels.numba import ngp_field as field_kernels
from nerfpipe.kernels.numba import render as render_kernels
from nerfpipe.kernels.numba import resample as resample_kernels
from nerfpipe.kernels.numba.compile import BLOCK
from nerfpipe.kernels.numba.hash_encoding import add_table_gradient, position_gradient
from nerfpipe.kernels.numba.row_adam import step_rows as step_rows_kernel
from nerfpipe.kernels.numba.threading_layer import launch
from nerfpipe.ops import zeroed

# The most work of one launch.
FIELD_SAMPLES = 4096 * BLOCK  # through the whole field
LIGHT_SAMPLES = 2**24  # added up, or noted in a grid
MARCH_STEPS = 2**24  # most of which are leapt over
RENDER_SAMPLES = 2**21  # if rays stopped nowhere; they see a tenth of it
TABLE_ROWS = 2**22

Field = Sequence[Any]  # table, the five weights, low, levels: tensors; and the side of the cube
Grid = tuple[Tensor, float, Tensor]  # low, cell, distance


def ngp_field(positions: Tensor, directions: Tensor, field: Field) -> tuple[Tensor, Tensor, Tensor]:
    """See ops.ngp_field."""
    x, d, known = array(positions), array(directions), field_arguments(field)
    M, E = len(x), known.weights[0].shape[1]
    made = encoding, density, colour = [np.empty(shape, np.float32) for shape in ((M, E), M, (M, 3))]
    for part in slices(M, FIELD_SAMPLES):
        launch(field_kernels.forward, x[part], d[part], *known, *(output[part] for output in made))
    return torch.from_numpy(density), torch.from_numpy(colour), torch.from_numpy(encoding)


def ngp_field_backward(
    positions: Tensor, directions: Tensor, field: Field, outputs: list[Tensor], gradients: list[Tensor], of_inputs: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See ops.ngp_field_backward."""
    low, inverse_side, table, levels, weights, _ = field_arguments(field)
    x, d = array(positions), array(directions)
    density, colour, encoding = (array(output) for output in outputs)
    density_gradient, colour_gradient = (array(gradient) for gradient in gradients)
    moved = field_kernels.moved(density_gradient, colour_gradient)  # [V], the samples that a gradient reaches
    transposed = tuple(np.ascontiguousarray(weight.T) for weight in weights)
    sums = np.zeros((field_kernels.SHARES, sum(weight.size for weight in weights)), np.float32)
    table_gradient = zeroed.take(field[0])
    table_sums = array(table_gradient)
    M = len(x) if of_inputs else 0
    of_positions, of_harmonics = np.zeros((M, 3), np.float32), np.zeros((M, field_kernels.HARMONICS), np.float32)
    values = (d, encoding, density, colour, density_gradient, colour_gradient)
    for part in slices(len(moved), FIELD_SAMPLES):
        up = launch(field_kernels.backward, moved[part], *values, weights, transposed, sums, of_harmonics)
        launch(add_table_gradient, x, moved[part], up, low, inverse_side, levels, table_sums)
        if of_inputs:
            launch(position_gradient, x, moved[part], up, low, inverse_side, table, levels, of_positions)
    flat = torch.from_numpy(sums).sum(dim=0)
    return table_gradient, flat, torch.from_numpy(of_positions), torch.from_numpy(of_harmonics)


def ngp_density(positions: Tensor, field: Field) -> Tensor:
    """See ops.ngp_density."""
    density, x, known = np.empty(len(positions), np.float32), array(positions), field_arguments(field)
    for part in slices(len(x), FIELD_SAMPLES):
        launch(field_kernels.forward_density, x[part], *known, density[part])
    return torch.from_numpy(density)


def composite(
    ray_offsets: Tensor, t: Tensor, delta: Tensor, density: Tensor, colour: Tensor, background: Tensor,
    early_stop_eps: float, longest: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """See ops.composite."""
    R, M = len(ray_offsets) - 1, len(density)
    first, over = array(ray_offsets), array(background)
    along = [array(x) for x in (t, delta, density, colour)]
    seen, opacity, depth, weights = (np.empty(shape, np.float32) for shape in ((R, 3), R, R, M))
    for part in slices(R, LIGHT_SAMPLES // max(longest, 1)):
        pixels = seen[part], opacity[part], depth[part]
        known = ends_of(first, part), *along, over[part], np.float32(early_stop_eps)
        launch(composite_kernels.forward, *known, *pixels, weights)
    return torch.from_numpy(seen), torch.from_numpy(opacity), torch.from_numpy(depth), torch.from_numpy(weights)


def composite_backward(
    inputs: tuple[Any, ...], outputs: tuple[Tensor, Tensor, Tensor], gradients: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """See ops.composite_backward."""
    *tensors, early_stop_eps, longest = inputs
    first, *along, over = (array(x) for x in tensors)
    opacity, depth, weights = (array(x) for x in outputs)
    *up, weights_up = (array(gradient) for gradient in gradients)
    M = len(weights)
    density_gradient, colour_gradient = np.empty(M, np.float32), np.empty((M, 3), np.float32)
    for part in slices(len(opacity), LIGHT_SAMPLES // max(longest, 1)):
        known = ends_of(first, part), *along, over[part], np.float32(early_stop_eps)
        made = opacity[part], depth[part], weights
        down = *(gradient[part] for gradient in up), weights_up, density_gradient, colour_gradient
        launch(composite_kernels.backward, *known, *made, *down)
    return torch.from_numpy(density_gradient), torch.from_numpy(colour_gradient)


def march(
    rays: tuple[Tensor, Tensor],
    ends: tuple[Tensor, Tensor, Tensor],
    spacing: tuple[float, float],
    grid: Grid,
    longest: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """See ops.march. ends: near, far and shift; spacing: step and linear."""
    origins, directions = (array(x) for x in rays)
    near_far_shift, steps, cells = [array(x) for x in ends], [np.float32(x) for x in spacing], grid_arguments(grid)
    R = len(origins)
    counts, packed = np.empty(R, np.int64), []
    for part in slices(R, MARCH_STEPS // longest):
        here = origins[part], directions[part]
        rows = np.empty((len(here[0]), longest), np.float32)
        launch(march_kernels.march_rays, *here, *(x[part] for x in near_far_shift), *steps, *cells, rows, counts[part])
        first = offsets_of(counts[part])
        M = int(first[-1])
        found = tuple(np.empty(shape, np.float32) for shape in ((M, 3), (M, 3), M, M))
        ray = np.empty(M, np.int64)
        launch(march_kernels.pack, rows, *here, *steps, first, *found, ray)
        packed.append((*found, ray + part.start))
    positions, along, t, delta, rays_of = (joined(parts) for parts in zip(*packed, strict=True))
    return positions, along, t, delta, rays_of, torch.from_numpy(offsets_of(counts))


def resample(
    s: Tensor, delta: Tensor, density: Tensor, counts: Tensor, within: Tensor, samples: int
) -> tuple[Tensor, Tensor]:
    """See ops.resample."""
    R, K = s.shape
    known = [array(x) for x in (s, delta, density, counts, within)]
    made = [np.empty((R, samples), np.float32) for _ in range(2)]
    for part in slices(R, LIGHT_SAMPLES // max(K, samples)):
        launch(resample_kernels.resample, *(x[part] for x in known), *(x[part] for x in made))
    places, lengths = (torch.from_numpy(x) for x in made)
    return places, lengths


def observe(positions: Tensor, density: Tensor, low: Tensor, cell: float, highest: Tensor) -> None:
    """See ops.observe."""
    x, found, inverse_cell = array(positions), array(density), np.float32(1 / cell)
    for part in slices(len(x), LIGHT_SAMPLES):
        march_kernels.note(x[part], found[part], array(low), inverse_cell, array(highest))


def ngp_render(
    rays: list[Tensor],
    background: Tensor,
    spacing: tuple[float, float],
    grid: Grid,
    longest: int,
    early_stop_eps: float,
    field: Field,
) -> tuple[Tensor, Tensor, Tensor]:
    """See ops.ngp_render."""
    bundle = [array(x) for x in rays]
    R = len(bundle[0])
    known = (
        array(background), *(np.float32(x) for x in spacing), *grid_arguments(grid), *field_arguments(field),
        np.float32(early_stop_eps),
    )  # fmt: skip
    pixels = [np.empty(shape, np.float32) for shape in ((R, 3), R, R)]
    for part in slices(R, RENDER_SAMPLES // longest):
        launch(render_kernels.render, *(x[part] for x in bundle), *known, *(x[part] for x in pixels))
    seen, opacity, depth = (torch.from_numpy(x) for x in pixels)
    return seen, opacity, depth


def step_rows(weight: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, *factors: float) -> None:
    """See ops.row_adam."""
    tables, last = [array(table) for table in (weight, gradient, mean, square)], [np.float32(x) for x in factors]
    for part in slices(len(weight), TABLE_ROWS):
        launch(step_rows_kernel, *(table[part] for table in tables), *last)


def slices(total: int, most: int) -> Iterator[slice]:
    """The whole of `total` as slices of at most `most`, and of one at least; an empty whole is one empty slice."""
    for start in range(0, max(total, 1), max(most, 1)):
        yield slice(start, min(start + max(most, 1), total))


def offsets_of(counts: np.ndarray) -> np.ndarray:
    """The first sample of each ray [R + 1], from the number of samples of each, [R]."""
    return np.concatenate([[0], counts.cumsum()])


def ends_of(offsets: np.ndarray, rays: slice) -> np.ndarray:
    """The first samples of some rays, and the end of the last one."""
    return offsets[rays.start : rays.stop + 1]


def joined(arrays: tuple[np.ndarray, ...]) -> Tensor:
    """Parts one behind the other, as a tensor."""
    return torch.from_numpy(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))


def array(tensor: Tensor) -> np.ndarray:
    """The tensor's values as a NumPy array that shares its memory."""
    return tensor.detach().contiguous().numpy()


class FieldArguments(NamedTuple):
    """What field kernels take, in their order."""

    low: np.ndarray  # [3]
    inverse_side: np.float32
    table: np.ndarray  # [rows, F]
    levels: np.ndarray  # [L, 4]
    weights: tuple[np.ndarray, ...]
    factor: np.float32  # from the network's density, per side of the cube, to that per scene unit


def field_arguments(field: Field) -> FieldArguments:
    """A field as the kernels take it."""
    *tensors, side = field
    table, *weights, low, levels = (array(tensor) for tensor in tensors)
    inverse_side = np.float32(1 / side)
    return FieldArguments(low, inverse_side, table, levels, tuple(weights), inverse_side)


def grid_arguments(grid: Grid) -> tuple[np.ndarray, np.float32, np.ndarray]:
    """What marching kernels take: lower corner, 1 / side of a cell, and distances."""
    low, cell, distance = grid
    return array(low), np.float32(1 / cell), array(distance)
